"""Continuous flows: the noise is where a differential equation carries the event."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Transform, constraints
from zuko.lazy import LazyTransform
from zuko.transforms import ComposedTransform

from tsgen.core import Count, Sizes
from tsgen.dynamics import ODESolver, solve_ode
from tsgen.models.flows.base import Direction, Flow


class ConcatSquash(nn.Module):
    r"""A vector field of concat-squash layers (Grathwohl et al. 2019, appendix B.1).

    A layer is :math:`h \mapsto (W h)\, \sigma(u_g(t, c)) + u_s(t, c)`, with u linear in time and
    context and tanh between layers. So the field is bounded: far away the flow is nearly a shift.

    Derivatives go through the layers along with the values: they need no graph, and their own
    gradients take one pass backwards.

    Args:
        features: E.
        context: K.
        hidden: sizes of the layers in between, at least one.
    """

    def __init__(self, features: int, context: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = (*hidden, features)
        total = sum(self.sizes)
        self.modulate = nn.Linear(context, 2 * total)
        self.time = nn.Parameter(torch.randn(2 * total))
        self.layers = nn.ModuleList(
            nn.Linear(first, second, bias=False)
            for first, second in zip((features, *hidden), self.sizes, strict=True)
        )
        with torch.no_grad():  # slow at first
            for tensor in (self.modulate.weight, self.modulate.bias, self.time):
                tensor[-features:].mul_(0.1)
            for parameter in self.layers[-1].parameters():
                parameter.mul_(0.1)

    def forward(
        self, t: Tensor, x: Tensor, modulation: Tensor, directions: Tensor
    ) -> tuple[Tensor, Tensor]:
        r"""Velocities, and their derivatives in some directions.

        Args:
            t: time, ().
            x: (rows, E).
            modulation: what ``modulate`` makes of the context, (rows, twice the layers' sizes).
            directions: v, (V, rows, E); V may be 0.

        Returns:
            f (rows, E) and :math:`(\partial f / \partial x) v`, (V, rows, E).
        """
        gates, shifts = torch.addcmul(modulation, t, self.time).chunk(2, -1)
        h = torch.cat([x[None], directions])
        *hidden, last = zip(
            self.layers,
            gates.sigmoid().split(self.sizes, -1),
            shifts.split(self.sizes, -1),
            strict=True,
        )
        for layer, gate, shift in hidden:
            h = layer(h) * gate
            value = (h[0] + shift).tanh()
            h = torch.cat([value[None], h[1:] * (1 - value**2)])
        layer, gate, shift = last
        h = layer(h) * gate
        return h[0] + shift, h[1:]


class Solution(Transform):
    """The state after a fixed time, as a function of the state before."""

    domain = codomain = constraints.real_vector
    bijective = True

    @abstractmethod
    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The state after (rows, E) and the log-determinant (rows,), in one solve."""

    def _inverse(self, y: Tensor) -> Tensor:
        return self.inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The log-determinant at x, (rows,)."""
        return self.call_and_ladj(x)[1]


class FFJORDTransform(Solution):
    r"""The solution of :math:`dx / dt = f(t, x)` from time 0 to time 1, or back.

    .. math:: \log \lvert \det \partial x(t_1) / \partial x(t_0) \rvert
        = \int_{t_0}^{t_1} \operatorname{tr}(\partial f / \partial x) \, dt

    Both integrals are the solver's, so the log-determinant is that of the solution up to the
    solver's error.

    Args:
        field: f.
        modulation: what f makes of the context.
        solver: how the equation is solved.
        exact: the trace itself; else :math:`v^\top (\partial f / \partial x) v` with one vector v
            of random signs for each row and the whole solve.
        backwards: from time 1 to time 0.
    """

    def __init__(
        self,
        field: ConcatSquash,
        modulation: Tensor,
        solver: ODESolver,
        exact: bool = True,
        backwards: bool = False,
    ) -> None:
        super().__init__()
        self.field, self.modulation, self.solver = field, modulation, solver
        self.exact, self.backwards = exact, backwards

    @property
    def inv(self) -> Transform:
        """The same field, the other way."""
        return FFJORDTransform(
            self.field, self.modulation, self.solver, self.exact, not self.backwards
        )

    def estimated(self) -> Transform:
        """The same with an unbiased estimate of the log-determinant."""
        return FFJORDTransform(self.field, self.modulation, self.solver, False, self.backwards)

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The state after (rows, E) and the log-determinant (rows,), in one solve."""
        if self.exact:
            basis = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
            directions = basis[:, None].expand(-1, len(x), -1)
        else:
            directions = torch.randint(2, (1, *x.shape), device=x.device).to(x) * 2 - 1

        def field(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            velocity, slopes = self.field(t, state[0], self.modulation, directions)
            return velocity, (slopes * directions).sum((0, -1))

        return self._solve(field, (x, x.new_zeros(len(x))))

    def _call(self, x: Tensor) -> Tensor:
        none = x.new_empty(0, *x.shape)
        return self._solve(lambda t, x: self.field(t, x, self.modulation, none)[0], x)

    def _solve(self, field: Callable[[Tensor, Any], Any], start: Any) -> Any:
        ends = (1.0, 0.0) if self.backwards else (0.0, 1.0)
        needed = (self.modulation, self.field.time, *self.field.layers.parameters())
        return solve_ode(field, start, *ends, self.solver, needed)


class FFJORDLayer(LazyTransform):
    """One differential equation of :class:`FFJORDFlow`; its parts are those of the transform."""

    def __init__(
        self, features: int, context: int, hidden: tuple[int, ...], solver: ODESolver
    ) -> None:
        super().__init__()
        self.field, self.solver = ConcatSquash(features, context, hidden), solver

    def forward(self, c: Tensor) -> Transform:
        """The transform for a context (rows, K)."""
        return FFJORDTransform(self.field, self.field.modulate(c), self.solver)


class FFJORDFlow(Flow):
    r"""Free-form continuous flow (Grathwohl et al. 2019, FFJORD, eq 3-7).

    An event is carried to noise along a vector field that any network may give. With
    :math:`dx / dt = f(t, x, c)`, x(0) the event and x(1) the noise,

    .. math:: \log p(x \mid c) = \log N(x(1)) + \int_0^1 \operatorname{tr}(\partial f/\partial x) dt

    Density and samples cost one solve each, in either ``direction``: with the default solver 32
    calls of the field. A density's calls cost 1 + E times as much for the trace itself, twice for
    its estimate. The density is exact up to the solver's error, which
    ``solver=ODESolver(num_steps=...)`` controls.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        num_blocks: differential equations, one after another.
        hidden: sizes of the hidden layers of each one's field.
        divergence: the trace in the training loss: ``"exact"``, or Hutchinson's unbiased estimate
            with noise drawn once for each example and solve; ``None`` is exact up to 8 elements.
            :meth:`log_prob` is exact always.
        solver: how the equations are solved. Fixed steps keep the examples of a batch apart;
            adaptive ones are chosen for all at once.
        direction: which way time runs.
    """

    inversion: str = "as many steps backwards"

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        num_blocks: Count = 1,
        hidden: Sizes = (64, 64),
        divergence: Literal["exact", "hutchinson"] | None = None,
        solver: ODESolver = ODESolver(),  # noqa: B008
        direction: Direction = "density",
    ) -> None:
        super().__init__(event_shape, cond_shape, direction)
        size = self.event_shape.numel()
        self.divergence = divergence or ("exact" if size <= 8 else "hutchinson")
        self.width = num_blocks * (sum(hidden) + size)
        layers = (FFJORDLayer(size, self.context_size, hidden, solver) for _ in range(num_blocks))
        self.compose(*layers, location_scale=True)

    @property
    def working_size(self) -> int:
        """What the fields make of the context, and the stages of a step."""
        return 4 * self.width + 16 * self.event_shape.numel()

    def _log_prob_estimate(self, x: Tensor, context: Tensor) -> Tensor:
        if self.divergence == "exact":
            return super()._log_prob_estimate(x, context)
        parts: Any = self._shape(context)
        estimates = ComposedTransform(*(part.estimated() for part in parts.transforms))
        z, log_det = estimates.call_and_ladj(x)
        return self._log_normal(z) + log_det
