"""Score-based generative models of stochastic differential equations."""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor

from tsgen.core import between
from tsgen.diffusion import SDE, VPSDE, DPMSolverPP, Parameterization, Sampler
from tsgen.diffusion.likelihood import evidence_bound, flow_log_prob
from tsgen.models.base import LogProb
from tsgen.models.diffusion.ddpm import DDPM

_NOISE = Parameterization("eps")


class ScoreSDE(DDPM):
    r"""A score model of a process :math:`dx = f x\, dt + g\, dW`.

    Song et al. 2021 (Score-based generative modeling through stochastic differential equations).
    Where the network predicts the noise, the score is :math:`-\varepsilon_\theta / \sigma` and
    the loss, :func:`DDPM.loss`'s, is eq 7 there with weights :math:`\sigma^2`. Its options, and

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        sde: the process: VP, sub-VP or VE.
        continuous: whether training draws any time in [t_min, 1], or the N steps of the chain.
        target: what the network predicts.
        likelihood_weighting: whether errors of the noise are weighted by :math:`g^2 / \sigma^2`,
            with which the loss bounds the negative log-likelihood (Song, Durkan, Murray, Ermon
            2021, ScoreFlow). Continuous training draws times by that density instead (importance
            sampling).
        t_min: the smallest time of continuous training, where the density is that of the data.
        divergence: of the exact log density: "exact", or "hutchinson", an unbiased estimate; the
            former for up to 16 elements if ``None``.
    """

    schedule: SDE

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        sde: SDE = VPSDE(),  # noqa: B008 (immutable)
        continuous: bool = True,
        sampler: Sampler = DPMSolverPP(),  # noqa: B008
        target: Literal["eps", "x0", "v"] = "eps",
        likelihood_weighting: bool = False,
        t_min: Annotated[float, between(0, 1, "()")] = 1e-3,
        divergence: Literal["exact", "hutchinson"] | None = None,
        loss_type: Literal["l2", "l1", "huber"] = "l2",
        residual_layers: int = 8,
        residual_channels: int = 8,
        dilation_cycle: int = 2,
        cond_channels: int = 1,
        network: Callable | None = None,
        given_rate: float = 0.0,
        given_patterns: tuple[Literal["cells", "channels", "steps"], ...] = ("cells",),
    ) -> None:
        super().__init__(
            event_shape, cond_shape, schedule=sde, sampler=sampler, target=target,
            loss_type=loss_type, residual_layers=residual_layers,
            residual_channels=residual_channels, dilation_cycle=dilation_cycle,
            cond_channels=cond_channels, network=network, continuous=continuous,
            given_rate=given_rate, given_patterns=given_patterns,
        )  # fmt: skip
        self.likelihood_weighting, self.t_min = likelihood_weighting, t_min
        self.divergence = divergence or ("exact" if self.event_shape.numel() <= 16 else None)

    @property
    def has_log_prob(self) -> LogProb:
        """Exact, but for the solver's error and, with many elements, the trace's estimate."""
        return "exact"

    def _draw_times(self, count: int) -> tuple[Tensor, Tensor | None]:
        device = self.times.device
        if self.likelihood_weighting:
            if self.continuous:
                t, total = self.schedule.likelihood_times(count, self.t_min)
                weight = torch.full_like(t, total)
            else:
                t = super()._draw_times(count)[0]
                weight = self.schedule.likelihood_weight(t)
            # an error of the target is one of the noise times a factor of its level
            alpha, sigma = self._at(t)
            noise, own = (p.weight(alpha, sigma) for p in (_NOISE, self.parameterization))
            return t.to(device), (weight * noise / own).to(device)
        if not self.continuous:
            return super()._draw_times(count)
        drawn = torch.rand(count, dtype=self.times.dtype, device=device)
        return 1 - (1 - self.t_min) * drawn, None

    def _log_prob(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        """Log density by the probability-flow ODE, (R,); see :func:`flow_log_prob`.

        It carries no gradient.

        Raises:
            ValueError: if a part of an event was not observed.
        """
        if observed is not None and not observed.bool().all():
            raise ValueError(
                "ScoreSDE: the log density of a partly observed event is not known; leave it out"
            )
        estimator = self.divergence or "hutchinson"
        return flow_log_prob(self.denoiser(cond), x, self.schedule, self.t_min, estimator)

    def lower_bound(self, x: Tensor, cond: Tensor, draws: int = 128) -> Tensor:
        """An unbiased estimate of a lower bound of the reverse SDE's log density, (*batch,).

        See :func:`evidence_bound`.

        Args:
            x: (*batch, *event_shape).
            cond: (*batch, *cond_shape).
            draws: times.
        """
        batch = self._batch(cond, x)
        rows, conds, *_ = self._rows(x, cond, None, None)
        denoise = self.denoiser(conds)
        return evidence_bound(denoise, rows, self.schedule, self.t_min, draws).view(batch)
