"""Imports point downwards, and no two files need each other."""

import ast
import importlib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import tsgen

ROOT = Path(tsgen.__file__).parent
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
