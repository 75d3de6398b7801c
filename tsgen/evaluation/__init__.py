"""Proper scores and backtests."""

from tsgen.evaluation.backtest import Backtest, backtest
from tsgen.evaluation.known import Comparison, compare, paired_ratio
from tsgen.evaluation.scores import (
    coverage,
    crps_sum,
    energy_score,
    fair_crps,
    pit,
    quantile_crps,
    quantile_levels,
    score,
)

__all__ = [
    "Backtest",
    "Comparison",
    "backtest",
    "compare",
    "coverage",
    "crps_sum",
    "energy_score",
    "fair_crps",
    "paired_ratio",
    "pit",
    "quantile_crps",
    "quantile_levels",
    "score",
]
