"""Names that tell what happened to a value, not what it is: where they are bound."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

WORDS = frozenset(
    {"found", "known", "seen", "kept", "made", "told", "named", "given", "first"}
)  # participles that tell what happened to a value, not which value it is; `first` of an order


class Named(NamedTuple):
    """A binding: where it stands, the function or class around it, and its name."""

    file: Path
    line: int
    scope: str
    name: str


def bindings(tree: ast.AST, scope: str = "") -> Iterator[tuple[int, str, str]]:
    """Yield (line, scope, name) for each function, parameter, variable and attribute bound."""
    for node in ast.iter_child_nodes(tree):
        inside = scope
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, scope, node.name
                inside = f"{scope}.{node.name}".lstrip(".")
            case ast.arg():
                yield node.lineno, scope, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, scope, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, scope, node.attr
            case ast.MatchAs(name=str()) | ast.MatchStar(name=str()):
                yield node.lineno, scope, str(node.name)
            case ast.ExceptHandler(name=str()):
                yield node.lineno, scope, str(node.name)
        yield from bindings(node, inside)


def participles(root: Path, words: frozenset[str] = WORDS) -> list[Named]:
    """Return one record for each scope below ``root`` in which a name of ``words`` is bound."""
    records: dict[tuple[Path, str, str], Named] = {}
    for file in sorted(root.rglob("*.py")):
        for line, scope, name in bindings(ast.parse(file.read_text())):
            if name.strip("_") in words:
                records.setdefault((file, scope, name), Named(file, line, scope, name))
    return list(records.values())
