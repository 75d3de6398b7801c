"""Proper scores, backtests and comparisons."""

from tsgen.evaluation.backtest import Backtest, backtest
from tsgen.evaluation.calibrated import CalibratedForecast, CalibratedPredictor, calibrate
from tsgen.evaluation.cells import INTERVALS, quantile_levels, seasonal_error
from tsgen.evaluation.comparison import (
    DieboldMariano,
    Paired,
    block_bootstrap,
    diebold_mariano,
    paired_comparison,
)
from tsgen.evaluation.conformal import Calibration
from tsgen.evaluation.known import Comparison, compare, paired_ratio
from tsgen.evaluation.scores import (
    coverage,
    crps_sum,
    dawid_sebastiani_score,
    energy_score,
    fair_crps,
    pit,
    quantile_crps,
    variogram_score,
)
from tsgen.evaluation.table import Scores, evaluate

__all__ = [
    "INTERVALS",
    "Backtest",
    "CalibratedForecast",
    "CalibratedPredictor",
    "Calibration",
    "Comparison",
    "DieboldMariano",
    "Paired",
    "Scores",
    "backtest",
    "block_bootstrap",
    "calibrate",
    "compare",
    "coverage",
    "crps_sum",
    "dawid_sebastiani_score",
    "diebold_mariano",
    "energy_score",
    "evaluate",
    "fair_crps",
    "paired_comparison",
    "paired_ratio",
    "pit",
    "quantile_crps",
    "quantile_levels",
    "seasonal_error",
    "variogram_score",
]
