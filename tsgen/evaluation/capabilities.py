"""What forecasters may be able to beyond GluonTS' interface, each asked for by a protocol.

A class of one's own has a capability by having these members; it need not derive from anything.
"""

from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from gluonts.dataset import Dataset

from tsgen.evaluation.conformal import Support


@runtime_checkable
class KnowsSupport(Protocol):
    """A predictor that tells where its values can be."""

    @property
    def support(self) -> Support:
        """The support's name, or its ends."""


@runtime_checkable
class HasLogProb(Protocol):
    """A predictor that may have a log density."""

    @property
    def has_log_prob(self) -> str:
        """What ``log_prob`` is: "exact", "bound", "unnormalised" or "none"."""

    def log_prob(self, dataset: Dataset) -> np.ndarray:
        """Log density of each entry's last horizon, (entries,)."""


@runtime_checkable
class Trained(Protocol):
    """A predictor that remembers its training."""

    history: list[dict[str, float]]
    """What each epoch measured."""


@runtime_checkable
class Resumable(Protocol):
    """An estimator whose training goes on where it was stopped."""

    checkpoint_dir: str | None

    def replace(self, **options: Any) -> Self:
        """The estimator with other options."""


def support_of(predictor: object) -> Support:
    """Where a predictor's values can be; "real" if it does not tell."""
    return predictor.support if isinstance(predictor, KnowsSupport) else "real"


def history_of(predictor: object) -> list[dict[str, float]]:
    """What each epoch of a predictor's training measured; nothing if it does not tell."""
    return predictor.history if isinstance(predictor, Trained) else []
