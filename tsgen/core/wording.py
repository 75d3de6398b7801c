"""Words of messages: of type annotations, and of options as their user writes them."""

import inspect
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text",
    type(None): "None",
    Any: "anything",
    type: "a class",
    inspect.Parameter.empty: "anything",
}


def in_words(annotation: Any) -> str:
    """A type in words: ``int | Literal["all"] | None`` is "a whole number, 'all' or None"."""
    words = list(dict.fromkeys(_parts(annotation)))
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _parts(annotation: Any) -> list[str]:
    """The alternatives of a union, each in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _parts(inner[0])
    if origin in (Union, types.UnionType):
        return [word for part in inner for word in _parts(part)]
    if origin is Literal:
        return [repr(value) for value in inner]
    if annotation in _WORDS:
        return [_WORDS[annotation]]
    if annotation is Callable or origin is Callable:
        return ["a class or function"]
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return [f"a tuple, each {in_words(inner[0])}"]
        return [f"a tuple of {len(inner)}: {', '.join(map(in_words, inner))}"]
    name = getattr(annotation, "__name__", str(annotation))
    if inner:
        return [f"a {name} of {', '.join(map(in_words, inner))}"]
    spelled = name.isupper() and name[0] in "AEFHILMNORSX"  # an SDE, an MLP
    return [f"{'an' if spelled or name[0].lower() in 'aeio' else 'a'} {name}"]


_ABSENT = object()


def _as_keyword(option: str, value: Any) -> str:
    """An option as it stands in a call in Python: ``freq='h'``, or ``freq=`` without a value."""
    return f"{option}=" if value is _ABSENT else f"{option}={value!r}"


_style: ContextVar[Callable[[str, Any], str]] = ContextVar("_style", default=_as_keyword)


def option_text(option: str, value: Any = _ABSENT) -> str:
    """An option, with its value if one is given, as the user of this moment writes it.

    That is ``freq='h'`` in Python; a command line writes it otherwise, see :func:`option_style`.
    """
    return _style.get()(option, value)


@contextmanager
def option_style(
    with_value: Callable[[str, Any], str], alone: Callable[[str], str]
) -> Iterator[None]:
    """Word messages that are made within for another kind of user than one who calls Python.

    Args:
        with_value: the text of an option with its value.
        alone: the text of an option without one.
    """

    def style(option: str, value: Any) -> str:
        return alone(option) if value is _ABSENT else with_value(option, value)

    token = _style.set(style)
    try:
        yield
    finally:
        _style.reset(token)
