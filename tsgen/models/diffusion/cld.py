"""Score models of critically damped Langevin diffusion."""

import functools
import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.diffusion import CLD, SSCS, LangevinSampler
from tsgen.diffusion.cld import VelocityScore
from tsgen.models.base import LogProb
from tsgen.models.diffusion.drawing import ChainModel, cached_by_time
from tsgen.nets import DenoisingNet, DilatedResidualNet, Evaluator

MAX_DEVIATION = 4.0
"""Standard deviations at which the guess of the velocity's noise is cut off."""


class ScoreCLD(ChainModel):
    r"""A score model of :class:`~tsgen.diffusion.CLD`.

    Dockhorn, Vahdat, Kreis 2022, eq 9. With L the Cholesky factor of the marginal covariance,
    :math:`(x_t, v_t) = \mu_t + L_t (\varepsilon_x, \varepsilon_v)`, the network sees both and
    predicts how :math:`\varepsilon_v` differs from what it would be for N(0, 1) events
    (:meth:`~tsgen.diffusion.CLD.normal_noise`; the mixed score of appendix B.5 there, with x as
    well as v; where that is beyond four deviations it is cut off, for far from the data's bulk the
    guess is a bad one): the score of the velocity is :math:`-\varepsilon_v / L_{vv}`.
    Elements that were not observed are hidden from it and carry no loss.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        sde: the process.
        sampler: how samples are drawn.
        objective: "hybrid" marginalises the initial velocity, "denoising" draws it.
        likelihood_weighting: whether errors are weighted by :math:`\Gamma\beta / L_{vv}^2`, with
            which the loss bounds the negative log-likelihood.
        residual_layers: blocks of the network.
        residual_channels: width of the blocks.
        dilation_cycle: dilations 1, 2, ... repeat after this many blocks.
        cond_channels: conditioning features per position that reach the blocks.
        network: another network, as for :class:`DDPM`; it must take ``extra``.
    """

    partial: ClassVar[Literal["elements", "marginal", "drop"]] = "elements"

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        sde: CLD = CLD(),  # noqa: B008 (immutable)
        sampler: LangevinSampler = SSCS(),  # noqa: B008
        objective: Literal["hybrid", "denoising"] = "hybrid",
        likelihood_weighting: bool = False,
        residual_layers: int = 8,
        residual_channels: int = 8,
        dilation_cycle: int = 2,
        cond_channels: int = 1,
        network: Callable | None = None,
    ) -> None:
        super().__init__(event_shape, cond_shape)
        self.sde, self.sampler = sde, sampler
        self.hybrid, self.likelihood_weighting = objective == "hybrid", likelihood_weighting
        build = network or functools.partial(
            DilatedResidualNet,
            layers=residual_layers,
            channels=residual_channels,
            dilation_cycle=dilation_cycle,
            cond_channels=cond_channels,
        )
        self.net: DenoisingNet = build(tuple(event_shape), tuple(cond_shape), extra=1)

    @property
    @override
    def has_log_prob(self) -> LogProb:
        return "bound"  # all that the joint process has

    @property
    @override
    def process(self) -> CLD:
        return self.sde

    def _loss(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        """Error of the velocity's noise, mean over the elements, (R,)."""
        t = 1 - (1 - self.sde.t_min) * torch.rand(len(x), dtype=torch.float64)
        position, velocity, eps, size = self._noised(x, t)
        predict = functools.partial(self.net, conditioning=self.net.condition(cond))
        level = self._level(t, x)
        output = self._predict(predict, position, velocity, level, observed)
        error = (output - eps) ** 2
        loss = (error if observed is None else error * observed).flatten(1).mean(1)
        if self.likelihood_weighting:
            weight = self.sde.damping * self.sde.beta / size.flatten() ** 2
            loss = loss * weight.to(loss)
        return loss

    def _noised(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Position and velocity at times (rows,), the velocity's noise and its factor L_vv."""
        factor, root = (v.to(x) for v in self.sde.marginal(t, self.hybrid))

        def of(matrix: Tensor, i: int, j: int) -> Tensor:
            return matrix[:, i, j].view(-1, *[1] * len(self.event_shape))

        a, b = self.sde.noise(x), self.sde.noise(x)
        position = of(factor, 0, 0) * x + of(root, 0, 0) * a
        velocity = of(factor, 1, 0) * x + of(root, 1, 0) * a + of(root, 1, 1) * b
        if not self.hybrid:
            start = self.sde.noise(x) * (self.sde.gamma * self.sde.mass) ** 0.5
            position = position + of(factor, 0, 1) * start
            velocity = velocity + of(factor, 1, 1) * start
        return position, velocity, b, of(root, 1, 1)

    def _level(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """At times (rows,) or (1,), float64: factors of x and v in the noise, and the embedding."""
        usual = self.sde.normal_noise(t, self.hybrid).to(like)
        of_x, of_v = (part.view(-1, *[1] * len(self.event_shape)) for part in usual.unbind(-1))
        return of_x, of_v, self.net.embed(t.to(like.device))

    def _predict(
        self,
        predict: Callable[..., Tensor],
        x: Tensor,
        v: Tensor,
        level: tuple[Tensor, Tensor, Tensor],
        mask: Tensor | None = None,
    ) -> Tensor:
        """The velocity's noise at the times of a level."""
        of_x, of_v, time = level
        scaled = v / self.sde.mass**0.5
        extra = (scaled if mask is None else scaled * mask)[None]
        output = predict(x, time, observed=mask, extra=extra)
        return output + (of_x * x + of_v * v).clamp(-MAX_DEVIATION, MAX_DEVIATION)

    def velocity_score(self, cond: Tensor) -> VelocityScore:
        """The score of the velocity for a conditioning (rows, *cond_shape)."""
        return self.estimator(self.net.evaluator(cond), True)

    @override
    def estimator(self, evaluator: Evaluator, steady: bool) -> VelocityScore:
        like = next(self.parameters())

        def find(t: float) -> tuple[float, tuple[Tensor, Tensor, Tensor]]:
            time = torch.tensor([t], dtype=torch.float64)
            size = self.sde.marginal(time, self.hybrid)[1][0, 1, 1].item()
            return size, self._level(time, like)

        level_at = cached_by_time(find, grows=steady)

        def score(x: Tensor, v: Tensor, t: float) -> Tensor:
            size, level = level_at(t)
            return -self._predict(evaluator, x, v, level) / size

        return score

    def _log_prob(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        if observed is not None and not observed.bool().all():
            raise ValueError(
                "ScoreCLD: the log density of a partly observed event is not known; leave it out"
            )
        return self._bound(x, cond, 128)

    def lower_bound(self, x: Tensor, cond: Tensor, draws: int = 128) -> Tensor:
        r"""An unbiased estimate of a lower bound of the log density, (*batch,).

        With v drawn from its initial law (appendix B.3 there), :math:`\log p(x) \ge E[\log p(x, v)]
        + H(v)`, and of :math:`\log p(x, v)` the bound of
        :func:`~tsgen.diffusion.likelihood.evidence_bound` for this process.

        Args:
            x: (*batch, *event_shape).
            cond: (*batch, *cond_shape).
            draws: times.
        """
        batch = self._batch(cond, x)
        rows, conds, *_ = self._rows(x, cond, None, None)
        return self._bound(rows, conds, draws).view(batch)

    def _bound(self, rows: Tensor, cond: Tensor, draws: int) -> Tensor:
        sde, score = self.sde, self.velocity_score(cond)
        dims, size = tuple(range(1, rows.dim())), self.event_shape.numel()
        initial = sde.gamma * sde.mass
        entropy = 0.5 * size * (1 + math.log(2 * math.pi * initial))
        factor, root = (m[0] for m in sde.marginal(torch.ones(1, dtype=torch.float64)))
        spread = ((root @ root.T).diagonal() / sde.stationary.diagonal()).sum().item()
        # the divergence of the drift is -beta Gamma / M for each element
        bound = sde.prior_log_prob(
            factor[0, 0].item() * rows, factor[1, 0].item() * rows, dims=len(self.event_shape)
        )
        bound = bound + entropy - size * (spread / 2 + sde.beta * sde.damping / sde.mass)
        for number in range(draws):
            # stratified times, denser early, where the integrand changes fastest
            share = (number + torch.rand(1, dtype=torch.float64)) / draws
            t = sde.t_min + (1 - sde.t_min) * share**2
            density = 2 * share * (1 - sde.t_min)
            (a_x, a_v), (b_x, b_v), (l_x, _), (l_vx, l_v) = torch.cat(
                sde.marginal(t, hybrid=False), dim=1
            )[0].tolist()
            v = torch.randn_like(rows) * initial**0.5
            a, b = torch.randn_like(rows), torch.randn_like(rows)
            inside = torch.zeros_like(bound)
            for sign in (1, -1):
                position = a_x * rows + a_v * v + sign * l_x * a
                velocity = b_x * rows + b_v * v + sign * (l_vx * a + l_v * b)
                s = score(position, velocity, float(t))
                part = -(s**2).sum(dims) / 2 - sign * (s * b).sum(dims) / l_v
                # a control variate of mean zero: at high noise the rest is that
                part = part - (l_v / sde.mass) ** 2 * ((b**2).sum(dims) - size) / 2
                inside = inside + part / 2
            bound = bound + 2 * sde.damping * sde.beta * density.item() / draws * inside
        return bound
