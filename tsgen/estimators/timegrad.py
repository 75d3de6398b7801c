"""TimeGrad."""

from typing import Literal

from tsgen.diffusion import Ancestral, LinearSchedule, Sampler, Schedule
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.models import DDPM, GenerativeModel


class TimeGradEstimator(GenerativeEstimator):
    """Autoregressive denoising diffusion.

    Rasul, Seward, Schuster, Vollgraf 2021, arXiv 2101.12072. A recurrent network runs over the
    past; given its state, a diffusion model draws the next vector. Options beyond those of
    :class:`GenerativeEstimator`:

    Args:
        schedule: the noise schedule; the paper's is linear, 100 steps, beta from 1e-4 to 0.1.
        target: what the network predicts, "eps", "x0" or "v".
        sampler: how samples are drawn; ``predictor.with_sampler`` changes it after training.
        loss_type: "l2", "l1" or "huber".
        min_snr: cap of the signal-to-noise weight, see :class:`~tsgen.models.DDPM`.
        residual_layers: blocks of the denoising network.
        residual_channels: their width.
        dilation_cycle: dilations 1, 2, ... repeat after this many blocks.
        cond_channels: conditioning features per channel of the target that reach the blocks. The
            paper has one, and so has this from eight channels on; fewer channels get as many as
            make eight in all, for a single number tells a single channel little more than a mean.
    """

    schedule: Schedule = LinearSchedule()  # noqa: RUF009
    target: Literal["eps", "x0", "v"] = "eps"
    sampler: Sampler = Ancestral()  # noqa: RUF009
    loss_type: Literal["l2", "l1", "huber"] = "l2"
    min_snr: float | None = None
    residual_layers: int = 8
    residual_channels: int = 8
    dilation_cycle: int = 2
    cond_channels: int | None = None

    def __post_init__(self) -> None:
        """Check the conditioning's width."""
        super().__post_init__()
        if self.cond_channels is not None and self.cond_channels < 1:
            raise ValueError(
                f"{type(self).__name__}: cond_channels={self.cond_channels} must be at least 1"
            )

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The diffusion model."""
        cond_channels = self.cond_channels or -(-8 // event_shape[-1])
        return DDPM(
            event_shape,
            cond_shape,
            schedule=self.schedule,
            target=self.target,
            sampler=self.sampler,
            loss_type=self.loss_type,
            min_snr=self.min_snr,
            residual_layers=self.residual_layers,
            residual_channels=self.residual_channels,
            dilation_cycle=self.dilation_cycle,
            cond_channels=cond_channels,
        )
