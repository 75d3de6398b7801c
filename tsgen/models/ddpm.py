"""Denoising diffusion probabilistic model."""

import functools
import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tsgen.diffusion import Ancestral, LinearSchedule, Parameterization, Sampler, Schedule
from tsgen.diffusion.samplers import Denoiser
from tsgen.models.base import GenerativeModel
from tsgen.nets import DilatedResidualNet


class DDPM(GenerativeModel):
    r"""Denoising diffusion (Ho, Jain, Abbeel 2020) with TimeGrad's network (Rasul et al. 2021).

    Training draws a step :math:`n \sim U\{1, \dots, N\}` and noise :math:`\varepsilon` and
    minimises

    .. math:: \lVert f(x, \varepsilon) - f_\theta(\alpha_n x + \sigma_n \varepsilon, n, c) \rVert^2,

    for the target f (the noise by default: eq 14 of the paper). Elements that were not observed are
    hidden from the network, which sees what is hidden, and carry no loss.

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
    """

    partial: ClassVar[Literal["elements", "marginal", "drop"]] = "elements"

    times: Tensor
    alphas: Tensor
    sigmas: Tensor

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
    ) -> None:
        super().__init__(event_shape, cond_shape)
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
        self.net = build(tuple(event_shape), tuple(cond_shape))
        times = schedule.times()[1:]
        self.register_buffer("times", times, persistent=False)
        self.register_buffer("alphas", schedule.alpha(times), persistent=False)
        self.register_buffer("sigmas", schedule.sigma(times), persistent=False)

    @property
    def working_size(self) -> int:
        """What the network holds per row."""
        return self.net.working_size

    def loss(self, x: Tensor, cond: Tensor, observed: Tensor | None = None) -> Tensor:
        """Denoising error of each example at a random step, mean over its elements, (*batch,)."""
        batch = self._batch(cond, x)
        x, cond = x.reshape(-1, *self.event_shape), cond.reshape(-1, *self.cond_shape)
        if self.continuous:
            t = 1 - torch.rand(len(x), dtype=self.times.dtype, device=x.device)
            levels = self.schedule.alpha(t), self.schedule.sigma(t)
        else:
            n = torch.randint(self.schedule.num_steps, (len(x),), device=x.device)
            t, levels = self.times[n], (self.alphas[n], self.sigmas[n])
        alpha, sigma = (v.to(x.dtype).view(-1, *[1] * len(self.event_shape)) for v in levels)
        eps = torch.randn_like(x)
        noised = alpha * x + sigma * eps
        mask = None if observed is None else observed.reshape(x.shape).to(x.dtype)
        output = self.net(noised, self.net.embed(t), self.net.condition(cond), mask)
        error = self.distance(output, self.parameterization.of(x, eps, alpha, sigma))
        if mask is not None:
            error = error * mask
        loss = error.flatten(1).mean(1)
        if self.min_snr is not None:
            snr = (alpha / sigma) ** 2
            loss = (
                loss
                * (
                    snr.clamp_max(self.min_snr) / self.parameterization.weight(alpha, sigma)
                ).flatten()
            )
        return loss.view(batch)

    def sample(self, cond: Tensor, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Run the sampler, (*sample_shape, *batch, *event_shape)."""
        batch = self._batch(cond)
        count = math.prod(sample_shape)
        rows = cond.reshape(1, -1, *self.cond_shape).expand(
            count, *[-1] * (1 + len(self.cond_shape))
        )
        rows = rows.reshape(-1, *self.cond_shape)
        denoise = self.denoiser(rows, times=self.sampler.times(self.schedule))
        x = self.sampler.sample(denoise, (len(rows), *self.event_shape), self.schedule, like=cond)
        return x.view(*sample_shape, *batch, *self.event_shape)

    def denoiser(
        self, cond: Tensor, observed: Tensor | None = None, times: Tensor | None = None
    ) -> Denoiser:
        """The estimate of clean events from noised ones, for a conditioning (rows, *cond_shape).

        What depends on the conditioning, or on times known in advance, is computed once.

        Args:
            cond: (rows, *cond_shape).
            observed: elements the estimate may look at, (rows, *event_shape); ``None`` is all.
            times: at which it will be asked; others are computed when they come.

        Returns:
            ``denoise(x, t)`` of (rows, *event_shape) and a time in (0, 1].
        """
        conditioning = list(self.net.condition(cond))

        def at(times: Tensor) -> list[tuple[float, float, Tensor]]:
            embedded = self.net.embed(times.to(cond.device)).split(1, self.net.row_axis)
            alpha, sigma = self.schedule.alpha(times), self.schedule.sigma(times)
            return list(zip(alpha.tolist(), sigma.tolist(), embedded, strict=True))

        ready = {} if times is None else dict(zip(times.tolist(), at(times), strict=True))

        def denoise(x: Tensor, t: float) -> Tensor:
            alpha, sigma, embedded = ready.get(t) or at(torch.tensor([t], dtype=torch.float64))[0]
            output = self.net(x, embedded, conditioning, observed)
            return self.parameterization.to_x0(output, x, alpha, sigma)

        return denoise

    def use_sampler(self, sampler: Sampler) -> None:
        """Draw with another sampler from now on.

        Raises:
            ValueError: if the sampler needs more steps than the schedule has.
        """
        sampler.times(self.schedule)
        self.sampler = self.__init_args__["sampler"] = sampler
