"""Hidden regimes: a Markov-switching autoregression, whose forecasts are mixtures."""

from functools import cached_property
from typing import Annotated, NamedTuple

import numpy as np
from typing_extensions import override

from tsgen.core import NOT_EMPTY, between
from tsgen.data.synthetic.base import KnownLaw, LawState
from tsgen.data.synthetic.linear import is_covariance, quadratic


class RegimeMoments(NamedTuple):
    """What is known of the regime s and the value y at one time."""

    weights: np.ndarray
    """P(s = k), (K,)."""
    means: np.ndarray
    """E[y | s = k], (K, C)."""
    covariances: np.ndarray
    """Cov[y | s = k], (K, C, C)."""


class MarkovSwitching(KnownLaw):
    r"""Autoregression towards the level of a hidden regime that all channels share.

    :math:`y_t = m_{s_t} + \varphi_{s_t} (y_{t-1} - m_{s_t}) + \varepsilon_t`,
    :math:`\varepsilon_t \sim N(0, Q_{s_t})`, and s is a Markov chain (Hamilton, Econometrica 57,
    1989). Unlike there, the level of the *current* regime is subtracted on both sides, so that
    :math:`y_t` depends on one regime, not on two (Krolzig, Markov-Switching Vector Autoregressions,
    1997: an MSIAH-VAR(1)).

    **The start.** :math:`s_0` has the chain's stationary law; :math:`y_0` given :math:`s_0 = k` is
    Gaussian with the mean and covariance that y has in regime k when stationary. Hence mean and
    covariance are the stationary ones at every step, while the higher moments settle within a few.
    Given this start everything is exact: a forecast conditions on all of :math:`y_0, ..., y_{T-1}`
    and on nothing else, through Hamilton's filter.

    The default has two channels and two regimes, far enough apart that the next value's law can be
    clearly bimodal, and near enough that the last values often do not tell the regime.

    Args:
        transition: P, (K, K), rows sum to 1, :math:`P_{ij} = P(s_t = j | s_{t-1} = i)`; every
            regime can be reached from every other.
        means: m, (K, C).
        persistence: :math:`\varphi`, (K,), each inside (-1, 1).
        covariances: Q, (K, C, C), positive definite.
    """

    transition: tuple[tuple[float, ...], ...] = ((0.8, 0.2), (0.3, 0.7))
    means: tuple[tuple[float, ...], ...] = ((10.0, 12.0), (20.0, 8.0))
    persistence: Annotated[tuple[float, ...], between(-1, 1, "()"), NOT_EMPTY] = (0.7, 0.1)
    covariances: tuple[tuple[tuple[float, ...], ...], ...] = (
        ((2.0, 1.0), (1.0, 2.0)),
        ((4.0, -1.5), (-1.5, 3.0)),
    )

    def __post_init__(self) -> None:
        """Check shapes, the chain and covariances."""
        super().__post_init__()
        number, size = len(self.persistence), self.num_channels
        chain = f"a (K, K) matrix of probabilities whose rows sum to 1, K={number}"
        p = self._array("transition", (number, number), chain)
        self._require("transition", (p >= 0).all() and np.allclose(p.sum(1), 1), chain)
        reached = np.linalg.matrix_power(np.eye(number) + p, number) > 0
        self._require("transition", reached.all(), "such that every regime leads to every other")
        self._array("means", (number, max(size, 1)), f"finite numbers, (K, C), K={number}")
        definite = f"symmetric, positive definite matrices, (K, C, C), K={number}, C={size}"
        q = self._array("covariances", (number, size, size), definite)
        self._require("covariances", all(is_covariance(one) for one in q), definite)

    @override
    @property
    def num_channels(self) -> int:
        return len(self.means[0]) if self.means else 0

    def stationary_regimes(self) -> np.ndarray:
        """P(s_t = k) without knowledge of the series, (K,)."""
        p = np.array(self.transition)
        ones = np.ones(len(p))
        return np.linalg.solve(np.eye(len(p)) - p.T + np.outer(ones, ones), ones)

    @cached_property
    def stationary_moments(self) -> RegimeMoments:
        r"""Regime and value at any time without knowledge of the series.

        The fixed point of :math:`E[x_t 1_{s_t = j}] = \varphi_j a_j + c_j \pi_j` and
        :math:`E[x_t x_t^\top 1_{s_t = j}] = \varphi_j^2 b_j + \varphi_j (a_j c_j^\top + c_j
        a_j^\top) + (c_j c_j^\top + Q_j) \pi_j`, where x is y less a constant,
        :math:`c_j = (1 - \varphi_j) (m_j - \text{constant})`, and a, b are :math:`\sum_i P_{ij}` of
        the same expectations for i.
        """
        p, m, q = (np.array(v) for v in (self.transition, self.means, self.covariances))
        phi, pi = np.array(self.persistence), self.stationary_regimes()
        centre, eye = pi @ m, np.eye(len(p))
        pull = (1 - phi)[:, None] * (m - centre)
        weighted = np.linalg.solve(eye - phi[:, None] * p.T, pull * pi[:, None])
        cross = np.einsum("j,jc,jd->jcd", phi, p.T @ weighted, pull)
        fresh = (pull[:, :, None] * pull[:, None] + q) * pi[:, None, None]
        constant = (cross + cross.transpose(0, 2, 1) + fresh).reshape(len(p), -1)
        second = np.linalg.solve(eye - (phi**2)[:, None] * p.T, constant).reshape(q.shape)
        means = weighted / pi[:, None]
        squares = means[:, :, None] * means[:, None]
        return RegimeMoments(pi, means + centre, second / pi[:, None, None] - squares)

    def regime_probabilities(self, history: np.ndarray) -> np.ndarray:
        r"""Hamilton's filter: :math:`P(s_t = k | y_0, ..., y_t)`, (T, K).

        Args:
            history: (C, T).
        """
        return self._filter(self._read(history))[0]

    def _filter(self, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Filtered probabilities (L, K) and log p(y_t | y_0, ..., y_{t-1}), (L,).

        Hamilton, Time Series Analysis, 1994, eq. 22.4.5 and 22.4.6, in logarithms.
        """
        prior, p = self.stationary_moments.weights, np.array(self.transition)
        density = self._log_emissions(path)
        probabilities, evidence = np.empty_like(density), np.empty(len(density))
        with np.errstate(divide="ignore"):  # log 0: a regime that cannot be
            for t, row in enumerate(density):
                joint = np.log(prior) + row
                top = joint.max()
                joint = np.exp(joint - top)
                total = joint.sum()
                probabilities[t], evidence[t] = joint / total, top + np.log(total)
                prior = probabilities[t] @ p
        return probabilities, evidence

    def _log_emissions(self, path: np.ndarray) -> np.ndarray:
        """Log p(y_t | y_{t-1}, s_t = k), at the start log p(y_0 | s_0 = k), (L, K)."""
        y, initial, result = path.T, self.stationary_moments, []
        for k, (m, phi, q) in enumerate(
            zip(np.array(self.means), self.persistence, np.array(self.covariances), strict=True)
        ):
            parts = (
                (y[:1] - initial.means[k], initial.covariances[k]),
                (y[1:] - m - phi * (y[:-1] - m), q),
            )
            terms = [d + log_det for d, log_det in (quadratic(*part) for part in parts)]
            result.append(-0.5 * (np.concatenate(terms) + len(m) * np.log(2 * np.pi)))
        return np.stack(result, 1)

    def _advance(self, now: RegimeMoments) -> RegimeMoments:
        """Moments one step later."""
        flow = now.weights[:, None] * np.array(self.transition)  # (from, to)
        weights = flow.sum(0)
        share = flow / np.where(weights > 0, weights, 1)
        before = share.T @ now.means
        apart = now.means[:, None] - before
        spread = np.einsum("ij,icd->jcd", share, now.covariances)
        spread += np.einsum("ij,ijc,ijd->jcd", share, apart, apart)
        phi, m = np.array(self.persistence)[:, None], np.array(self.means)
        covariances = phi[..., None] ** 2 * spread + np.array(self.covariances)
        return RegimeMoments(weights, m + phi * (before - m), covariances)

    @cached_property
    def _roots(self) -> np.ndarray:
        """Of the innovations' covariances, (K, C, C)."""
        return np.linalg.cholesky(np.array(self.covariances))

    def _start(self, num: int, rng: np.random.Generator) -> LawState:
        law = self.stationary_moments
        s = rng.choice(len(law.weights), num, p=law.weights)
        return law.means[s] + _correlated(np.linalg.cholesky(law.covariances), s, rng), s

    def _state_after(self, history: np.ndarray, num: int, rng: np.random.Generator) -> LawState:
        last = self._filter(history)[0][-1]
        return np.repeat(history[:, -1][None], num, 0), rng.choice(len(last), num, p=last)

    def _step(self, state: LawState, rng: np.random.Generator) -> LawState:
        y, s = state
        limits = np.array(self.transition).cumsum(1)[s, :-1]
        s = (rng.random((len(s), 1)) > limits).sum(1)
        m, phi = np.array(self.means)[s], np.array(self.persistence)[s, None]
        return m + phi * (y - m) + _correlated(self._roots, s, rng), s

    def _moments(self, history: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Those of y in each regime, step by step, from the filtered regimes on."""
        weights, y = self._filter(history)[0][-1], history[:, -1]
        now = RegimeMoments(weights, np.tile(y, (len(weights), 1)), np.zeros(self._roots.shape))
        means, stds = [], []
        for _ in range(horizon):
            now = self._advance(now)
            mean = now.weights @ now.means
            within = np.diagonal(now.covariances, axis1=1, axis2=2)
            means.append(mean)
            stds.append(np.sqrt(now.weights @ (within + (now.means - mean) ** 2)))
        return np.stack(means), np.stack(stds)

    def _log_conditionals(self, path: np.ndarray, start: int) -> np.ndarray:
        return self._filter(path)[1][start:]


def _correlated(roots: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian vectors with the covariance of each one's regime, (N, C)."""
    gauss = rng.standard_normal((len(s), roots.shape[1]))
    return np.einsum("ncd,nd->nc", roots[s], gauss)
