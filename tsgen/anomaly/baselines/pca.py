"""Principal components of rows and of windows."""

from collections.abc import Iterator

import numpy as np
from typing_extensions import override

from tsgen.anomaly.detector import Detector
from tsgen.anomaly.runs import Run
from tsgen.core import Count, OptionError

_PIECE = 4096  # windows held at a time


class PCADetector(Detector):
    r"""What principal components of a window of rows leave unexplained.

    With the components :math:`P` of the flattened windows :math:`w` of the training data, the error
    of a channel is the mean over the window's rows of its squared residual in
    :math:`w - \bar w - P P^T (w - \bar w)`; over the channels' mean it is the Q statistic of
    process monitoring (Jackson, Mudholkar 1979), divided by its size. ``window=1`` is plain PCA.
    Only the windows' covariance is held, never all windows.

    Args:
        readout: how scores are read off the errors.
        threshold: where alarms begin.
        policy: how scores become alarms.
        window: rows.
        components: how many, or as a share in (0, 1) the variance that they explain; never all.
    """

    window: Count = 8
    components: int | float = 0.99

    learned = ("mean_", "components_")

    def __post_init__(self) -> None:
        """Check the number of components, or their share."""
        share = isinstance(self.components, float)
        if not (0 < self.components < 1 if share else self.components >= 1):
            expected = "a whole number above 0 or a share of the variance in (0, 1)"
            raise OptionError(type(self).__name__, "components", self.components, expected)

    @property
    @override
    def memory(self) -> int:
        """The window's rows but the last."""
        return self.window - 1

    @override
    def _learn(self, runs: list[Run]) -> None:
        size = self.window * runs[0].values.shape[1]
        if not isinstance(self.components, float) and self.components >= size:
            fewer = f"fewer than window x channels = {size}"
            raise OptionError(type(self).__name__, "components", self.components, fewer)
        total, outer, count = np.zeros(size), np.zeros((size, size)), 0
        for run in runs:
            for windows in self._windows(run.values):
                total += windows.sum(0)
                outer += windows.T @ windows
                count += len(windows)
        self.mean_ = total / count
        variances, vectors = np.linalg.eigh(outer / count - np.outer(self.mean_, self.mean_))
        variances, vectors = variances[::-1].clip(0), vectors[:, ::-1]
        if isinstance(self.components, float):
            explained = variances.cumsum() / variances.sum()
            rank = int(np.searchsorted(explained, self.components, side="right")) + 1
            rank = min(rank, size - 1)  # all would leave nothing unexplained
        else:
            rank = self.components
        self.components_ = np.ascontiguousarray(vectors[:, :rank])

    @override
    def errors(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        errors = []
        masks = self._windows(observed.astype(float))
        for windows, mask in zip(self._windows(values), masks, strict=True):
            residual = windows - self._reconstruct(windows)
            shape = (len(windows), self.window, -1)
            squares, weights = (residual**2 * mask).reshape(shape), mask.reshape(shape)
            errors.append(squares.sum(1) / np.maximum(weights.sum(1), 1))
        return np.concatenate(errors)

    @override
    def _usual(self, values: np.ndarray) -> np.ndarray:
        last = slice(-values.shape[1], None)
        rows = [self._reconstruct(windows)[:, last] for windows in self._windows(values)]
        return np.concatenate(rows)

    def _reconstruct(self, windows: np.ndarray) -> np.ndarray:
        return self.mean_ + ((windows - self.mean_) @ self.components_) @ self.components_.T

    def _windows(self, values: np.ndarray) -> Iterator[np.ndarray]:
        """Flattened windows of (T, C), a piece at a time, (n, window x C)."""
        views = np.lib.stride_tricks.sliding_window_view(values, self.window, axis=0)
        for first in range(0, len(views), _PIECE):
            piece = views[first : first + _PIECE]
            yield piece.transpose(0, 2, 1).reshape(len(piece), -1)
