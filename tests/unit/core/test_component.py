import functools
import importlib
import inspect
import pkgutil
from typing import Literal

import pytest
import torch
from gluonts.core.serde import dump_json, load_json

import tsgen
import tsgen.data
import tsgen.evaluation
import tsgen.report
from tsgen.core import Component, Options, Registry, seeded


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
        ({"count": 1.9}, "count=1.9 is not of type int"),
        ({"count": "3"}, "count='3' is not of type int"),
        ({"count": True}, "count=True is not of type int"),
        ({"count": 1, "rate": "fast"}, "rate='fast' is not of type float"),
        ({"count": 1, "kind": "c"}, "kind='c': unexpected value; permitted: 'a', 'b'"),
        ({"count": 1, "size": 2.5}, "size=2.5 is not of type"),
        ({"count": 1, "size": "some"}, "size='some'"),
        ({"count": 1, "names": (1, 2)}, "is not of type"),
        ({"count": 1, "pair": (1.0, 2.0, 3.0)}, "wrong tuple length 3"),
        ({}, "count: field required"),
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
    with pytest.raises(ValueError, match="instance of Base expected"):
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
