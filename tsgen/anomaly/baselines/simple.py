"""Detectors that look at one row alone."""

from pathlib import Path
from typing import Annotated

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from typing_extensions import override

from tsgen.anomaly.detector import Detector
from tsgen.anomaly.runs import Run
from tsgen.core import between

_MOST_TREES = 1000  # a saved forest is grown again when it is loaded


class MahalanobisDetector(Detector):
    r"""The squared Mahalanobis distance :math:`(x - \mu)^T \Sigma^{-1} (x - \mu) / C`.

    The covariance is Ledoit and Wolf's (2004; scikit-learn). A channel's error is its term
    :math:`(x - \mu)_c (\Sigma^{-1} (x - \mu))_c`, which can be below zero; their mean is the
    distance. A cell that is missing is put at the mean.

    Args:
        readout: how scores are read off the errors.
        threshold: where alarms begin.
        policy: how scores become alarms.
    """

    learned = ("mean_", "precision_")

    @property
    @override
    def memory(self) -> int:
        return 0

    @override
    def _learn(self, runs: list[Run]) -> None:
        fitted = LedoitWolf().fit(np.concatenate([run.values for run in runs]))
        self.mean_, self.precision_ = fitted.location_, fitted.precision_

    @override
    def errors(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        centred = np.where(observed, values - self.mean_, 0.0)
        return centred * (centred @ self.precision_)


class IsolationForestDetector(Detector):
    """How few splits set a row apart (Liu, Ting, Zhou 2008; scikit-learn).

    The forest scores a row as a whole. The channels get equal parts, plus how much more the row is
    set apart than without that channel's own value (the training's mean in its place), less the
    mean of that over the channels: their mean is the forest's score, their order who made it. That
    takes one evaluation for each channel and is done with ``attribute=True`` only.

    Args:
        readout: how scores are read off the errors.
        threshold: where alarms begin.
        policy: how scores become alarms.
        trees: of the forest.
        seed: of the forest.
        attribute: whether channels are told apart.
    """

    trees: Annotated[int, between(1, _MOST_TREES)] = 100
    seed: int = 0
    attribute: bool = False

    learned = ("subsample_",)

    @property
    @override
    def memory(self) -> int:
        return 0

    @override
    def _learn(self, runs: list[Run]) -> None:
        rows = np.concatenate([run.values for run in runs])
        # all that the trees are likely to draw, kept so that a saved forest can be grown again
        chosen = np.random.default_rng(self.seed).permutation(len(rows))[:16384]
        self.subsample_ = rows[np.sort(chosen)]
        self._restore(Path(), None)

    @override
    def _restore(self, path: Path, device: str | None) -> None:
        self.forest_ = IsolationForest(n_estimators=self.trees, random_state=self.seed).fit(
            self.subsample_
        )

    @override
    def errors(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        score = -self.forest_.score_samples(values)
        if not self.attribute:
            return np.repeat(score[:, None], values.shape[1], 1)
        without = np.empty_like(values)
        for channel in range(values.shape[1]):
            changed = values.copy()
            changed[:, channel] = 0.0
            without[:, channel] = -self.forest_.score_samples(changed)
        gain = score[:, None] - without
        return score[:, None] + gain - gain.mean(1, keepdims=True)
