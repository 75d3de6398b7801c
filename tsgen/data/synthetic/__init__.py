"""Simulators whose conditional laws are known: a forecast can be compared with the truth.

>>> law = laws["regimes"]
>>> train, history = law.dataset(400, 200, seed=0), law.simulate(1, 60, rng)[0]
>>> law.exact_forecast(history, horizon=8, num_samples=100, rng=rng).shape
(100, 8, 2)
>>> ExactPredictor(law, 8)  # a GluonTS predictor of the exact law
"""

from tsgen.data.synthetic.base import KnownLaw, Support
from tsgen.data.synthetic.cir import CIR
from tsgen.data.synthetic.counts import SeasonalCounts
from tsgen.data.synthetic.covariates import CovariateLaw
from tsgen.data.synthetic.exact import ExactPredictor
from tsgen.data.synthetic.heavy import StudentTVAR
from tsgen.data.synthetic.linear import VAR, LinearLaw, ornstein_uhlenbeck
from tsgen.data.synthetic.regimes import MarkovSwitching, RegimeMoments

laws: dict[str, KnownLaw] = {
    "ou": ornstein_uhlenbeck(),
    "cir": CIR(),
    "var": VAR(),
    "regimes": MarkovSwitching(),
    "heavy_tailed": StudentTVAR(),
    "seasonal_counts": SeasonalCounts(),
}
"""One law of each kind, hourly."""

__all__ = [
    "CIR",
    "VAR",
    "CovariateLaw",
    "ExactPredictor",
    "KnownLaw",
    "LinearLaw",
    "MarkovSwitching",
    "RegimeMoments",
    "SeasonalCounts",
    "StudentTVAR",
    "Support",
    "laws",
    "ornstein_uhlenbeck",
]
