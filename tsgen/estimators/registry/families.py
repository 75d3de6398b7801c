"""The families with a file of their own, by name; "scoregrad" is that with the VP process."""

from functools import partial

from gluonts.model.estimator import Estimator

from tsgen.core import Registry
from tsgen.diffusion import Ancestral, QuadraticSchedule
from tsgen.estimators.cld import CLDEstimator
from tsgen.estimators.denoising import Given
from tsgen.estimators.gaussian import GaussianEstimator, StudentTEstimator
from tsgen.estimators.scoregrad import ScoreGradEstimator
from tsgen.estimators.tfdpm import TFDPMEstimator
from tsgen.estimators.timegrad import TimeGradEstimator
from tsgen.nets import Axial

families: Registry[Estimator] = Registry(
    "family",
    {
        "gaussian": GaussianEstimator,
        "lowrank": partial(GaussianEstimator, covariance="low_rank"),
        "student_t": StudentTEstimator,
        "timegrad": TimeGradEstimator,
        "csdi": partial(
            TimeGradEstimator,
            decoding="horizon",
            network=Axial(),
            schedule=QuadraticSchedule(50, beta_end=0.5),
            sampler=Ancestral(),
            given=Given(rate=0.9),
        ),
        "scoregrad": ScoreGradEstimator,
        **{f"scoregrad_{sde}": partial(ScoreGradEstimator, sde=sde) for sde in ("subvp", "ve")},
        "scoregrad_cld": CLDEstimator,
        "tfdpm": TFDPMEstimator,
    },
)
