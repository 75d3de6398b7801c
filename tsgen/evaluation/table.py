"""All scores of a backtest at once: in total, for each channel, each step and each window."""

import warnings
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from tsgen.core import OptionError
from tsgen.evaluation.cells import (
    INTERVALS,
    Cells,
    check,
    errors_of,
    need_samples,
    quantile_levels,
    score_cells,
    share,
)
from tsgen.evaluation.vectors import Over, arrange, energy, norm, variogram

_AXES: dict[Over, tuple[int, ...]] = {"path": (0, 1, 2), "steps": (0, 2), "channels": (0, 1)}
_AT_ONCE = 2**20  # sample values

LOSSES = ("crps", "crps_sum", "fair_crps", "energy", "variogram", "nd")
"""Scores that :meth:`Scores.losses` gives for single windows."""


class Scores:
    """What :func:`evaluate` returns.

    ``total`` is a dictionary, ``per_channel``, ``per_step`` and ``per_window`` are data frames of
    the same figures:

    =====================  ====================================================================
    crps                   quantile-grid CRPS over the size of the truth (GluonTS'
                           ``mean_wQuantileLoss``); ``levels`` names the grid
    crps_sum               the same of the sum over channels (total, per step, per window)
    fair_crps              unbiased sample CRPS over the size of the truth
    energy, energy_raw     unbiased energy score, over the norm of the truth and in its unit
    variogram              unbiased variogram score, p = .5, as a share of the truth's variogram,
    variogram_raw          and in its unit
    dss                    Dawid-Sebastiani score of single values
    log_score              minus the mean log density of a value, where the forecaster has one;
                           an upper bound of it where its ``has_log_prob`` says so
    nd, nrmse              :math:`sum |y - m| / sum |y|`, root mean square error over mean
                           :math:`|y|`
    mase, smape            as GluonTS; MASE where histories were given, without the series and
                           channels whose history never changes: there it is 0 / 0 or infinite
    coverage_90, width_90  of the central 50, 80, 90, 95 % intervals; widths over the size of the
                           truth; NaN where there are too few samples for such an interval: the
                           levels need 3, 9, 19 and 39
    =====================  ====================================================================

    What is measured over the size of the truth is NaN where that is 0 throughout, as of a channel
    of zeros; the total counts such a channel with its absolute loss.

    Energy and variogram scores are those of whole paths in the total and per window, of the
    channels of one step per step and of the steps of one channel per channel; each is the mean
    over windows.

    Args:
        cells: scores of single values, (W, H, C), see ``score_cells``.
        vectors: energy and variogram scores, raw and normalised, for "path" (W,), "steps" (W, H)
            and "channels" (W, C).
        levels: K of the quantile grid.
        channels: their names.
        log_score: minus log density of each window's observed values over their number, (W,).
        summed: scores of the sum over channels.
    """

    def __init__(
        self,
        cells: Cells,
        vectors: dict[Over, Cells],
        levels: int,
        channels: Sequence[str],
        log_score: np.ndarray | None = None,
        summed: "Scores | None" = None,
    ) -> None:
        self.cells, self.vectors, self.levels = cells, vectors, levels
        self.channels, self.log_score, self.sum = list(channels), log_score, summed

    def __getitem__(self, name: str) -> float:
        """A figure of :attr:`total`."""
        return self.total[name]

    def __repr__(self) -> str:
        width = max(map(len, self.total))
        lines = [f"{name:<{width}}  {value:.5g}" for name, value in self.total.items()]
        return "\n".join([f"Scores of {len(self.cells['size'])} windows:", *lines])

    @cached_property
    def total(self) -> dict[str, float]:
        """Every figure over all windows, steps and channels."""
        figures = self._reduce("path") | {
            name: _mean(values, 0) for name, values in self.vectors["path"].items()
        }
        if self.log_score is not None:
            observed = np.isfinite(self.cells["size"]).sum((1, 2))
            figures["log_score"] = share(np.nansum(self.log_score * observed), observed.sum())
        if self.sum is not None:
            figures["crps_sum"] = self.sum._reduce("path")["crps"]
        return {name: float(figures[name]) for name in _order(figures)}

    @cached_property
    def per_channel(self) -> pd.DataFrame:
        """A row for each channel."""
        return self._frame("channels", pd.Index(self.channels, name="channel"))

    @cached_property
    def per_step(self) -> pd.DataFrame:
        """A row for each step of the horizon, from 1."""
        steps = self.cells["size"].shape[1]
        return self._frame("steps", pd.RangeIndex(1, steps + 1, name="step"))

    @cached_property
    def per_window(self) -> pd.DataFrame:
        """A row for each window."""
        figures = self._reduce((1, 2)) | self.vectors["path"]
        if self.log_score is not None:
            figures["log_score"] = self.log_score
        if self.sum is not None:
            figures["crps_sum"] = self.sum._reduce((1, 2))["crps"]
        return pd.DataFrame(figures)[_order(figures)].rename_axis("window")

    def losses(self, name: str = "crps") -> np.ndarray:
        """What each window contributes to a score, so that their mean is the total, (W,).

        NaN for windows without an observed value, and for all where every true value is 0.

        Raises:
            ValueError: for a score that is no mean of losses.
        """
        if name not in LOSSES:
            raise OptionError("", "score", name, f"one of {', '.join(LOSSES)}")
        if name == "crps_sum":
            if self.sum is None:
                raise ValueError("score='crps_sum': these scores are of a single channel's sum")
            return self.sum.losses("crps")
        if name in self.vectors["path"]:
            return self.vectors["path"][name]
        values = self.cells["absolute_error" if name == "nd" else name]
        observed = np.isfinite(values).any((1, 2))
        sums = np.where(observed, np.nansum(values, axis=(1, 2)), np.nan)
        return share(sums * observed.sum(), np.nansum(self.cells["size"]))

    def _frame(self, over: Over, index: pd.Index) -> pd.DataFrame:
        figures = self._reduce(over) | {
            name: _mean(values, 0) for name, values in self.vectors[over].items()
        }
        if over == "steps" and self.sum is not None:
            figures["crps_sum"] = self.sum._reduce("steps")["crps"]
        return pd.DataFrame(figures, index=index)[_order(figures)]

    def _reduce(self, over: Over | tuple[int, ...]) -> Cells:
        """Figures from cells, reduced over axes."""
        axes = over if isinstance(over, tuple) else _AXES[over]
        cells = self.cells
        size = _mean(cells["size"], axes)
        figures = {
            "crps": share(_mean(cells["crps"], axes), size),
            "fair_crps": share(_mean(cells["fair_crps"], axes), size),
            "nd": share(_mean(cells["absolute_error"], axes), size),
            "nrmse": share(np.sqrt(_mean(cells["squared_error"], axes)), size),
        }
        figures |= {k: _mean(cells[k], axes) for k in ("mase", "smape", "dss") if k in cells}
        for level in INTERVALS:
            name = f"{level * 100:g}"
            figures[f"coverage_{name}"] = _mean(cells[f"inside_{name}"], axes)
            figures[f"width_{name}"] = share(_mean(cells[f"width_{name}"], axes), size)
        return figures


_FIRST = (
    "crps", "crps_sum", "fair_crps", "energy", "variogram", "dss", "log_score", "nd", "nrmse",
    "mase", "smape", "energy_raw", "variogram_raw",
)  # fmt: skip


def _order(figures: Cells) -> list[str]:
    return [n for n in _FIRST if n in figures] + [n for n in figures if n not in _FIRST]


def _mean(values: np.ndarray, axes: int | tuple[int, ...]) -> np.ndarray:
    """Mean of what is not missing; NaN where all is."""
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # the mean of inf and -inf
        warnings.filterwarnings("ignore", "Mean of empty slice")
        return np.nanmean(values, axis=axes)


def evaluate(
    samples: np.ndarray,
    truth: np.ndarray,
    levels: int = 19,
    *,
    channels: Sequence[str] | None = None,
    seasonal_error: np.ndarray | None = None,
    log_prob: np.ndarray | None = None,
    seed: int = 0,
) -> Scores:
    """Every score of sample forecasts.

    Args:
        samples: (W, S, H, C), at least 2 samples: of one no unbiased score can be had.
        truth: (W, H, C); values that are NaN are left out of every score.
        levels: K of the quantile grid; 9 is GluonTS' default, 19 that of the papers that follow
            TimeGrad, 99 close to the integral.
        channels: their names.
        seasonal_error: (W, C), the scale of MASE, see :func:`seasonal_error`.
        log_prob: log density of each window's observed values, (W,).
        seed: of the randomised probability integral transform.

    Raises:
        ValueError: for shapes that do not fit, samples that are not finite, or a truth without any
            observed value.
    """
    samples, truth = check(samples, truth)
    need_samples(samples.shape[1], "fair scores")
    if not np.isfinite(truth).any():
        raise ValueError("every true value is missing (NaN): there is nothing to score")
    names = [str(c) for c in range(truth.shape[-1])] if channels is None else list(channels)
    if len(names) != truth.shape[-1]:
        raise ValueError(f"channels has {len(names)} names for {truth.shape[-1]} channels")
    for name, value, shape in (
        ("seasonal_error", seasonal_error, (len(truth), truth.shape[-1])),
        ("log_prob", log_prob, (len(truth),)),
    ):
        if value is not None and np.shape(value) != shape:
            raise ValueError(f"{name} has the shape {np.shape(value)}, expected {shape}")
    scores = _evaluate(samples, truth, levels, names, seasonal_error, seed)
    if truth.shape[-1] > 1:
        whole = samples.sum(-1, keepdims=True), truth.sum(-1, keepdims=True)
        scores.sum = _evaluate(*whole, levels, ["sum"], None, seed)
    if log_prob is not None:
        scores.log_score = -share(np.asarray(log_prob), np.isfinite(truth).sum((1, 2)))
    return scores


def _evaluate(
    samples: np.ndarray,
    truth: np.ndarray,
    levels: int,
    channels: list[str],
    seasonal_error: np.ndarray | None,
    seed: int,
) -> Scores:
    grid, uniform = quantile_levels(levels), np.random.default_rng(seed).random(truth.shape)
    cells: list[Cells] = []
    grouped: dict[Over, list[Cells]] = {over: [] for over in _AXES}
    at_once = max(1, _AT_ONCE // samples[0].size)
    for first in range(0, len(truth), at_once):
        part = slice(first, first + at_once)
        y = truth[part]
        errors = errors_of(samples[part], y)
        # a third of the time, and right to 1e-5
        rough = errors.astype(np.float32)
        for over, blocks in grouped.items():
            blocks.append(_vectors(errors, rough, y, over))
        scale = None if seasonal_error is None else seasonal_error[part]
        errors.sort(-1)
        cells.append(score_cells(errors, y, grid, uniform[part], scale))
    return Scores(
        _join(cells), {over: _join(blocks) for over, blocks in grouped.items()}, levels, channels
    )


def _vectors(errors: np.ndarray, rough: np.ndarray, truth: np.ndarray, over: Over) -> Cells:
    """Energy and variogram scores of errors (W, H, C, S), the latter from errors in float32."""
    y = arrange(truth, over)
    energies = energy(arrange(errors, over), y)
    scores = {"energy": share(energies, norm(y)), "energy_raw": energies}
    if y.shape[1] > 1:
        variograms, whole = variogram(arrange(rough, over), y)
        scores |= {"variogram": share(variograms, whole), "variogram_raw": variograms}
    shape = truth.shape[:1] if over == "path" else (len(truth), -1)
    return {name: values.reshape(shape) for name, values in scores.items()}


def _join(parts: list[Cells]) -> Cells:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
