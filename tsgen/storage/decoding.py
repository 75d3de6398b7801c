"""From the JSON of a folder to objects, where the JSON may be a stranger's."""

from collections.abc import Mapping
from typing import Any

from tsgen.storage.names import FOREIGN, is_partial, resolve

_KINDS = {"type": {"class"}, "instance": {"class", "args", "kwargs"}}


def decode(tree: Any, foreign: Mapping[str, tuple[str, str]] = FOREIGN) -> Any:
    """Build what ``gluonts.core.serde.encode`` described.

    Every name in the tree is looked up before the first object is built, so that a tree that names
    anything else than parts of this library, or foreign ones on a list, builds nothing.

    Args:
        tree: of dictionaries, lists and plain values.
        foreign: which parts of other packages may be named.

    Raises:
        ValueError: for a name that may not be named, or a tree that describes nothing.
    """
    parts: dict[str, Any] = {}
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "__kind__" in node:
                _check(node, parts, foreign)
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return _build(tree, parts)


def _check(node: dict[str, Any], parts: dict[str, Any], foreign: Mapping) -> None:
    """Look up what a node names, and refuse what ``encode`` would not write."""
    kind, name = node["__kind__"], node.get("class")
    if not isinstance(kind, str) or not set(node) - {"__kind__"} <= _KINDS.get(kind, set()):
        raise ValueError(f"{str(name)[:200]!r} is named with {sorted(node)} as {str(kind)[:40]!r}")
    part = resolve(name, foreign)
    parts[str(name)] = part
    if kind == "type":
        if is_partial(part):
            raise ValueError(f"{name!r} is named as a type; a part to be called was expected")
        return
    args, kwargs = _arguments(node), node.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict) or "__kind__" in kwargs:
        raise ValueError(f"{name!r} is named with arguments that are no list and no dictionary")
    if is_partial(part) and not (
        args and isinstance(args[0], dict) and args[0].get("__kind__") == "type"
    ):
        raise ValueError(f"{name!r} is named without the part that it calls")
    if not isinstance(part, type):
        raise ValueError(f"{name!r} is named to be called; a class was expected")


def _arguments(node: dict[str, Any]) -> Any:
    """The positional arguments of a node; those of a partial are written as a tuple."""
    args = node.get("args", [])
    if isinstance(args, dict) and args.get("class") == "builtins.tuple":
        inner = args.get("args")
        return inner[0] if isinstance(inner, list) and len(inner) == 1 else None
    return args


def _build(node: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_build(item, parts) for item in node]
    if not isinstance(node, dict):
        return node
    if "__kind__" not in node:
        return {key: _build(value, parts) for key, value in node.items()}
    part = parts[node["class"]]
    if node["__kind__"] == "type":
        return part
    args, kwargs = _build(node.get("args", []), parts), _build(node.get("kwargs", {}), parts)
    return part(*args, **kwargs)
