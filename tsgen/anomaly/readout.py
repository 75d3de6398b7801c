"""How a score is read off errors: normalised by channel, joined over channels, smoothed in time."""

from typing import Literal

import numpy as np
from scipy.special import log_ndtr

from tsgen.core import Count, Options
from tsgen.data.running import trailing_sums

_PIECE = 2**21  # numbers that are worked on at a time
_LEAST = 1e-4  # of errors in the training's units: channels that were predicted perfectly


class Readout(Options):
    r"""From errors :math:`e_{tc} \ge 0` to a score for each row; causal, of finite memory.

    What reads the errors matters more than what makes them (Garg et al. 2021, arXiv 2109.11428).
    Errors are squared where a detector says so.

    Args:
        normalise: "none"; "mean" divides by the channel's mean error in training; "gaussian" takes
            minus the logarithm of the upper tail probability of a normal law whose mean and
            deviation are the training's; "dynamic" lets them be those of the last ``history`` rows
            (Garg et al.'s Gauss-D), which never see the row itself.
        join: "mean" over the channels, "max", or "top" for the mean of the ``top`` highest.
        top: channels that "top" takes.
        smooth: rows of the trailing mean of each channel, before the join.
        history: rows of "dynamic".
    """

    normalise: Literal["none", "mean", "gaussian", "dynamic"] = "none"
    join: Literal["mean", "max", "top"] = "mean"
    top: Count = 3
    smooth: Count = 1
    history: Count = 1000

    @property
    def memory(self) -> int:
        """Rows before a row that its score depends on."""
        return self.smooth - 1 + (self.history if self.normalise == "dynamic" else 0)

    def fit(self, errors: np.ndarray) -> np.ndarray:
        """Mean and deviation of each channel's errors (T, C), NaN where unknown: (2, C)."""
        observed = np.isfinite(errors)
        count = np.maximum(observed.sum(0), 1)
        mean = np.where(observed, errors, 0.0).sum(0) / count
        deviation = np.sqrt((np.where(observed, errors - mean, 0.0) ** 2).sum(0) / count)
        return np.stack([mean, deviation])

    def channels(self, errors: np.ndarray, moments: np.ndarray, skip: int = 0) -> np.ndarray:
        """Normalised and smoothed errors, (T - skip, C).

        Args:
            errors: (T, C), NaN where unknown; these stay NaN.
            moments: from :meth:`fit`.
            skip: leading rows that are there only to be looked back at.
        """
        width = max(1, _PIECE // len(errors))
        scores = np.empty((len(errors) - skip, errors.shape[1]))
        for first in range(0, errors.shape[1], width):
            columns = slice(first, first + width)
            scores[:, columns] = self._channels(errors[:, columns], moments[:, columns])[skip:]
        return scores

    def _channels(self, errors: np.ndarray, moments: np.ndarray) -> np.ndarray:
        observed = np.isfinite(errors)
        mean, deviation = moments
        if self.normalise == "mean":
            scored = errors / np.maximum(mean, _LEAST)
        elif self.normalise == "none":
            scored = errors
        else:
            if self.normalise == "dynamic":
                mean, deviation = self._dynamic(errors, observed, moments)
            # a floor, so that a channel that was predicted perfectly does not fill the page
            deviation = np.maximum(deviation, 0.1 * moments[1] + _LEAST)
            scored = -log_ndtr(-(np.where(observed, errors, 0.0) - mean) / deviation)
        scored = np.where(observed, scored, 0.0)
        total, count = (
            _trailing(scored, self.smooth),
            _trailing(observed.astype(float), self.smooth),
        )
        with np.errstate(invalid="ignore"):
            return np.where(observed, total / np.maximum(count, 1), np.nan)

    def usual(self, moments: np.ndarray) -> np.ndarray:
        """A channel's score in training, (C,); 1 where it is normalised, or may be below zero."""
        if self.normalise != "none" or (moments[0] < 0).any():
            return np.ones_like(moments[0])
        return np.maximum(moments[0], _LEAST)

    def total(self, channels: np.ndarray) -> np.ndarray:
        """The score of each row (T,) from (T, C); NaN where no channel is known."""
        observed = np.isfinite(channels)
        scored = observed.any(1)
        if self.join == "mean":
            score = np.where(observed, channels, 0.0).sum(1) / np.maximum(observed.sum(1), 1)
        else:
            ranked = np.sort(np.where(observed, channels, -np.inf), axis=1)[:, ::-1]
            ranked = ranked[:, : 1 if self.join == "max" else self.top]
            finite = np.isfinite(ranked)
            score = np.where(finite, ranked, 0.0).sum(1) / np.maximum(finite.sum(1), 1)
        return np.where(scored, score, np.nan)

    def _dynamic(
        self, errors: np.ndarray, observed: np.ndarray, moments: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Moments of the rows before each row; the training's count like ``history`` rows fewer."""
        before = np.where(observed, errors - moments[0], 0.0)
        count = _before(observed.astype(float), self.history)
        weight = np.clip(1 - count / self.history, 0, 1) * self.history
        first, second = _before(before, self.history), _before(before**2, self.history)
        mean = first / (count + weight)
        variance = (second + weight * moments[1] ** 2) / (count + weight) - mean**2
        return moments[0] + mean, np.sqrt(np.maximum(variance, 0))


def _trailing(values: np.ndarray, rows: int) -> np.ndarray:
    """Sums (T, C) over the last so many rows, this one included."""
    return trailing_sums(values.T, rows).T


def _before(values: np.ndarray, rows: int) -> np.ndarray:
    """Sums over so many rows before this one."""
    return np.concatenate([np.zeros((1, values.shape[1])), _trailing(values, rows)[:-1]])


def channel_shares(channels: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    """The channels' shares in (T, C) scores relative to what is usual, highest first."""
    observed = np.isfinite(channels)
    mean = np.where(observed, channels, 0.0).sum(0) / np.maximum(observed.sum(0), 1)
    mean = mean / max(float(mean.sum()), 1e-300)
    order = np.argsort(-mean, kind="stable")
    return {names[i]: float(mean[i]) for i in order}
