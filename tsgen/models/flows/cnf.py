"""The continuous normalizing flow of zuko, with a bound on its evaluations."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Transform
from zuko.flows.continuous import FFJTransform
from zuko.transforms import FreeFormJacobianTransform

from tsgen.core import Count, Positive, Sizes
from tsgen.models.flows.base import Direction, Flow
from tsgen.models.flows.ffjord import Solution


class _Capped:
    """A field that refuses to be called without end: zuko's solver knows no other limit."""

    def __init__(self, field: Callable[[Tensor, Tensor], Tensor], max_num_steps: int) -> None:
        self.field, self.max_num_steps, self.left = field, max_num_steps, 7.0 * max_num_steps

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0 or not x.isfinite().all():
            raise RuntimeError(
                f"CNFFlow: the adaptive solver found no way in max_num_steps={self.max_num_steps} "
                "steps of finite numbers; loosen atol and rtol, or look for NaN in x, cond and "
                "the parameters"
            )
        return self.field(t, x)


class CNFTransform(Solution):
    """zuko's :class:`FreeFormJacobianTransform`, with a limit to its steps.

    Args:
        layer: field, tolerances and limit.
        c: context (rows, K).
        backwards: from time 1 to time 0.
    """

    def __init__(self, layer: "CNFLayer", c: Tensor, backwards: bool = False) -> None:
        super().__init__()
        self.layer, self.c, self.backwards = layer, c, backwards

    @property
    def inv(self) -> Transform:
        """The same field, the other way."""
        return CNFTransform(self.layer, self.c, not self.backwards)

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The state after (rows, E) and the log-determinant (rows,), in one solve."""
        return self._solve(x, "call_and_ladj")

    def _call(self, x: Tensor) -> Tensor:
        return self._solve(x, "_call")

    def _solve(self, x: Tensor, method: str) -> Any:
        layer = self.layer
        field = _Capped(partial(layer.f, c=self.c), layer.max_num_steps)
        ends = layer.times.flip(0) if self.backwards else layer.times
        solution = FreeFormJacobianTransform(
            field, *ends, (self.c, *layer.ode.parameters()), layer.atol, layer.rtol, exact=True
        )
        result = getattr(solution, method)(x)
        field.left = float("inf")  # the way back repeats the steps found
        return result


class CNFLayer(FFJTransform):
    """zuko's layer, with a bounded field, for all modes, and with a limit to its steps."""

    def __init__(
        self,
        features: int,
        context: int,
        hidden: tuple[int, ...],
        atol: float,
        rtol: float,
        max_num_steps: int,
    ) -> None:
        super().__init__(
            features,
            context,
            freqs=1,
            atol=atol,
            rtol=rtol,
            hidden_features=hidden,
            activation=nn.Tanh,
        )
        self.max_num_steps = max_num_steps
        with torch.no_grad():  # slow at first
            for parameter in self.ode[-1].parameters():
                parameter.mul_(0.1)

    def forward(self, c: Tensor) -> Transform:
        """The transform for a context (rows, K)."""
        return CNFTransform(self, c)


class CNFFlow(Flow):
    r"""Continuous flow with zuko's adaptive Dormand-Prince solver (Chen et al. 2018, section 4).

    The equation and the density are those of :class:`FFJORDFlow`; the field is a plain network of
    event, context and :math:`\cos \pi t, \sin \pi t`. The trace is exact always, and gradients come
    from the steps that the solver kept (Zhuang et al. 2020, Adaptive checkpoint adjoint).

    Density and samples cost one solve each, in either ``direction``. How many steps it has depends
    on the field and on the worst event of the batch, so a batch's composition matters to the
    tolerances.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        hidden: sizes of the field's hidden layers.
        atol: absolute error allowed in a step (100 times as much for the log-determinant).
        rtol: error allowed in a step relative to the state.
        max_num_steps: steps that a solve may try; beyond them it raises ``RuntimeError``.
        direction: which way time runs.
    """

    inversion: str = "as many steps backwards"

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        hidden: Sizes = (64, 64),
        atol: Positive = 1e-5,
        rtol: Positive = 1e-4,
        max_num_steps: Count = 1000,
        direction: Direction = "density",
    ) -> None:
        super().__init__(event_shape, cond_shape, direction)
        self.width = self.context_size + sum(hidden)
        size = self.event_shape.numel()
        layer = CNFLayer(size, self.context_size, hidden, atol, rtol, max_num_steps)
        self.compose(layer, location_scale=True)

    @property
    def working_size(self) -> int:
        """Context and hidden layers, and the stages of a step."""
        return 2 * self.width + 16 * self.event_shape.numel()
