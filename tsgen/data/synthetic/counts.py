"""Counts with a season and a memory."""

from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
import torch
from typing_extensions import override

from tsgen.core import FINITE, NOT_EMPTY, above, between
from tsgen.data.synthetic.base import KnownLaw, LawState, Support


class SeasonalCounts(KnownLaw):
    r"""Poisson counts whose intensity feeds on the last count and on itself.

    :math:`y_t \sim \mathrm{Poisson}(\lambda_t)`,
    :math:`\lambda_t = (1 - \alpha - \beta) s_{t \bmod m} + \alpha y_{t-1} + \beta \lambda_{t-1}`:
    an INGARCH(1, 1) (Ferland, Latour, Oraichi, Journal of Time Series Analysis 27, 2006) with a
    seasonal constant. The next count is Poisson given the past; those after it are overdispersed.

    **The start.** Every series begins at phase 0 of the season, so the length of a history tells
    the phase of what follows: give whole series, not their ends. :math:`\lambda_0` is fixed to the
    intensity's mean at phase 0, hence every :math:`\lambda_t` is a function of the history and
    forecasts, moments and mass given it are exact. The mean of :math:`y_t` is the periodic one at
    every step; the variance of :math:`\lambda_t` starts at 0 and is the periodic one up to a share
    of :math:`(\alpha + \beta)^{2 t}`.

    Args:
        levels: s, (m,), positive: one number for each phase of the season.
        alpha: weight of the last count, at least 0.
        beta: weight of the last intensity, at least 0; alpha + beta < 1.
    """

    levels: Annotated[tuple[float, ...], above(0), FINITE, NOT_EMPTY] = (
        (3.0, 2.0, 1.0, 1.0, 1.0, 3.0, 8.0, 16.0, 24.0, 22.0, 20.0, 20.0)
        + (22.0, 22.0, 21.0, 23.0, 28.0, 34.0, 30.0, 22.0, 15.0, 10.0, 7.0, 5.0)
    )  # fmt: skip
    alpha: Annotated[float, between(0, 1, "[)")] = 0.3
    beta: Annotated[float, between(0, 1, "[)")] = 0.4
    support: ClassVar[Support] = "count"

    def __post_init__(self) -> None:
        """Check stability."""
        super().__post_init__()
        below = f"below 1 - alpha, alpha={self.alpha}"
        self._require("beta", self.beta < 1 - self.alpha, below)

    @override
    @property
    def num_channels(self) -> int:
        return 1

    @cached_property
    def stationary_mean(self) -> np.ndarray:
        r"""E of the count at each phase, (m,).

        The periodic solution of
        :math:`\mu_t = (1 - \alpha - \beta) s_t + (\alpha + \beta) \mu_{t-1}`.
        """
        season, persistence = len(self.levels), self.alpha + self.beta
        before = np.roll(np.eye(season), -1, axis=1)  # row t holds a 1 at phase t - 1
        return np.linalg.solve(
            np.eye(season) - persistence * before, (1 - persistence) * np.array(self.levels)
        )

    def intensities(self, history: np.ndarray) -> np.ndarray:
        r""":math:`\lambda_0, ..., \lambda_T` given a history (1, T), that is (T + 1,)."""
        return self._intensities(self._read(history)[0])

    def _intensities(self, counts: np.ndarray) -> np.ndarray:
        rates = np.empty(len(counts) + 1)
        rates[0] = self.stationary_mean[0]
        for t, count in enumerate(counts.tolist()):
            rates[t + 1] = self._next(t + 1, count, rates[t])
        return rates

    def _next(self, t: int, count: np.ndarray, rate: np.ndarray) -> np.ndarray:
        """The intensity of step t given the step before."""
        level = self.levels[t % len(self.levels)]
        return (1 - self.alpha - self.beta) * level + self.alpha * count + self.beta * rate

    def _start(self, num: int, rng: np.random.Generator) -> LawState:
        rate = np.full((num, 1), self.stationary_mean[0])
        return rng.poisson(rate).astype(float), rate, np.array(0)

    def _state_after(self, history: np.ndarray, num: int, rng: np.random.Generator) -> LawState:
        last, rate = history[0, -1], self._intensities(history[0])[-2]
        return np.full((num, 1), last), np.full((num, 1), rate), np.array(history.shape[1] - 1)

    def _step(self, state: LawState, rng: np.random.Generator) -> LawState:
        count, rate, t = state
        rate = self._next(int(t) + 1, count, rate)
        return rng.poisson(rate).astype(float), rate, t + 1

    def _moments(self, history: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        r"""Of the intensity, then of the count.

        :math:`V[\lambda_{t+1}] = (\alpha + \beta)^2 V[\lambda_t] + \alpha^2 E[\lambda_t]` and
        :math:`V[y_t] = E[\lambda_t] + V[\lambda_t]`.
        """
        mean, variance = self._intensities(history[0])[-1], 0.0
        means, stds = [], []
        for t in range(history.shape[1] + 1, history.shape[1] + 1 + horizon):
            means.append(mean)
            stds.append(np.sqrt(mean + variance))
            variance = (self.alpha + self.beta) ** 2 * variance + self.alpha**2 * mean
            mean = self._next(t, mean, mean)
        return np.array(means)[:, None], np.array(stds)[:, None]

    def _log_conditionals(self, path: np.ndarray, start: int) -> np.ndarray:
        counts, rates = path[0], self._intensities(path[0])[:-1]
        factorials = torch.lgamma(torch.from_numpy(counts + 1)).numpy()
        return (counts * np.log(rates) - rates - factorials)[start:]
