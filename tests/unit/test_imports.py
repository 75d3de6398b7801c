"""What may use what: layers of the package, and what tests may take from it and each other."""

import ast
import importlib
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


def test_packages_have_what_they_list():
    """Also those that import on first use."""
    for path in ROOT.rglob("__init__.py"):
        package = importlib.import_module(module(path).removesuffix(".__init__"))
        for name in getattr(package, "__all__", ()):
            assert getattr(package, name) is not None


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


ALLOWED = {
    "_replace": "named tuples have it, and it is documented",
    "_asdict": "as _replace",
    "os._exit": "a forked process must end without what its parent has registered",
    "AutoregressiveTransform._inverse": "zuko's: the passes that ours are compared with",
    "'_CHUNK'": "bounds the memory of all detectors; a log beyond it takes some of them minutes",
}
"""Private names that tests use, and why."""


def private_names(tree):
    """Pairs: a private name, and how it is written.

    They are attributes, except those that a class in the test defines and has itself, what is
    imported from the package, and what is patched by name.
    """
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    for node in ast.walk(tree):
        pairs = []
        match node:
            case ast.Attribute(value=value, attr=name):
                whole = ast.unparse(value)
                if name not in own or whole not in ("self", "cls", "super()"):
                    pairs = [(name, f"{whole}.{name}")]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] == "tsgen":
                pairs = [(alias.name, f"{module}.{alias.name}") for alias in node.names]
            case ast.Call(func=ast.Attribute() | ast.Name() as function):
                name = function.id if isinstance(function, ast.Name) else function.attr
                if name in ("getattr", "setattr", "delattr", "object", "patch"):
                    texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                    pairs = [(t.split(".")[-1], repr(t)) for t in texts if isinstance(t, str)]
        yield from (pair for pair in pairs if re.fullmatch("_[^_].*", pair[0]))


def test_no_test_uses_what_is_private():
    """It checks what the library promises, so that the rest can be changed freely."""
    for path in TESTS.rglob("*.py"):
        pairs = private_names(ast.parse(path.read_text(encoding="utf-8")))
        uses = [text for name, text in pairs if not {name, text} & set(ALLOWED)]
        assert not uses, f"{path.relative_to(TESTS)}: {uses}"


@pytest.mark.parametrize(
    "line",
    [
        "network._encode(window)",
        "self._encode(window)",
        "from tsgen.core.seeding import _turn",
        "monkeypatch.setattr(seeding, '_turn', None)",
        "monkeypatch.setattr('tsgen.core.seeding._turn', None)",
        "mock.patch.object(seeding, '_turn')",
    ],
)
def test_a_use_of_what_is_private_is_noticed(line):
    assert list(private_names(ast.parse(line)))
