"""Which implementation of the residual network runs.

==========  ======================================================================================
reference   the definition by torch's operators, differentiable to any order; slow
pieces      pieces of rows in a core's cache, with a written-out gradient: the default
triton      one kernel for all blocks on a GPU, for sampling; off by default, for no GPU has
            measured it
==========  ======================================================================================

``with backend("triton"): list(predictor.predict(...))`` is the switch.
"""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from tsgen.nets.residual.reference import Weights

Name = Literal["reference", "pieces", "triton"]
DEFAULT: Name = "pieces"
_forced: ContextVar[Name | None] = ContextVar("residual backend", default=None)

InputLayer = tuple[Tensor, Tensor]
"""Weight (c, features) and bias (c, 1) of the first layer."""


class Case(NamedTuple):
    """What a backend is asked to evaluate without gradients."""

    weights: Weights
    entry: InputLayer
    """The first layer for events without a mask."""
    conditioning: Tensor
    """(k, positions, rows)."""


Constraint = Callable[[Case], str | None]
"""What must hold, in words, if it does not."""


def one_feature(case: Case) -> str | None:
    """The kernel takes events (C,) alone."""
    alone = len(case.weights.output) == 1 and case.entry[0].shape[1] == 1
    return None if alone else "events (C,) without further arrays"


def small_width(case: Case) -> str | None:
    """The kernel holds all channels of a column in a thread's registers, whose number is 2^n."""
    width = case.weights.channels
    return None if width & (width - 1) == 0 and width <= 32 else "channels of 1, 2, 4, ..., 32"


def single_precision(case: Case) -> str | None:
    """The kernel's numbers are float32."""
    return None if case.conditioning.dtype == torch.float32 else "float32"


def some_rows(case: Case) -> str | None:
    """A launch needs a program."""
    return None if case.conditioning.shape[2] > 0 else "at least one row"


def on_gpu(case: Case) -> str | None:
    """The kernel is compiled for NVIDIA's GPUs."""
    return None if case.conditioning.device.type == "cuda" else "a CUDA device"


def triton_installed(case: Case) -> str | None:
    """Triton comes with torch for GPUs only."""
    return None if importlib.util.find_spec("triton") else "Triton, which is not installed"


CONSTRAINTS: dict[Name, tuple[Constraint, ...]] = {
    "reference": (),
    "pieces": (),
    "triton": (
        one_feature, small_width, single_precision, some_rows, on_gpu, triton_installed,
    ),
}  # fmt: skip
"""Of each backend what it needs."""


@contextmanager
def backend(name: Name) -> Iterator[None]:
    """Compute residual networks with one backend within.

    Calls with gradients, a mask or further arrays, which the kernel of "triton" does not take, run
    in pieces there.

    Raises:
        ValueError: for a name that no backend has.
    """
    if name not in CONSTRAINTS:
        raise ValueError(f"backend {name!r} does not exist; there are {', '.join(CONSTRAINTS)}")
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


def current_backend() -> Name:
    """The backend that was asked for, or the default."""
    return _forced.get() or DEFAULT


def unmet(name: Name, case: Case) -> list[str]:
    """What a backend needs and a case does not have."""
    return [text for constraint in CONSTRAINTS[name] if (text := constraint(case)) is not None]


def require(name: Name, case: Case) -> None:
    """Raise unless a backend can be used.

    Raises:
        ValueError: saying what it needs.
    """
    reasons = unmet(name, case)
    if reasons:
        raise ValueError(
            f"backend {name!r} cannot evaluate this network: it needs {', '.join(reasons)}; use "
            f"backend({DEFAULT!r})"
        )
