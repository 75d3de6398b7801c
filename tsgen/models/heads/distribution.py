"""Explicit-likelihood heads: the Gaussian and Student's t.

Independent, low-rank or with full covariance.
"""

import math
from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.distributions import Gamma
from torch.nn import functional as F
from typing_extensions import override

from tsgen.core import OptionError
from tsgen.models.base import GenerativeModel, LogProb
from tsgen.models.composite import composite_log_prob
from tsgen.nets import MLP

_FLOOR = 1e-4
_ONE = math.log(math.expm1(1.0))  # softplus of this is one


class _Shape(NamedTuple):
    """Parameters of an elliptical law."""

    loc: Tensor
    """(rows, E)."""
    scale: Tensor
    """(rows, E)."""
    factors: Tensor | None
    """In units of the scale, (rows, E, r) or (rows, E, E)."""
    tails: Tensor
    """(rows, E or 1)."""


class EllipticalHead(GenerativeModel):
    r"""A location, a scale matrix and a radial law, read off the conditioning by a small network.

    With :math:`E` elements, the scale matrix is :math:`\Sigma = D^2` (``"diagonal"``),
    :math:`D (I + W W^\top) D` with W of shape (E, rank) (``"low_rank"``: Salinas et al. 2019,
    eq 5), or :math:`D L L^\top D` (``"full"``), with D diagonal and positive and L unit lower
    triangular. W and L are in units of D: factors on the data's own scale would have to be learnt
    to a precision of D, which a step of the optimiser spoils.

    A partly observed event is scored by its marginal law: the rows of what is missing are cut out.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D); in the second case each step's parameters come from its own
            conditioning.
        covariance: "diagonal", "low_rank" or "full" (at most 256 elements).
        rank: columns of W.
        hidden: sizes of the network's hidden layers.
    """

    partial: ClassVar[Literal["elements", "marginal", "drop"]] = "marginal"
    heavy_tails: ClassVar[bool] = False
    """Whether the radial law has parameters."""

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        covariance: Literal["diagonal", "low_rank", "full"] = "diagonal",
        rank: int = 8,
        hidden: tuple[int, ...] = (64,),
    ) -> None:
        super().__init__(event_shape, cond_shape)
        self.covariance = covariance
        size = self.event_shape.numel()
        if covariance == "full" and size > 256:
            raise OptionError(
                type(self).__name__, "covariance", covariance, "'low_rank' above 256 elements",
                f"of {size} it would need {size}^2 parameters",
            )  # fmt: skip
        self.rank = (
            min(rank, size) if covariance == "low_rank" else size if covariance == "full" else 0
        )
        # with one conditioning per step, each step's parameters are a function of it, the same at
        # all steps
        self.per_step = len(cond_shape) == 2 and covariance != "full"
        outputs = self.event_shape[-1] if self.per_step else size
        self.num_tails = (outputs if covariance == "diagonal" else 1) if self.heavy_tails else 0
        self.net = MLP(
            self.cond_shape[-1] if self.per_step else self.cond_shape.numel(),
            outputs * (2 + self.rank) + self.num_tails,
            tuple(hidden),
        )
        # start without correlation: factors that explain what the location could are slow to give
        # it up again
        last = cast(nn.Linear, self.net.layers[-1])
        with torch.no_grad():
            for p in (last.weight, last.bias):
                p[2 * outputs : (2 + self.rank) * outputs] *= 0.01

    @abstractmethod
    def _log_density(
        self, squared: Tensor, log_det: Tensor, count: Tensor, tails: Tensor
    ) -> Tensor:
        """Log density from squared Mahalanobis distance, log det of the scale matrix and count.

        The count is that of the elements. For an independent law the first two are elementwise and
        ``count`` is the mask.
        """

    @abstractmethod
    def _radius(self, tails: Tensor) -> Tensor:
        """Draw the radial factor, shaped like ``tails``."""

    @override
    @property
    def has_log_prob(self) -> LogProb:
        return "exact"

    def _parameters_of(self, cond: Tensor) -> _Shape:
        """(rows, *cond_shape) -> parameters."""
        size = self.event_shape.numel()
        out = self.net(cond if self.per_step else cond.flatten(1))
        out, tails = out.split([out.shape[-1] - self.num_tails, self.num_tails], -1)
        parts = out.unflatten(-1, (2 + self.rank, -1)).unbind(-2)
        loc, raw, *columns = [v.reshape(len(cond), size) for v in parts]
        factors = torch.stack(columns, -1) / math.sqrt(self.rank) if self.rank else None
        tails = tails.reshape(len(cond), -1)
        if tails.shape[1] > 1 and self.covariance != "diagonal":
            # one of each step; the law has one
            tails = tails.mean(1, keepdim=True)
        return _Shape(loc, F.softplus(raw + _ONE) + _FLOOR, factors, tails)

    def _log_prob(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        """Exact log density of the observed elements, (R,)."""
        p, mask = self._law(cond, observed)
        return self._joint(x.flatten(1), p, mask, observed is not None)

    def _loss(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        """Negative log density of the observed elements, (R,).

        With a covariance, the location learns by the marginal densities, see
        :func:`~tsgen.models.composite.composite_log_prob`.
        """
        p, mask = self._law(cond, observed)
        x = x.flatten(1)
        if p.factors is None:
            return -self._joint(x, p, mask, observed is not None)
        joint = self._joint(x, p._replace(loc=p.loc.detach()), mask, observed is not None)
        columns = p.factors if self.covariance == "low_rank" else torch.tril(p.factors, -1)
        spread = (p.scale * (1 + (columns**2).sum(-1)).sqrt()).detach()
        marginal = self._elementwise(x, p._replace(scale=spread, tails=p.tails.detach()), mask)
        return -composite_log_prob(joint, marginal)

    def _law(self, cond: Tensor, observed: Tensor | None) -> tuple[_Shape, Tensor]:
        """Parameters and mask (rows, E)."""
        p = self._parameters_of(cond)
        return p, torch.ones_like(p.loc) if observed is None else observed.flatten(1)

    def _elementwise(self, x: Tensor, p: _Shape, mask: Tensor) -> Tensor:
        """Sum of the log densities of independent elements, (rows,)."""
        scaled = torch.where(mask > 0, x - p.loc, 0.0) / p.scale
        return self._log_density(scaled**2, 2 * p.scale.log() * mask, mask, p.tails).sum(-1)

    def _joint(self, x: Tensor, p: _Shape, mask: Tensor, partly: bool) -> Tensor:
        """Log density of the observed elements, (rows,)."""
        if p.factors is None:
            return self._elementwise(x, p, mask)
        scaled = torch.where(mask > 0, x - p.loc, 0.0) / p.scale
        squared, log_det = self._quadratic(scaled, p, mask, partly)
        return self._log_density(squared, log_det, mask.sum(-1), p.tails)

    def _quadratic(
        self, scaled: Tensor, p: _Shape, mask: Tensor, partly: bool
    ) -> tuple[Tensor, Tensor]:
        """Squared Mahalanobis distance and log det of the scale matrix, both (rows,).

        The matrix is that of the observed part. ``scaled`` is the difference over the scale, 0
        where missing.
        """
        assert p.factors is not None
        kind = scaled.dtype
        log_det = 2 * (p.scale.log() * mask).sum(-1)
        # strong factors: nearly singular
        scaled, mask, w = scaled.double(), mask.double(), p.factors.double()
        if self.covariance == "low_rank":
            w = w * mask[..., None]
            root = torch.linalg.cholesky(
                w.mT @ w + torch.eye(self.rank, dtype=w.dtype, device=w.device)
            )
            pulled = torch.linalg.solve_triangular(root, w.mT @ scaled[..., None], upper=False)
            squared = (scaled**2).sum(-1) - (pulled**2).sum((-2, -1))
        else:
            root = torch.tril(w, -1) + torch.eye(w.shape[-1], dtype=w.dtype, device=w.device)
            if partly:
                matrix = root @ root.mT * mask[..., None] * mask[..., None, :]
                root = torch.linalg.cholesky(matrix + torch.diag_embed(1 - mask))
            squared = (
                torch.linalg.solve_triangular(root, scaled[..., None], upper=False) ** 2
            ).sum((-2, -1))
        log_det_root = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return squared.clamp_min(0).to(kind), log_det + (2 * log_det_root).to(kind)

    def _sample(self, cond: Tensor, times: Tensor | None) -> Tensor:
        """Draw, (R, *event_shape)."""
        p = self._parameters_of(cond)
        noise = torch.randn_like(p.loc)
        if p.factors is None:
            spread = noise
        elif self.covariance == "low_rank":
            few = torch.randn(len(cond), self.rank, 1, dtype=p.loc.dtype, device=p.loc.device)
            spread = noise + (p.factors @ few)[..., 0]
        else:
            spread = noise + (torch.tril(p.factors, -1) @ noise[..., None])[..., 0]
        x = p.loc + self._radius(p.tails) * p.scale * spread
        return x.unflatten(1, self.event_shape)


class Gaussian(EllipticalHead):
    """Normal law; see :class:`EllipticalHead` for the arguments.

    With ``"low_rank"`` it is the density of GPVAR.
    """

    def _log_density(
        self, squared: Tensor, log_det: Tensor, count: Tensor, tails: Tensor
    ) -> Tensor:
        return -0.5 * (squared + log_det + count * math.log(2 * math.pi))

    def _radius(self, tails: Tensor) -> Tensor:
        return tails.new_ones(())


class StudentT(EllipticalHead):
    r"""Student's t; see :class:`EllipticalHead` for the arguments.

    With ``"diagonal"`` the elements are independent and each has its own degrees of freedom; else
    the law is the multivariate t with one :math:`\nu` (Kotz, Nadarajah 2004, eq 1.1), whose
    marginals are t with the same :math:`\nu`. :math:`\nu > 2`, so the variance is finite.
    """

    heavy_tails: ClassVar[bool] = True

    def _freedom(self, tails: Tensor) -> Tensor:
        return 2.01 + 8 * F.softplus(tails + _ONE)

    def _log_density(
        self, squared: Tensor, log_det: Tensor, count: Tensor, tails: Tensor
    ) -> Tensor:
        nu = self._freedom(tails)
        nu = nu if squared.dim() == 2 else nu[:, 0]
        normaliser = torch.lgamma((nu + count) / 2) - torch.lgamma(nu / 2)
        return (
            normaliser
            - 0.5 * (log_det + count * (nu * math.pi).log())
            - 0.5 * (nu + count) * torch.log1p(squared / nu)
        )

    def _radius(self, tails: Tensor) -> Tensor:
        half = self._freedom(tails) / 2
        return torch.rsqrt(Gamma(half, half).rsample())
