"""Configuration that is validated, serialisable and immutable.

This is the one module that touches GluonTS' private corners (the ``validated`` decorator).
"""

import dataclasses
import difflib
import functools
import inspect
import numbers
import weakref
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, TypeVar, dataclass_transform

from gluonts.core.component import equals, validated
from gluonts.pydantic import BaseModel, ValidationError, root_validator

from tsgen.core.constraints import Constraint, broken_constraint, constraints_of
from tsgen.core.errors import MissingOptionError, OptionError, UnknownOptionError
from tsgen.core.wording import in_words

T = TypeVar("T")


components: MutableMapping[str, type["Component"]] = weakref.WeakValueDictionary()
"""Every class of parts that was defined in this process, by its whole name."""


_SCALARS = {int: numbers.Integral, float: numbers.Real, bool: bool, str: str}


@equals.register(functools.partial)
def _equals_partial(this: functools.partial, that: Any) -> bool:
    """Python compares partials by identity."""
    return isinstance(that, functools.partial) and equals(
        [this.func, *this.args, this.keywords], [that.func, *that.args, that.keywords]
    )


class _Strict(BaseModel):
    """Base of the argument models: nothing unknown, nothing coerced.

    1.9 is no int, "3" no number.
    """

    class Config:
        arbitrary_types_allowed = True
        extra = "forbid"
        smart_union = True
        copy_on_model_validation = "none"

    @root_validator(pre=True, allow_reuse=True)
    def _same_kind(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805
        for name, field in cls.__fields__.items():
            kinds = tuple(
                _SCALARS[f.type_] for f in field.sub_fields or [field] if f.type_ in _SCALARS
            )
            value = values.get(name)
            if not kinds or value is None or isinstance(value, dict):
                continue
            for item in value if isinstance(value, list | tuple) else (value,):
                number = isinstance(item, numbers.Number)
                if (number or not field.sub_fields) and not (
                    isinstance(item, kinds) and (bool in kinds or not isinstance(item, bool))
                ):
                    raise _WrongTypeError(name)
        return values


class _WrongTypeError(ValueError):
    """A scalar that pydantic would convert; its argument is the option's name."""


def _validate(cls: type) -> None:
    """Wrap ``cls.__init__`` so that its arguments are checked, recorded and written to JSON."""
    init = cls.__init__  # type: ignore[misc]
    parameters = list(inspect.signature(init).parameters.values())[1:]
    for parameter in parameters:
        if isinstance(parameter.annotation, str):
            raise TypeError(
                f"{cls.__name__}: 'from __future__ import annotations' hides the type of "
                f"{parameter.name!r}; remove it from the file, arguments are checked by type"
            )
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise TypeError(
                f"{cls.__name__}: {parameter.kind.description} parameter {parameter.name!r} cannot "
                "be written to JSON; name every option"
            )
    annotations = {p.name: p.annotation for p in parameters}
    constraints = {name: _inherited(cls, name, kind) for name, kind in annotations.items()}

    @functools.wraps(init)
    def constrained(self: Any, *args: Any, **kwargs: Any) -> None:
        for name, value in kwargs.items():  # ``validated`` gives every argument by its name
            expected = broken_constraint(value, constraints[name])
            if expected is not None:
                raise OptionError(type(self).__name__, name, value, expected)
        init(self, *args, **kwargs)

    checked = validated(base_model=_Strict)(constrained)

    @functools.wraps(checked)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        owner = type(self).__name__
        arguments = dict(zip(annotations, args, strict=False)) | kwargs
        for name, value in arguments.items():
            if name not in annotations:
                raise _unknown(type(self), name, value, list(annotations))
        try:
            checked(self, *args, **kwargs)
        except ValidationError as error:
            item = error.errors()[0]
            cause = getattr(error.raw_errors[0], "exc", None)
            name = str(cause) if isinstance(cause, _WrongTypeError) else str(item["loc"][0])
            expected = in_words(annotations[name])
            if name not in arguments:
                raise MissingOptionError(owner, name, None, expected) from None
            advice = self.advice(name, arguments[name]) or ""
            raise OptionError(owner, name, arguments[name], expected, advice) from None

    wrapper.Model = checked.Model  # type: ignore[attr-defined]
    wrapper.constraints = constraints  # type: ignore[attr-defined]
    cls.__init__ = wrapper  # type: ignore[misc]


def _inherited(cls: type, name: str, annotation: Any) -> tuple[Constraint, ...]:
    """Constraints of an option, and those its classes above have: a new default keeps them."""
    above = [vars(base).get("__annotations__", {}).get(name) for base in cls.__mro__[1:]]
    return tuple(dict.fromkeys(c for kind in (annotation, *above) for c in constraints_of(kind)))


def _unknown(
    owner: type["Component"], name: str, value: Any, names: list[str]
) -> UnknownOptionError:
    expected = f"the options are {', '.join(names)}"
    advice = owner.advice(name, value)
    near = difflib.get_close_matches(name, names, n=1)
    if advice is None and near:
        advice = f"did you mean {near[0]!r}?"
    return UnknownOptionError(owner.__name__, name, value, expected, advice or "")


class Component:
    """A part whose constructor arguments are its whole configuration.

    Every subclass's ``__init__`` is validated (types are enforced, nothing is coerced, unknown
    options raise ``ValueError``) and recorded, so that the object can be compared, copied with
    changes and written to JSON by ``gluonts.core.serde``.
    """

    __init_args__: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Validate the constructor a subclass defines, and note the class by its name."""
        super().__init_subclass__(**kwargs)
        components[f"{cls.__module__}.{cls.__qualname__}"] = cls
        if "__init__" in cls.__dict__ and not hasattr(cls.__init__, "Model"):
            _validate(cls)

    @classmethod
    def __get_validators__(cls) -> Iterator[Callable[[Any], Any]]:
        """Tell pydantic to take instances as they are; it would rebuild dataclasses."""

        def instance(value: Any) -> Any:
            if not isinstance(value, cls):
                raise TypeError(f"instance of {cls.__name__} expected")
            return value

        yield instance

    @classmethod
    def check_options(cls, **values: Any) -> None:
        """Check values against the constraints of the options they are for.

        Raises:
            OptionError: for the first that breaks one.
        """
        for name, value in values.items():
            expected = broken_constraint(value, cls.__init__.constraints[name])  # type: ignore[attr-defined]
            if expected is not None:
                raise OptionError(cls.__name__, name, value, expected)

    @classmethod
    def advice(cls, option: str, value: Any) -> str | None:
        """What to write instead of an option that there is not, or of a value of a wrong type."""
        return None

    def replace(self: T, **changes: Any) -> T:
        """A new object with some constructor arguments changed."""
        return type(self)(**{**self.__init_args__, **changes})  # type: ignore[attr-defined]


@dataclass_transform(kw_only_default=False)
class Options(Component):
    """A small immutable object declared by its annotated fields.

    Subclasses inherit their parents' fields.

    >>> class Circle(Options):
    ...     radius: float = 1.0
    >>> Circle(radius=2.0).radius
    2.0
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Turn the annotated fields into a validated constructor."""
        dataclasses.dataclass(eq=False, repr=False)(cls)
        super().__init_subclass__(**kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        """Write once."""
        if name in self.__dict__ and name in getattr(type(self), "__dataclass_fields__", {}):
            raise AttributeError(
                f"{type(self).__name__}.{name} cannot be changed; use replace({name}=...)"
            )
        object.__setattr__(self, name, value)

    def options_without_effect(self) -> Iterator[str]:
        """Sentences about options, also of parts, that were given and change nothing."""
        for name, value in self.__init_args__.items():
            if isinstance(value, Options):
                for text in value.options_without_effect():
                    yield f"{name}.{text}"

    def __eq__(self, other: object) -> bool:
        """Same type, same options."""
        return type(self) is type(other) and equals(self.__init_args__, other.__init_args__)

    def __hash__(self) -> int:
        """By type; equal objects have equal hashes."""
        return hash(type(self))
