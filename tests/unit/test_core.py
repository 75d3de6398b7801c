import functools
import importlib
import inspect
import pickle
import pkgutil
from typing import Annotated, Literal

import pytest
import torch
from gluonts.core.serde import dump_json, load_json

import tsgen
import tsgen.data
import tsgen.evaluation
import tsgen.report
from tsgen.core import (
    FINITE,
    NOT_EMPTY,
    Component,
    OptionError,
    Options,
    Positive,
    Registry,
    above,
    at_least,
    between,
    seeded,
)


class Base(Options):
    count: int
    rate: float = 1.0
    kind: Literal["a", "b"] = "a"
    size: int | Literal["all"] = "all"
    names: tuple[str, ...] | None = None
    pair: tuple[float, float] = (0.0, 1.0)
    make: str | type | None = None


class Derived(Base):
    extra: int = 3


class Net(Component, torch.nn.Module):
    def __init__(self, width: int, options: Base) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(width, width)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 1.9}, "count=1.9 must be a whole number"),
        ({"count": "3"}, "count='3' must be a whole number"),
        ({"count": True}, "count=True must be a whole number"),
        ({"count": 1, "rate": "fast"}, "rate='fast' must be a number"),
        ({"count": 1, "kind": "c"}, "kind='c' must be 'a' or 'b'"),
        ({"count": 1, "size": 2.5}, "size=2.5 must be a whole number or 'all'"),
        ({"count": 1, "size": "some"}, "size='some' must be a whole number or 'all'"),
        ({"count": 1, "names": (1, 2)}, "must be a tuple, each a text or None"),
        ({"count": 1, "pair": (1.0, 2.0, 3.0)}, "must be a tuple of 2: a number, a number"),
        ({}, "count must be given: a whole number"),
        (
            {"count": 1, "ratee": 2.0},
            "Derived has no option 'ratee' .given 2.0.; did you mean 'rate'?",
        ),
        ({"count": 1, "zzz": 2.0}, "the options are count, rate, kind"),
    ],
)
def test_bad_arguments_name_field_and_value(given, message):
    with pytest.raises(ValueError, match=message):
        Derived(**given)


class Bounded(Options):
    count: Annotated[int, at_least(1)] = 1
    rate: Annotated[float | None, above(0), FINITE] = None
    share: Annotated[float, between(0, 1, "[)")] = 0.5
    window: Annotated[int, at_least(1)] | Literal["all"] = "all"
    sizes: Annotated[tuple[int, ...], at_least(2), NOT_EMPTY] = (2,)
    rates: tuple[tuple[str, Positive], ...] = ()


class Larger(Bounded):
    count: int = 5


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("count", 0, "at least 1"),
        ("rate", 0.0, "above 0 and finite"),
        ("rate", float("nan"), "above 0 and finite"),
        ("rate", float("inf"), "above 0 and finite"),
        ("share", 1.0, "in [0, 1)"),
        ("share", -0.1, "in [0, 1)"),
        ("window", 0, "at least 1"),
        ("sizes", (2, 1), "at least 2 and not empty"),
        ("sizes", (), "at least 2 and not empty"),
        ("rates", (("a", 1.0), ("b", -1.0)), "above 0 and finite"),
    ],
)
def test_constraints_of_annotations_are_checked_and_worded(option, value, expected):
    with pytest.raises(OptionError) as caught:
        Larger(**{option: value})
    error = caught.value
    assert (error.owner, error.option, error.value) == ("Larger", option, value) or value != value
    assert error.expected == expected and str(error) == f"Larger: {option}={value!r} must be " + (
        expected
    )
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is OptionError and str(again) == str(error)


def test_constraints_let_the_rest_through():
    made = Larger(rate=None, share=0.0, window="all", sizes=(2, 3), rates=(("a", 1.0),))
    assert made.count == 5 and made.replace(window=1).window == 1
    Bounded.check_options(count=3, rate=None)
    with pytest.raises(OptionError, match="Bounded: count=0 must be at least 1"):
        Bounded.check_options(count=0)


def test_options_inherit_compare_and_do_not_change():
    made = Derived(2, rate=2)
    assert (made.count, made.rate, made.extra) == (2, 2.0, 3)
    assert made == Derived(count=2, rate=2.0) and made != Derived(2) and made != Base(2, rate=2.0)
    assert made.replace(extra=5).extra == 5 and made.extra == 3
    assert hash(made) == hash(Derived(2))
    with pytest.raises(
        AttributeError, match=r"Derived.extra cannot be changed; use replace\(extra=...\)"
    ):
        made.extra = 4


def test_json_round_trip_keeps_defaults_and_nesting():
    made = Net(3, Derived(2, size=7, pair=(1, float("inf")), make=Base))
    again = load_json(dump_json(made))
    assert again.__init_args__ == made.__init_args__
    assert again.__init_args__["options"].size == 7
    with pytest.raises(ValueError, match="options=4 must be a Base"):
        Net(3, 4)


def test_partials_are_compared_by_what_they_hold():
    class Holder(Options):
        part: object = None

    one, two = (Holder(part=functools.partial(Base, rate=2.0)) for _ in range(2))
    assert one == two and one != Holder(part=functools.partial(Base, rate=3.0))


def test_constructors_that_could_not_be_written_are_refused():
    with pytest.raises(TypeError, match="'kwargs' cannot be written to JSON"):

        class Swallows(Component):
            def __init__(self, **kwargs: int) -> None: ...

    with pytest.raises(TypeError, match="hides the type of 'width'"):

        class Late(Component):
            def __init__(self, width: "int") -> None: ...


def test_registry():
    known = Registry("shape", {"base": Base})
    assert known.build("base", 3) == Base(3) == known.build(Base, 3)
    with pytest.raises(ValueError, match="unknown shape 'bse'; known are base"):
        known["bse"]


def test_seeded_restores_and_repeats():
    state = torch.get_rng_state()
    with seeded(1):
        first = torch.rand(3)
    with seeded(1):
        assert torch.equal(first, torch.rand(3))
    with seeded(1, 2):
        assert not torch.equal(first, torch.rand(3))
    assert torch.equal(state, torch.get_rng_state())
    with seeded(None):
        torch.rand(3)
    assert not torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("package", [tsgen, tsgen.data, tsgen.evaluation, tsgen.report])
def test_no_module_hides_a_public_name(package):
    """``from tsgen.data import split`` is the function, whatever was imported before."""
    for module in pkgutil.iter_modules(package.__path__):
        if module.name != "__main__":
            importlib.import_module(f"{package.__name__}.{module.name}")
    public = {name: getattr(package, name) for name in package.__all__}
    assert public and not any(map(inspect.ismodule, public.values()))
