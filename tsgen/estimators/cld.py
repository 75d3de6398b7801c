"""Critically damped Langevin diffusion."""

from typing import Literal

from tsgen.core import OptionError
from tsgen.diffusion import CLD, SSCS, LangevinSampler, Sampler
from tsgen.estimators.denoising import DenoisingEstimator
from tsgen.models import GenerativeModel, ScoreCLD


class CLDEstimator(DenoisingEstimator):
    """Autoregressive score models of critically damped Langevin diffusion.

    Dockhorn, Vahdat, Kreis 2022, arXiv 2112.07068, with ScoreGrad's recurrent network and denoiser:
    a velocity is diffused beside the event, and noise enters by it alone. Options beyond those of
    :class:`DenoisingEstimator`:

    Args:
        sde: the process.
        objective: "hybrid" or "denoising" score matching.
        likelihood_weighting: whether the loss bounds the likelihood, see
            :class:`~tsgen.models.ScoreCLD`.
        sampler: how samples are drawn.
    """

    sde: CLD = CLD()  # noqa: RUF009
    objective: Literal["hybrid", "denoising"] = "hybrid"
    likelihood_weighting: bool = False
    sampler: LangevinSampler = SSCS()  # noqa: RUF009

    def check_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Raise ``OptionError`` for a sampler of another kind of process."""
        if not isinstance(sampler, LangevinSampler):
            raise OptionError(
                type(self).__name__, "sampler", sampler, "a LangevinSampler",
                "critically damped Langevin has samplers of its own: SSCS, LangevinEulerMaruyama",
            )  # fmt: skip

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The score model."""
        return ScoreCLD(
            event_shape,
            cond_shape,
            self.sde,
            self.sampler,
            self.objective,
            self.likelihood_weighting,
            network=self.network_builder(event_shape, 100.0),
        )
