"""TimeGrad."""

from typing import Any

from tsgen.diffusion import DPMSolverPP, LangevinSampler, LinearSchedule, Sampler, Schedule
from tsgen.estimators.denoising import DenoisingEstimator, Given, NoisePrediction
from tsgen.forecasting.foreign import option_in
from tsgen.models import DDPM, GenerativeModel


class TimeGradEstimator(DenoisingEstimator):
    """Autoregressive denoising diffusion.

    Rasul, Seward, Schuster, Vollgraf 2021, arXiv 2101.12072. A recurrent network runs over the
    past; given its state, a diffusion model draws the next vector, or, with ``decoding="horizon"``,
    the whole horizon at once. Options beyond those of :class:`DenoisingEstimator`:

    Args:
        given: what of a horizon the network is given in training, for partly known futures.
        schedule: the noise schedule; the paper's is linear, 100 steps, beta from 1e-4 to 0.1. NCSN
            is a ``NoiseLadder``, whose ``of_data`` chooses its levels, with ``AnnealedLangevin()``.
        objective: the loss.
        sampler: how samples are drawn; ``predictor.with_sampler`` changes it after training. The
            paper's is ``Ancestral()``, one call of the network for each step of the schedule. The
            default makes 10 calls and scores the same (``benchmarks/README.md``, samplers).
    """

    given: Given = Given()  # noqa: RUF009
    schedule: Schedule = LinearSchedule()  # noqa: RUF009
    objective: NoisePrediction = NoisePrediction()  # noqa: RUF009
    sampler: Sampler = DPMSolverPP(10, eta=1.0)  # noqa: RUF009

    def __post_init__(self) -> None:
        """Check that the options fit each other."""
        super().__post_init__()
        self.check_given(self.given)
        self.check_sampler(self.sampler)

    @classmethod
    def advice(cls, option: str, value: Any) -> str | None:
        """Names of pytorch-ts, and those of the parts that are given."""
        steps = {"diff_steps": "num_steps", "beta_end": "beta_end"}
        if option in steps:
            return option_in("schedule", LinearSchedule, steps[option], value)
        if option == "beta_schedule":
            return (
                "write schedule=LinearSchedule(...), QuadraticSchedule(...) or CosineSchedule(...)"
            )
        return super().advice(option, value)

    def check_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Raise ``OptionError`` for a sampler that cannot draw with the schedule."""
        self.check_sampler_of(self.schedule, sampler)

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The diffusion model."""
        return DDPM(
            event_shape,
            cond_shape,
            schedule=self.schedule,
            target=self.objective.target,
            sampler=self.sampler,
            loss_type=self.objective.loss_type,
            min_snr=self.objective.min_snr,
            network=self.network_builder(event_shape, max(self.schedule.num_steps, 16)),
            given_rate=self.given.rate,
            given_patterns=self.given.patterns,
        )
