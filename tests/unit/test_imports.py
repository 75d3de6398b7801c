"""Imports point downwards, no two files need each other, and tests share what is no test."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import tsgen

ROOT = Path(tsgen.__file__).parent
TESTS = Path(__file__).parents[1]
FROM_A_TEST = re.compile(
    r"\bfrom\s+(tests(?!\.support\b)|\.)[\w.]*\s+import\b|\bimport\s+tests(?!\.support\b)"
)
LAYERS = (
    "cli", "report", "estimators", "forecasting", "encoders", "models", "diffusion", "nets",
    "evaluation", "data", "storage", "core",
)  # fmt: skip


def module(path):
    return ".".join(["tsgen", *path.relative_to(ROOT).with_suffix("").parts])


MODULES = {module(path): path for path in ROOT.rglob("*.py")}


def imports(path):
    """Modules that a file imports anywhere, also for types only and within functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tsgen"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def test_imports_point_downwards():
    layer = {name: number for number, name in enumerate(LAYERS)}
    for name, path in MODULES.items():
        for other in imports(path):
            own, its = (layer.get((*part.split("."), "")[1]) for part in (name, other))
            assert own is None or its is None or own <= its, f"{name} imports {other}"


def test_no_files_need_each_other():
    files = {
        name: {other for other in imports(path) if other in MODULES and other != name}
        for name, path in MODULES.items()
    }
    try:
        TopologicalSorter(files).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle: {' -> '.join(error.args[1])}") from None


def test_no_test_imports_from_another():
    """Also not in code that it runs as text; what several need is in ``tests/support``."""
    for path in TESTS.rglob("*.py"):
        line = FROM_A_TEST.search(path.read_text(encoding="utf-8"))
        assert line is None, f"{path.relative_to(TESTS)}: {line[0]}"


@pytest.mark.parametrize("place", ["tests.unit.test_names", "tests", ".", ".test_names"])
def test_an_import_from_a_test_is_noticed(place):
    assert FROM_A_TEST.search(f"from {place} " + "import test_names")


def test_an_import_from_the_support_of_tests_is_allowed():
    assert not FROM_A_TEST.search("from tests.support.tables import wide")
