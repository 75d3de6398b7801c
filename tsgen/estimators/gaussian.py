"""Explicit-likelihood forecasters, the reference point of every other family."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from tsgen.core import Count
from tsgen.forecasting.data.spec import DataSpec
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.models import Gaussian, GenerativeModel, StudentT
from tsgen.models.heads.distribution import EllipticalHead


class GaussianEstimator(GenerativeEstimator):
    """A normal law at each step or over the whole horizon (Salinas et al. 2020, 2019).

    Options beyond those of :class:`GenerativeEstimator`:

    Args:
        lr: a third of TimeGrad's, for the density's own gradient is steeper than that of a
            denoising error.
        covariance: "diagonal", "low_rank" or "full" between the channels (in horizon decoding also
            the steps).
        rank: columns of the low-rank factor.
    """

    head: ClassVar[type[EllipticalHead]] = Gaussian

    lr: float = 3e-3
    covariance: Literal["diagonal", "low_rank", "full"] = "low_rank"
    rank: Count = 8

    def options_without_effect(self) -> Iterator[str]:
        """Sentences about options, also of parts, that were given and change nothing."""
        yield from super().options_without_effect()
        if self.rank != GaussianEstimator.rank and self.covariance != "low_rank":
            yield (
                f"rank={self.rank} has no effect with covariance={self.covariance!r}; leave it out "
                "or choose covariance='low_rank'"
            )

    def options_without_effect_on(self, spec: DataSpec) -> Iterator[str]:
        """More columns of the factor than an event has values."""
        size = spec.num_channels * (self.prediction_length if self.decoding == "horizon" else 1)
        if self.rank != GaussianEstimator.rank and self.rank > size:
            yield (
                f"rank={self.rank} has no effect beyond that of {size}: an event of these data has "
                f"{size} values"
            )

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The head."""
        return self.head(event_shape, cond_shape, covariance=self.covariance, rank=self.rank)


class StudentTEstimator(GaussianEstimator):
    """Student's t instead of the normal law.

    The options are those of :class:`GaussianEstimator`.
    """

    head: ClassVar[type[EllipticalHead]] = StudentT
