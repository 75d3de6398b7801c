"""ScoreGrad."""

from typing import Literal

from tsgen.diffusion import (
    CLD,
    SDE,
    SSCS,
    VESDE,
    VPSDE,
    Ancestral,
    EulerMaruyama,
    LangevinSampler,
    PredictorCorrector,
    Sampler,
    SubVPSDE,
)
from tsgen.estimators.denoising import DenoisingEstimator
from tsgen.models import GenerativeModel, ScoreCLD, ScoreSDE

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
    and sampler of the authors' code for electricity; "cld" (not in the paper) is critically damped
    Langevin diffusion. The published samplers take up to 400 calls of the network a step:
    ``predictor.with_sampler(DPMSolverPP(20))`` draws as well with 20, but for "cld". Options beyond
    those of :class:`DenoisingEstimator`:

    Args:
        sde: "vp", "subvp", "ve", "cld", or a process with numbers of one's own.
        continuous: whether training draws any time, or the N steps of the chain.
        sampler: how samples are drawn; the published one if ``None``.
        target: what the network predicts of VP, sub-VP and VE: "eps", "x0" or "v".
        likelihood_weighting: whether the loss bounds the likelihood, see
            :class:`~tsgen.models.ScoreSDE`.
        objective: of "cld": "hybrid" or "denoising" score matching.
    """

    sde: Literal["vp", "subvp", "ve", "cld"] | SDE | CLD = "vp"
    continuous: bool = True
    sampler: Sampler | LangevinSampler | None = None
    target: Literal["eps", "x0", "v"] = "eps"
    likelihood_weighting: bool = False
    objective: Literal["hybrid", "denoising"] = "hybrid"

    def __post_init__(self) -> None:
        """Check that the options fit the process."""
        super().__post_init__()
        name, process = type(self).__name__, self.process
        langevin = isinstance(process, CLD)
        if langevin and (self.given_rate or not self.continuous or self.target != "eps"):
            raise ValueError(
                f"{name}: sde='cld' needs continuous=True, given_rate=0 and target='eps', not "
                f"continuous={self.continuous}, given_rate={self.given_rate}, target="
                f"{self.target!r}"
            )
        if not langevin and self.objective != "hybrid":
            raise ValueError(f"{name}: objective={self.objective!r} is an option of sde='cld'")
        self.check_sampler(self.usual_sampler)

    @property
    def process(self) -> SDE | CLD:
        """The process that ``sde`` says."""
        if not isinstance(self.sde, str):
            return self.sde
        return CLD() if self.sde == "cld" else _PUBLISHED[self.sde, self.continuous][0]

    @property
    def usual_sampler(self) -> Sampler | LangevinSampler:
        """The sampler given, or the published one."""
        if self.sampler is not None:
            return self.sampler
        if isinstance(self.process, CLD):
            return SSCS()
        if isinstance(self.sde, str):
            return _PUBLISHED[self.sde, self.continuous][1]
        return PredictorCorrector()

    def check_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Raise ``ValueError`` if the process cannot be drawn from with a sampler."""
        process = self.process
        if isinstance(process, CLD) != isinstance(sampler, LangevinSampler):
            raise ValueError(
                f"{type(self).__name__}: sampler={sampler!r} does not draw from "
                f"{type(process).__name__}; critically damped Langevin has samplers of its own "
                "(SSCS, LangevinEulerMaruyama)"
            )
        if isinstance(sampler, Sampler) and isinstance(process, SDE):
            sampler.times(process)

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The score model."""
        process, sampler = self.process, self.usual_sampler
        network = self.network_builder(event_shape, 100.0)
        if isinstance(process, CLD):
            assert isinstance(sampler, LangevinSampler)  # checked when constructed
            return ScoreCLD(
                event_shape, cond_shape, process, sampler, self.objective,
                self.likelihood_weighting, network=network,
            )  # fmt: skip
        assert isinstance(sampler, Sampler)
        return ScoreSDE(
            event_shape,
            cond_shape,
            sde=process,
            continuous=self.continuous,
            sampler=sampler,
            target=self.target,
            likelihood_weighting=self.likelihood_weighting,
            network=network,
            given_rate=self.given_rate,
            given_patterns=self.given_patterns,
        )
