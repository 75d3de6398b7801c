"""Denoising diffusion probabilistic model."""

import functools
import math
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.core import NOT_EMPTY, above, between
from tsgen.diffusion import (
    Ancestral,
    LinearSchedule,
    Parameterization,
    Sampler,
    Schedule,
)
from tsgen.diffusion.guidance import ClassifierFree, Guidance, Reconstruction
from tsgen.diffusion.samplers import Denoiser
from tsgen.diffusion.schedules import VariancePreserving
from tsgen.models.base import repeat
from tsgen.models.diffusion.drawing import ChainModel, cached_by_time
from tsgen.models.kinds import Diffusion
from tsgen.nets import DenoisingNet, DilatedResidualNet, Evaluator

Level = tuple[float, float, Tensor]
"""Of a time alpha, sigma and the network's embedding."""


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
        network: another network, a class of :class:`~tsgen.nets.DenoisingNet` or a
            ``functools.partial`` of one; the four options before are TimeGrad's network's.
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
        min_snr: Annotated[float, above(0)] | None = None,
        residual_layers: int = 8,
        residual_channels: int = 8,
        dilation_cycle: int = 2,
        cond_channels: int = 1,
        network: Callable | None = None,
        continuous: bool = False,
        given_rate: Annotated[float, between(0, 1)] = 0.0,
        given_patterns: Annotated[tuple[Literal["cells", "channels", "steps"], ...], NOT_EMPTY] = (
            "cells",
        ),
    ) -> None:
        super().__init__(event_shape, cond_shape)
        self.given_rate, self.given_patterns = given_rate, given_patterns
        sampler.check(schedule)
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
        self.net: DenoisingNet = build(tuple(event_shape), tuple(cond_shape), **extra)
        self.register_buffer("times", schedule.times()[1:], persistent=False)

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
        eps = self.process.noise(x, t)
        noised = alpha * x + sigma * eps
        inputs, extra = self._inputs(noised, alpha, sigma, None if given is None else (x, given))
        output = self.net(inputs, self.net.embed(t), self.net.condition(cond), mask, extra)
        error = self.distance(output, self.parameterization.of(x, eps, alpha, sigma))
        if counted is not None:
            error = error * counted
        loss = error.flatten(1).mean(1)
        if self.min_snr is not None:
            snr = ((alpha / sigma) ** 2).clamp_max(self.min_snr)
            loss = loss * (snr / self.parameterization.weight(alpha, sigma)).flatten()
        return loss if weight is None else loss * weight.to(loss.dtype)

    @property
    @override
    def process(self) -> Schedule:
        return self.schedule

    @property
    def takes_given(self) -> bool:
        """Whether a rate of training examples had given parts."""
        return self.given_rate > 0

    def estimate(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """The estimate of clean events, each row at its own time t (R,)."""
        alpha, sigma = (v.to(x).view(-1, *[1] * len(self.event_shape)) for v in self._at(t))
        inputs, extra = self._inputs(x, alpha, sigma, None)
        time, conditioning = self.net.embed(t.to(x.device)), self.net.condition(cond)
        output = self.net(inputs, time, conditioning, None, extra)
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

    def _inputs(
        self,
        x: Tensor,
        alpha: Tensor | float,
        sigma: Tensor | float,
        given: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor | None]:
        """What the network gets of noised x at a level: events of unit size and further arrays."""
        if not isinstance(self.schedule, VariancePreserving):
            x = x / (alpha**2 + sigma**2) ** 0.5
        if not self.given_rate:
            return x, None
        values, mask = (torch.zeros_like(x),) * 2 if given is None else given
        return x * (1 - mask), torch.stack([values * mask, mask.expand(x.shape)])

    @override
    def estimator(self, evaluator: Evaluator, steady: bool) -> Denoiser:
        levels = self._levels(self.sampler.times(self.process)) if steady else {}
        return self._denoiser(evaluator, levels, grows=steady)

    @override
    def sample_given(
        self,
        cond: Tensor,
        values: Tensor,
        mask: Tensor,
        sample_shape: tuple[int, ...] = (),
        guidance: Guidance | None = None,
        start: tuple[Tensor, float] | None = None,
    ) -> Tensor:
        batch, count = self._batch(cond, values), math.prod(sample_shape)
        rows = repeat(cond, count, self.cond_shape)
        y, given = (repeat(v, count, self.event_shape) for v in (values, mask.bool()))
        y = torch.where(given, y, torch.zeros_like(y))
        guidance = guidance or self.guidance
        t_start = torch.tensor(1.0 if start is None else start[1], dtype=torch.float64)
        times = self.sampler.times(self.process, float(t_start))
        denoise = self.denoiser(rows, times=times)
        if given.any():
            learnt = self.given_rate > 0
            part = (y, given.to(y.dtype))
            conditional = self.denoiser(rows, times=times, given=part) if learnt else None
            denoise = guidance.guide(denoise, self.schedule, y, given, conditional)
        alpha, sigma = (v.item() for v in self._at(t_start))
        noise = self.process.noise(y, float(t_start))
        if start is None:
            x = self.schedule.prior_std * noise + alpha * y  # y is zero where nothing is given
        else:
            x = torch.where(given, y, repeat(start[0], count, self.event_shape))
            x = alpha * x + sigma * noise
        begun = (x, float(t_start))
        x = self.sampler.sample(denoise, x.shape, self.process, like=cond, start=begun)
        return torch.where(given, y, x).view(*sample_shape, *batch, *self.event_shape)

    @override
    def denoiser(
        self,
        cond: Tensor,
        observed: Tensor | None = None,
        times: Tensor | None = None,
        given: tuple[Tensor, Tensor] | None = None,
    ) -> Denoiser:
        levels = {} if times is None else self._levels(times)
        return self._denoiser(self.net.evaluator(cond), levels, observed, given)

    def _denoiser(
        self,
        evaluator: Evaluator,
        levels: dict[float, Level],
        observed: Tensor | None = None,
        given: tuple[Tensor, Tensor] | None = None,
        grows: bool = True,
    ) -> Denoiser:
        """The denoiser by a bound network; ``grows`` keeps the levels of times that come up."""
        to_x0 = self.parameterization.to_x0

        def find(t: float) -> Level:
            return self._levels(torch.tensor([t], dtype=torch.float64))[t]

        level_at = cached_by_time(find, levels, grows)

        def denoise(x: Tensor, t: float) -> Tensor:
            alpha, sigma, time = level_at(t)
            inputs, extra = self._inputs(x, alpha, sigma, given)
            return to_x0(evaluator(inputs, time, observed, extra), x, alpha, sigma)

        return denoise

    def _levels(self, times: Tensor) -> dict[float, Level]:
        """The levels of times (n,)."""
        embedded = self.net.embed(times.to(self.times.device)).split(1, self.net.row_axis)
        alpha, sigma = self._at(times)
        levels = zip(alpha.tolist(), sigma.tolist(), embedded, strict=True)
        return dict(zip(times.tolist(), levels, strict=True))
