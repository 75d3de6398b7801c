"""Residual flows: identity plus a contraction."""

import math
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Transform, constraints
from torch.nn import functional
from zuko.lazy import LazyTransform

from tsgen.core import Count, Sizes, between
from tsgen.models.flows.base import Direction, Flow
from tsgen.models.flows.linear import ActNorm


class Contraction(nn.Module):
    r"""A network g(x, c) with :math:`\lvert g(x, c) - g(x', c) \rvert \le k \lvert x - x' \rvert`.

    Each matrix on the way from x is divided by what its largest singular value has too much
    (Behrmann et al. 2019, eq 4), :math:`W / \max(1, \lVert W \rVert_2 / \kappa)` with :math:`\kappa
    = k^{1 / \text{layers}}`; singular values are exact, not power iterations. Between the layers is
    LipSwish, :math:`a\, \sigma(\beta a) / 1.1` (Chen et al. 2019, section 3.2), whose slope stays
    below 1. The context is added in every layer and is not restricted.

    Args:
        features: E.
        context: K.
        hidden: sizes of the layers in between.
        coefficient: k, below 1.
    """

    def __init__(
        self, features: int, context: int, hidden: tuple[int, ...], coefficient: float
    ) -> None:
        super().__init__()
        sizes = (features, *hidden, features)
        self.sizes, self.coefficient = sizes[1:], coefficient
        self.limit = coefficient ** (1 / len(self.sizes))
        self.modulate = nn.Linear(context, sum(self.sizes))
        self.weights = nn.ParameterList(
            torch.empty(second, first) for first, second in zip(sizes, sizes[1:], strict=False)
        )
        for weight in self.weights:
            nn.init.orthogonal_(weight)
        self.sharpness = nn.ParameterList(torch.full((size,), 0.5) for size in hidden)

    def normalised(self) -> list[Tensor]:
        """The matrices, with singular values of at most the limit."""
        return [
            w / (torch.linalg.matrix_norm(w, ord=2) / self.limit).clamp_min(1.0)
            for w in self.weights
        ]

    def activation(self, number: int, a: Tensor) -> tuple[Tensor, Tensor]:
        """LipSwish between two layers, and its slope."""
        beta = functional.softplus(self.sharpness[number])
        gate = torch.sigmoid(beta * a)
        return a * gate / 1.1, gate * (1 + beta * a * (1 - gate)) / 1.1


class ResidualTransform(Transform):
    r"""The map :math:`y = x + g(x, c)` of a contraction g, with J its Jacobian.

    It is inverted by :math:`x \leftarrow y - g(x, c)`, whose error falls by the factor k or more in
    each step (Banach; Behrmann et al. 2019, algorithm 1). The inverse's derivatives are those of
    the implicit function theorem.

    Args:
        net: g.
        shifts: what g makes of the context, (rows, sum of the layers' sizes).
    """

    domain = codomain = constraints.real_vector
    bijective = True

    def __init__(self, net: Contraction, shifts: Tensor) -> None:
        super().__init__()
        self.net, self.weights = net, net.normalised()
        self.shifts = shifts.split(net.sizes, -1)

    def evaluate(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Values g (rows, E) and the slopes of the activations, each (rows, hidden)."""
        slopes: list[Tensor] = []
        value = x @ self.weights[0].mT + self.shifts[0]
        for number, (weight, shift) in enumerate(
            zip(self.weights[1:], self.shifts[1:], strict=True)
        ):
            value, slope = self.net.activation(number, value)
            slopes.append(slope)
            value = value @ weight.mT + shift
        return value, slopes

    def times(self, slopes: list[Tensor], v: Tensor) -> Tensor:
        """J v for vectors (*, rows, E)."""
        v = v @ self.weights[0].mT
        for weight, slope in zip(self.weights[1:], slopes, strict=True):
            v = (v * slope) @ weight.mT
        return v

    def times_transposed(self, slopes: list[Tensor], v: Tensor) -> Tensor:
        """Transposed J times v for vectors (*, rows, E)."""
        v = v @ self.weights[-1]
        for weight, slope in zip(reversed(self.weights[:-1]), reversed(slopes), strict=True):
            v = (v * slope) @ weight
        return v

    def jacobian(self, slopes: list[Tensor]) -> Tensor:
        """I + J, (rows, E, E)."""
        eye = torch.eye(self.weights[0].shape[1]).to(slopes[0])
        columns = self.times(slopes, eye[:, None].expand(-1, len(slopes[0]), -1))
        return eye + columns.permute(1, 2, 0)

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values y (rows, E) and the log-determinant (rows,), exactly."""
        g, slopes = self.evaluate(x)
        return x + g, torch.linalg.slogdet(self.jacobian(slopes)).logabsdet

    def call_and_estimate(self, x: Tensor, weights: list[float]) -> tuple[Tensor, Tensor]:
        r"""Values y (rows, E) and an estimate of the log-determinant (rows,).

        .. math:: \sum_{k=1}^n w_k \frac{(-1)^{k+1}}{k} v^\top J^k v

        with one vector v of random signs for each row (Behrmann et al. 2019, eq 7; Chen et al.
        2019, eq 6). Its gradient is not the sum's but has the same mean,
        :math:`\sum_k w_k (-1)^{k+1} v^\top J^{k-1} (\partial J) v` (Chen et al. 2019, eq 8): it
        needs no graph but that of one product with J.

        Args:
            x: (rows, E).
            weights: w.
        """
        g, slopes = self.evaluate(x)
        v = torch.randint(2, x.shape, device=x.device).to(x) * 2 - 1
        with torch.no_grad():
            power, value, left = v, torch.zeros_like(x[:, 0]), torch.zeros_like(v)
            for k, weight in enumerate(weights, 1):
                sign = weight if k % 2 else -weight
                left = left + sign * power
                power = self.times_transposed(slopes, power)
                value = value + sign / k * (power * v).sum(-1)
        estimate = (left * self.times(slopes, v)).sum(-1)
        return x + g, value + estimate - estimate.detach()

    def _call(self, x: Tensor) -> Tensor:
        return x + self.evaluate(x)[0]

    def _inverse(self, y: Tensor) -> Tensor:
        with torch.no_grad():
            sizes = (y, *self.shifts)
            scale = 1 + sum(size.abs().amax(-1, keepdim=True) for size in sizes)
            x, tiny, factor = y, 16 * torch.finfo(y.dtype).eps, self.net.coefficient
            for _ in range(math.ceil(math.log(tiny * (1 - factor)) / math.log(factor))):
                previous, x = x, y - self.evaluate(x)[0]
                step = (x - previous).abs() / scale
                if (step <= tiny).all():
                    break
            if not (step <= 100 * tiny).all():
                raise RuntimeError(
                    "the fixed-point iteration for a residual layer's inverse did not converge: "
                    f"its last step was {step.max().item()}; look for NaN in x, cond and the "
                    "parameters"
                )
        if not torch.is_grad_enabled():
            return x
        g, slopes = self.evaluate(x)
        return x + torch.linalg.solve(self.jacobian(slopes).detach(), y - x - g)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Exactly, (rows,)."""
        return self.call_and_ladj(x)[1]


class ResidualLayer(LazyTransform):
    """One block of :class:`ResidualFlow`; its arguments are those of :class:`Contraction`."""

    def __init__(
        self, features: int, context: int, hidden: tuple[int, ...], coefficient: float
    ) -> None:
        super().__init__()
        self.net = Contraction(features, context, hidden, coefficient)

    def forward(self, c: Tensor) -> Transform:
        """The transform for a context (rows, K)."""
        return ResidualTransform(self.net, self.net.modulate(c))


class ResidualFlow(Flow):
    r"""Residual flow (Behrmann et al. 2019, i-ResNet; Chen et al. 2019, Residual flows).

    Blocks :math:`x \mapsto x + g(x, c)`, Lip(g) < 1, with activation normalisation after each. With
    J the Jacobian of g, a block's log-determinant is

    .. math:: \log \lvert \det (I + J) \rvert
        = \sum_{k=1}^\infty \frac{(-1)^{k+1}}{k} \operatorname{tr}(J^k)

    (Behrmann et al. 2019, eq 6 and 7). :meth:`log_prob` takes the determinant, which costs E
    products with J and :math:`E^3` operations for each example. The training loss may estimate the
    series, with :math:`v^\top J^k v` for the traces: its first ``num_terms`` terms
    (``"truncated"``, biased), or those and N more (``"roulette"``), each divided by the chance that
    it is reached (Chen et al. 2019, theorem 1, eq 6), which is unbiased. N is geometric, drawn for
    each block and shared by the batch; a further term comes with probability ``coefficient``, so
    that the estimate's variance is finite whatever the weights.

    A density takes one pass; a sample takes a fixed-point iteration in each block. So only
    ``direction="density"`` can be trained.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        num_blocks: how many.
        hidden: sizes of the hidden layers of each g.
        coefficient: bound of Lip(g), above 0 and below 1.
        log_det: the log-determinant in the training loss: ``"exact"``, ``"truncated"`` or
            ``"roulette"``; ``None`` is exact up to 4 elements and roulette above.
        num_terms: terms of the series that are taken for certain.
        direction: must be ``"density"``.
    """

    inversion: str = "fixed point"
    trains_inverted: ClassVar[bool] = False

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        num_blocks: Count = 8,
        hidden: Sizes = (64, 64),
        coefficient: Annotated[float, between(0, 1, "()")] = 0.9,
        log_det: Literal["exact", "truncated", "roulette"] | None = None,
        num_terms: Count = 4,
        direction: Direction = "density",
    ) -> None:
        super().__init__(event_shape, cond_shape, direction)
        size = self.event_shape.numel()
        self.log_det = log_det or ("exact" if size <= 4 else "roulette")
        self.coefficient, self.num_terms = coefficient, num_terms
        self.width = num_blocks * (sum(hidden) + size)
        layers: list[LazyTransform] = []
        for _ in range(num_blocks):
            layers.append(ResidualLayer(size, self.context_size, hidden, coefficient))
            layers.append(ActNorm(self.event_shape[-1]))
        self.compose(*layers, location_scale=True)

    @property
    def working_size(self) -> int:
        """What the blocks make of the context, and an evaluation of one."""
        return 2 * self.width + 8 * self.event_shape.numel()

    def _log_prob_estimate(self, x: Tensor, context: Tensor) -> Tensor:
        if self.log_det == "exact":
            return super()._log_prob_estimate(x, context)
        parts: Any = self._shape(context)
        total = x.new_zeros(len(x))
        for part in parts.transforms:
            if isinstance(part, ResidualTransform):
                x, log_det = part.call_and_estimate(x, self.term_weights())
            else:
                x, log_det = part.call_and_ladj(x)
            total = total + log_det
        return self._log_normal(x) + total

    def term_weights(self) -> list[float]:
        """Weights of the series' terms: 1, and one over its chance for each that is drawn."""
        weights = [1.0] * self.num_terms
        if self.log_det == "roulette":
            more = int(math.log(1 - torch.rand(()).item()) / math.log(self.coefficient))
            weights += [self.coefficient**-k for k in range(1, more + 1)]
        return weights
