"""Denoising diffusion probabilistic model."""

import functools
import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tsgen.diffusion import (
    Ancestral,
    LinearSchedule,
    Parameterization,
    Sampler,
    Schedule,
)
from tsgen.diffusion.guidance import ClassifierFree, Guidance, Reconstruction
from tsgen.diffusion.samplers import Denoiser, visited
from tsgen.diffusion.schedules import VariancePreserving
from tsgen.models.base import repeat
from tsgen.models.diffusion.drawing import ChainModel, Conditioned, remembered
from tsgen.models.kinds import Diffusion
from tsgen.nets import DilatedResidualNet


class DDPM(ChainModel, Diffusion):
    r"""Denoising diffusion (Ho, Jain, Abbeel 2020) with TimeGrad's network (Rasul et al. 2021).

    Training draws a step :math:`n \sim U\{1, \dots, N\}` and noise :math:`\varepsilon` and
    minimises

    .. math:: \lVert f(x, \varepsilon) - f_\theta(\alpha_n x + \sigma_n \varepsilon, n, c) \rVert^2,

    for the target f (the noise by default: eq 14 of the paper). Elements that were not observed are
    hidden from the network, which sees what is hidden, and carry no loss. Where the process does
    not keep the variance, the network sees the noised event divided by
    :math:`\sqrt{\alpha^2 + \sigma^2}`.

    With a ``given_rate`` a random part of an example's observed elements is given to the network
    without noise and carries no loss, and what was not observed is noise around zero to it
    (Tashiro, Song, Song, Ermon 2021, CSDI, section 4.2). Such a model draws the rest given some,
    and, as it meets examples that are given nothing, can guide itself by the difference (Ho,
    Salimans 2022, Classifier-free diffusion guidance).

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        schedule: the forward process.
        target: what the network predicts: "eps", "x0" or "v".
        sampler: how samples are drawn; ``use_sampler`` changes it afterwards.
        loss_type: "l2", "l1" or "huber" distance.
        min_snr: caps the signal-to-noise ratio with which steps are weighted (Hang et al. 2023,
            Min-SNR-gamma); ``None`` weights the target's error equally at all steps.
        residual_layers: blocks of the network.
        residual_channels: width of the blocks.
        dilation_cycle: dilations 1, 2, ... repeat after this many blocks.
        cond_channels: conditioning features per position that reach the blocks.
        network: another network, a class or ``functools.partial`` that takes ``event_shape`` and
            ``cond_shape`` and has the methods of ``DilatedResidualNet``; the four options before
            are TimeGrad's network's.
        continuous: whether training draws any time in (0, 1], not only the N steps, so that the
            model knows every noise level.
        given_rate: share of the training examples of which a part is given.
        given_patterns: what may be given, with equal chances: "cells" is any elements, "channels"
            whole channels, "steps" all up to some step. Each is given in a share that is uniform.
    """

    partial: ClassVar[Literal["elements", "marginal", "drop"]] = "elements"

    times: Tensor

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        schedule: Schedule = LinearSchedule(),  # noqa: B008 (immutable)
        target: Literal["eps", "x0", "v"] = "eps",
        sampler: Sampler = Ancestral(),  # noqa: B008
        loss_type: Literal["l2", "l1", "huber"] = "l2",
        min_snr: float | None = None,
        residual_layers: int = 8,
        residual_channels: int = 8,
        dilation_cycle: int = 2,
        cond_channels: int = 1,
        network: Callable | None = None,
        continuous: bool = False,
        given_rate: float = 0.0,
        given_patterns: tuple[Literal["cells", "channels", "steps"], ...] = ("cells",),
    ) -> None:
        super().__init__(event_shape, cond_shape)
        if not 0 <= given_rate <= 1 or not given_patterns:
            raise ValueError(
                f"{type(self).__name__}: given_rate={given_rate} must lie in [0, 1] and "
                f"given_patterns={given_patterns} name at least one"
            )
        self.given_rate, self.given_patterns = given_rate, given_patterns
        sampler.times(schedule)  # a sampler with more steps than the schedule has is refused here
        self.schedule, self.sampler = schedule, sampler
        self.parameterization = Parameterization(target)
        self.distance = {
            "l2": torch.nn.MSELoss, "l1": torch.nn.L1Loss, "huber": torch.nn.SmoothL1Loss
        }[loss_type](reduction="none")  # fmt: skip
        self.min_snr = min_snr
        self.continuous = continuous
        build = network or functools.partial(
            DilatedResidualNet,
            layers=residual_layers,
            channels=residual_channels,
            dilation_cycle=dilation_cycle,
            cond_channels=cond_channels,
            max_frequency=float(max(schedule.num_steps, 16)),
        )
        extra = {"extra": 2} if given_rate else {}
        self.net = build(tuple(event_shape), tuple(cond_shape), **extra)
        self.register_buffer("times", schedule.times()[1:], persistent=False)

    @property
    def working_size(self) -> int:
        """What the network holds per row."""
        return self.net.working_size

    def _loss(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        """Denoising error of each row at a random step, mean over its elements, (R,)."""
        t, weight = self._draw_times(len(x))
        alpha, sigma = (v.to(x.dtype).view(-1, *[1] * len(self.event_shape)) for v in self._at(t))
        mask, counted, given = observed, observed, None
        if self.given_rate:
            x = x if mask is None else x * mask
            given = self._draw_given(x) * (1 if mask is None else mask)
            counted, mask = (1 if mask is None else mask) - given, None
        eps = torch.randn_like(x)
        noised = alpha * x + sigma * eps
        predict = functools.partial(self.net, conditioning=self.net.condition(cond))
        output = self._predict(
            predict, noised, (alpha, sigma), self.net.embed(t), mask,
            None if given is None else (x, given),
        )  # fmt: skip
        error = self.distance(output, self.parameterization.of(x, eps, alpha, sigma))
        if counted is not None:
            error = error * counted
        loss = error.flatten(1).mean(1)
        if self.min_snr is not None:
            snr = ((alpha / sigma) ** 2).clamp_max(self.min_snr)
            loss = loss * (snr / self.parameterization.weight(alpha, sigma)).flatten()
        return loss if weight is None else loss * weight.to(loss.dtype)

    @property
    def process(self) -> Schedule:
        """The schedule."""
        return self.schedule

    @property
    def takes_given(self) -> bool:
        """Whether a rate of training examples had given parts."""
        return self.given_rate > 0

    def estimate(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """The estimate of clean events, each row at its own time t (R,)."""
        alpha, sigma = (v.to(x).view(-1, *[1] * len(self.event_shape)) for v in self._at(t))
        predict = functools.partial(self.net, conditioning=self.net.condition(cond))
        time = self.net.embed(t.to(x.device))
        output = self._predict(predict, x, (alpha, sigma), time, None, None)
        return self.parameterization.to_x0(output, x, alpha, sigma)

    @property
    def guidance(self) -> Guidance:
        """How :meth:`sample_given` conditions unless it is told otherwise."""
        if self.given_rate:
            return ClassifierFree()
        return Reconstruction(0 if self.parameterization.target == "eps" else 3)

    def _draw_times(self, count: int) -> tuple[Tensor, Tensor | None]:
        """Times (count,), float64, and what their losses are multiplied by, if anything."""
        if self.continuous:
            return 1 - torch.rand(count, dtype=self.times.dtype, device=self.times.device), None
        return self.times[torch.randint(len(self.times), (count,), device=self.times.device)], None

    def _at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Signal's factor and noise's standard deviation."""
        return self.schedule.alpha(t), self.schedule.sigma(t)

    def _draw_given(self, x: Tensor) -> Tensor:
        """Which elements are given, like x (rows, *event_shape), 0 or 1."""
        rows, ones = len(x), [1] * len(self.event_shape)
        share = torch.rand(rows, *ones, device=x.device)
        kind = torch.randint(len(self.given_patterns), share.shape, device=x.device)
        given = torch.rand(share.shape, device=x.device) < self.given_rate
        steps = torch.arange(x.shape[1], device=x.device).view(-1, *ones[1:]) / x.shape[1]
        patterns = {
            "cells": lambda: torch.rand(x.shape, device=x.device) < share,
            "channels": lambda: torch.rand(rows, *ones[1:], x.shape[-1], device=x.device) < share,
            "steps": lambda: steps < share,
        }
        drawn = [patterns[name]() & (kind == i) for i, name in enumerate(self.given_patterns)]
        return (given & functools.reduce(torch.logical_or, drawn)).expand(x.shape).to(x.dtype)

    def _predict(
        self,
        predict: Callable[..., Tensor],
        x: Tensor,
        levels: tuple[Tensor | float, Tensor | float],
        time: Tensor,
        observed: Tensor | None = None,
        given: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """What the network, told the conditioning, says of noised x at levels (alpha, sigma)."""
        if not isinstance(self.schedule, VariancePreserving):
            x = x / (levels[0] ** 2 + levels[1] ** 2) ** 0.5
        if not self.given_rate:
            return predict(x, time, observed=observed)
        values, mask = (torch.zeros_like(x),) * 2 if given is None else given
        extra = torch.stack([values * mask, mask.expand(x.shape)])
        return predict(x * (1 - mask), time, observed=observed, extra=extra)

    def chain(self) -> tuple[Callable[[Tensor], Tensor], bool]:
        """See :class:`ChainModel`."""
        net, sampler, schedule = Conditioned(self.net), self.sampler, self.schedule
        steady = sampler.evaluations(schedule) is not None
        known = self._denoiser(net, visited(sampler, schedule)) if steady else None

        def draw(rows: Tensor) -> Tensor:
            net.take(rows)
            denoise = known or self._denoiser(net)  # an adaptive sampler's times are always others
            return sampler.sample(denoise, (len(rows), *self.event_shape), schedule, like=rows)

        return draw, steady

    def sample_given(
        self,
        cond: Tensor,
        values: Tensor,
        mask: Tensor,
        sample_shape: tuple[int, ...] = (),
        guidance: Guidance | None = None,
        start: tuple[Tensor, float] | None = None,
    ) -> Tensor:
        """Draw given parts of events, by the network's own training if it was given parts."""
        batch, count = self._batch(cond, values), math.prod(sample_shape)
        rows = repeat(cond, count, self.cond_shape)
        y, given = (repeat(v, count, self.event_shape) for v in (values, mask.bool()))
        y = torch.where(given, y, torch.zeros_like(y))
        guidance = guidance or self.guidance
        first = torch.tensor(1.0 if start is None else start[1], dtype=torch.float64)
        times = visited(self.sampler, self.schedule, float(first))
        denoise = self.denoiser(rows, times=times)
        if given.any():
            learnt = self.given_rate > 0
            known = (y, given.to(y.dtype))
            conditional = self.denoiser(rows, times=times, given=known) if learnt else None
            denoise = guidance.guide(denoise, self.schedule, y, given, conditional)
        alpha, sigma = (v.item() for v in self._at(first))
        noise = torch.randn_like(y)
        if start is None:
            x = self.schedule.prior_std * noise + alpha * y  # y is zero where nothing is given
        else:
            x = torch.where(given, y, repeat(start[0], count, self.event_shape))
            x = alpha * x + sigma * noise
        x = self.sampler.sample(denoise, x.shape, self.schedule, like=cond, start=(x, float(first)))
        return torch.where(given, y, x).view(*sample_shape, *batch, *self.event_shape)

    def denoiser(
        self,
        cond: Tensor,
        observed: Tensor | None = None,
        times: Tensor | None = None,
        given: tuple[Tensor, Tensor] | None = None,
    ) -> Denoiser:
        """The estimate of clean events from noised ones, for a conditioning (rows, *cond_shape).

        What depends on the conditioning, or on times known in advance, is computed once.

        Args:
            cond: (rows, *cond_shape).
            observed: elements the estimate may look at, (rows, *event_shape); ``None`` is all.
            times: at which it will be asked; others are computed when they come.
            given: values without noise and which of them are given, each (rows, *event_shape);
                only for a model with a ``given_rate``.

        Returns:
            ``denoise(x, t)`` of (rows, *event_shape) and a time in (0, 1].
        """
        return self._denoiser(Conditioned(self.net, cond), times, observed, given)

    def _denoiser(
        self,
        predict: Conditioned,
        times: Tensor | None = None,
        observed: Tensor | None = None,
        given: tuple[Tensor, Tensor] | None = None,
    ) -> Denoiser:
        def at(times: Tensor) -> dict[float, tuple[float, float, Tensor]]:
            embedded = self.net.embed(times.to(self.times.device)).split(1, self.net.row_axis)
            alpha, sigma = self._at(times)
            found = zip(alpha.tolist(), sigma.tolist(), embedded, strict=True)
            return dict(zip(times.tolist(), found, strict=True))

        def find(t: float) -> tuple[float, float, Tensor]:
            return at(torch.tensor([t], dtype=torch.float64))[t]

        level = remembered(find, {} if times is None else at(times))

        def denoise(x: Tensor, t: float) -> Tensor:
            alpha, sigma, embedded = level(t)
            output = self._predict(predict, x, (alpha, sigma), embedded, observed, given)
            return self.parameterization.to_x0(output, x, alpha, sigma)

        return denoise
