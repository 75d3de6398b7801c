"""Proper scores and backtests."""

from tsgen.evaluation.backtest import Backtest, backtest
from tsgen.evaluation.scores import (
    coverage,
    crps_sum,
    energy_score,
    fair_crps,
    quantile_crps,
    quantile_levels,
    score,
)

__all__ = [
    "Backtest",
    "backtest",
    "coverage",
    "crps_sum",
    "energy_score",
    "fair_crps",
    "quantile_crps",
    "quantile_levels",
    "score",
]
