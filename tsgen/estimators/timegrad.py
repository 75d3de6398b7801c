"""TimeGrad."""

from typing import Literal

from tsgen.diffusion import DPMSolverPP, LinearSchedule, Sampler, Schedule
from tsgen.estimators.denoising import DenoisingEstimator
from tsgen.models import DDPM, GenerativeModel


class TimeGradEstimator(DenoisingEstimator):
    """Autoregressive denoising diffusion.

    Rasul, Seward, Schuster, Vollgraf 2021, arXiv 2101.12072. A recurrent network runs over the
    past; given its state, a diffusion model draws the next vector, or, with ``decoding="horizon"``,
    the whole horizon at once. Options beyond those of :class:`DenoisingEstimator`:

    Args:
        schedule: the noise schedule; the paper's is linear, 100 steps, beta from 1e-4 to 0.1.
        target: what the network predicts, "eps", "x0" or "v".
        sampler: how samples are drawn; ``predictor.with_sampler`` changes it after training. The
            paper's is ``Ancestral()``, one call of the network for each step of the schedule. The
            default makes 10 calls and scores the same (``benchmarks/README.md``, samplers).
        loss_type: "l2", "l1" or "huber".
        min_snr: cap of the signal-to-noise weight, see :class:`~tsgen.models.DDPM`.
    """

    schedule: Schedule = LinearSchedule()  # noqa: RUF009
    target: Literal["eps", "x0", "v"] = "eps"
    sampler: Sampler = DPMSolverPP(10, eta=1.0)  # noqa: RUF009
    loss_type: Literal["l2", "l1", "huber"] = "l2"
    min_snr: float | None = None

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The diffusion model."""
        return DDPM(
            event_shape,
            cond_shape,
            schedule=self.schedule,
            target=self.target,
            sampler=self.sampler,
            loss_type=self.loss_type,
            min_snr=self.min_snr,
            network=self.network_builder(event_shape, max(self.schedule.num_steps, 16)),
            given_rate=self.given_rate,
            given_patterns=self.given_patterns,
        )
