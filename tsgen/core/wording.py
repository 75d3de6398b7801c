"""The words of a type annotation, for messages."""

import inspect
import types
from collections.abc import Callable
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
