"""Typed immutable objects read from tables of TOML, each field checked against its annotation."""

import dataclasses
import difflib
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def expected(hint: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(repr(value) for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(expected(part) for part in arguments if part is not type(None))
    if origin is tuple and arguments[-1] is ...:
        return f"a list of {expected(arguments[0])}"
    if origin is tuple:
        return f"a list of {len(arguments)}, each {expected(arguments[0])}"
    if hint in _NAMES:
        return _NAMES[hint]
    return "a table"


def convert(value: Any, hint: Any, where: str) -> Any:
    """A value of TOML as the type asked for: lists become tuples, tables become objects.

    Raises:
        ValueError: naming the field, what it holds and what was expected.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return build(hint, value, f"{where}.")
    if origin is tuple and isinstance(value, list):
        hints = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        if len(hints) == len(value):
            return tuple(
                convert(item, part, f"{where}[{i}]")
                for i, (item, part) in enumerate(zip(value, hints, strict=True))
            )
    elif origin in (Union, UnionType):
        choices = [part for part in arguments if part is not type(None)]
        if len(choices) == 1:
            return convert(value, choices[0], where)
        for part in choices:
            try:
                return convert(value, part, where)
            except ValueError:
                continue
    elif origin is Literal and isinstance(value, str) and value in arguments:
        return value
    elif (origin or hint) is dict and isinstance(value, Mapping):
        inner = arguments[1] if arguments else Any
        return {
            key: item if inner is Any else convert(item, inner, f"{where}.{key}")
            for key, item in value.items()
        }
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif hint in (str, int, bool) and type(value) is hint and value != "":
        return value
    raise ValueError(f"{where}={value!r}; expected {expected(hint)}")


def build(kind: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """An object of a dataclass from a table, with nothing unknown and nothing missing.

    Args:
        kind: a dataclass. Fields without a default are required; its ``__post_init__`` may raise
            :class:`ValueError` for what a type cannot say.
        table: of TOML.
        where: put before the names of fields in messages, as ``"load."``.

    Raises:
        ValueError: naming the field, what it holds and what was expected.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    for name, value in table.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(fields)}"
            raise ValueError(f"{where}{name}={value!r} is no field of a card; {hint}")
    for name, field in fields.items():
        if name not in table and field.default is field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}{name} is missing; expected {expected(hints[name])}")
    values = {name: convert(value, hints[name], where + name) for name, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None


def require(name: str, value: Any, holds: bool, what: str) -> None:
    """Check of a ``__post_init__``.

    Raises:
        ValueError: naming the field, what it holds and what was expected, if it does not hold.
    """
    if not holds:
        raise ValueError(f"{name}={value!r}; expected {what}")
