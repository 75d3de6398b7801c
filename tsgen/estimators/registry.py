"""Every estimator by name, for the command line and the benchmarks."""

from functools import partial

from gluonts.model.estimator import Estimator

from tsgen.core import Registry
from tsgen.diffusion import Ancestral, QuadraticSchedule
from tsgen.estimators.baselines import (
    ETSEstimator,
    GARCHEstimator,
    LastValueEstimator,
    RandomWalkEstimator,
    RidgeEstimator,
    SeasonalNaiveEstimator,
    VAREstimator,
)
from tsgen.estimators.cld import CLDEstimator
from tsgen.estimators.denoising import Given
from tsgen.estimators.gaussian import GaussianEstimator, StudentTEstimator
from tsgen.estimators.peers import PeerEstimator
from tsgen.estimators.scoregrad import ScoreGradEstimator
from tsgen.estimators.tempflow import TempFlowEstimator
from tsgen.estimators.tfdpm import TFDPMEstimator
from tsgen.estimators.timegrad import TimeGradEstimator
from tsgen.models.flows import flows
from tsgen.nets import Axial

baselines: Registry[Estimator] = Registry(
    "baseline",
    {
        "last_value": LastValueEstimator,
        "random_walk": RandomWalkEstimator,
        "random_walk_gaussian": partial(RandomWalkEstimator, increments="gaussian"),
        "random_walk_independent": partial(RandomWalkEstimator, joint=False),
        "random_walk_independent_gaussian": partial(
            RandomWalkEstimator, joint=False, increments="gaussian"
        ),
        "seasonal_naive": SeasonalNaiveEstimator,
        "ridge": RidgeEstimator,
        "var": VAREstimator,
        "ets": ETSEstimator,
        "garch": GARCHEstimator,
    },
)
"""They learn nothing in ``train``; the last three need the extra ``baselines``."""

peers: Registry[Estimator] = Registry(
    "peer",
    {
        "deepar": partial(PeerEstimator, model="deepar"),
        "patchtst": partial(PeerEstimator, model="patchtst"),
    },
)
"""Models of GluonTS."""

estimators: Registry[Estimator] = Registry(
    "estimator",
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
        "tempflow": TempFlowEstimator,
        "transformer_maf": partial(TempFlowEstimator, encoder="transformer"),
        "transformer_realnvp": partial(TempFlowEstimator, flow="realnvp", encoder="transformer"),
        **{name: partial(TempFlowEstimator, flow=name) for name in flows},
        **peers,
        **baselines,
    },
)
"""Each flow's name is that of TempFlow with it and a GRU; "scoregrad" is that with VP."""
