"""ScoreGrad."""

from typing import Any, Literal

from tsgen.diffusion import (
    SDE,
    VESDE,
    VPSDE,
    Ancestral,
    EulerMaruyama,
    LangevinSampler,
    PredictorCorrector,
    Sampler,
    SubVPSDE,
)
from tsgen.estimators.denoising import DenoisingEstimator, Given, ScoreMatching
from tsgen.models import GenerativeModel, ScoreSDE

_PUBLISHED: dict[tuple[str, bool], tuple[SDE, Sampler]] = {
    ("vp", True): (VPSDE(200, 0.01, 15.0), PredictorCorrector()),
    ("vp", False): (VPSDE(100, 0.01, 10.0), Ancestral()),
    ("subvp", True): (SubVPSDE(100, 0.1, 15.0), EulerMaruyama()),
    ("subvp", False): (SubVPSDE(100, 0.1, 15.0), EulerMaruyama()),
    ("ve", True): (VESDE(200, 0.01, 10.0), PredictorCorrector()),
    ("ve", False): (VESDE(100, 0.01, 10.0), PredictorCorrector()),
}


class ScoreGradEstimator(DenoisingEstimator):
    """Autoregressive score models of stochastic differential equations.

    Yan, Zhang, Zhou, Zhan, Xia 2021, arXiv 2106.10121. TimeGrad's recurrent network and denoiser,
    trained and drawn from as an SDE. A process given by name has the noise range, number of steps
    and sampler of the authors' code for electricity. The published samplers take up to 400 calls of
    the network a step: ``predictor.with_sampler(DPMSolverPP(20))`` draws as well with 20. Options
    beyond those of :class:`DenoisingEstimator`:

    Args:
        given: what of a horizon the network is given in training, for partly known futures.
        sde: "vp", "subvp", "ve", or a process with numbers of one's own.
        objective: the loss.
        sampler: how samples are drawn; the published one if ``None``.
    """

    given: Given = Given()  # noqa: RUF009
    sde: Literal["vp", "subvp", "ve"] | SDE = "vp"
    objective: ScoreMatching = ScoreMatching()  # noqa: RUF009
    sampler: Sampler | None = None

    def __post_init__(self) -> None:
        """Check that the options fit the process."""
        super().__post_init__()
        self.check_given(self.given)
        self.check_sampler(self.usual_sampler)

    @classmethod
    def advice(cls, option: str, value: Any) -> str | None:
        """Where critically damped Langevin diffusion is."""
        if option == "sde":
            return "critically damped Langevin diffusion is CLDEstimator ('scoregrad_cld')"
        return super().advice(option, value)

    @property
    def process(self) -> SDE:
        """The process that ``sde`` says."""
        if isinstance(self.sde, SDE):
            return self.sde
        return _PUBLISHED[self.sde, self.objective.continuous][0]

    @property
    def usual_sampler(self) -> Sampler:
        """The sampler given, or the published one."""
        if self.sampler is not None:
            return self.sampler
        if isinstance(self.sde, str):
            return _PUBLISHED[self.sde, self.objective.continuous][1]
        return PredictorCorrector()

    def check_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Raise ``ValueError`` if the process cannot be drawn from with a sampler."""
        self.check_sampler_of(self.process, sampler)

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The score model."""
        return ScoreSDE(
            event_shape,
            cond_shape,
            sde=self.process,
            continuous=self.objective.continuous,
            sampler=self.usual_sampler,
            target=self.objective.target,
            likelihood_weighting=self.objective.likelihood_weighting,
            network=self.network_builder(event_shape, 100.0),
            given_rate=self.given.rate,
            given_patterns=self.given.patterns,
        )
