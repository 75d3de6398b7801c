"""Predictors whose sample paths are recalibrated, see :mod:`tsgen.evaluation.conformal`."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gluonts.dataset import Dataset
from gluonts.model.forecast import Forecast, SampleForecast
from gluonts.model.predictor import Predictor

from tsgen.core import OptionError, seeded
from tsgen.data.entries import Entry
from tsgen.evaluation.backtest import as_samples, backtest, forecast_after
from tsgen.evaluation.calibration_files import (
    check_calibration,
    read_calibration,
    write_calibration,
)
from tsgen.evaluation.capabilities import support_of
from tsgen.evaluation.cells import INTERVALS, samples_needed
from tsgen.evaluation.conformal import (
    Calibration,
    above_zero,
    inside,
    landing,
    level_index,
    measure,
    reach,
    recalibrate,
)
from tsgen.saving import check_loadable, load
from tsgen.storage import (
    MANIFEST,
    PREDICTOR_FILES,
    SavedFolder,
    damage_told,
    write_manifest,
)


class CalibratedForecast(SampleForecast):
    """Recalibrated sample paths, and the bands that whole paths stay in."""

    def __init__(
        self,
        forecast: SampleForecast,
        calibration: Calibration,
        support: Any,
        count: int | None = None,
    ) -> None:
        shape = forecast.samples.shape
        samples = np.asarray(forecast.samples, dtype=float).reshape(*shape[:2], -1)
        scale = calibration.support
        self._middle, self._below, self._above = reach(samples[None], calibration.levels, scale)
        self._calibration, self._support = calibration, support
        self._one_dimensional = len(shape) == 2
        moved = recalibrate(
            samples[None], self._middle, self._below, self._above, calibration.factors, scale
        )[0]
        moved = inside(moved, support)
        if support == "positive":
            moved = above_zero(moved, samples)
        super().__init__(
            moved.reshape(shape)[:count],
            forecast.start_date,
            item_id=forecast.item_id,
            info=forecast.info,
        )

    @property
    def levels(self) -> tuple[float, ...]:
        """Central intervals that are calibrated, for which there is a band."""
        return self._calibration.levels

    def band(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """The joint band: with this probability the whole path, all channels, lies inside.

        Args:
            level: one of those calibrated.

        Returns:
            Lower and upper end, (H, C), or (H,) for 1-D targets.

        Raises:
            ValueError: for another level.
        """
        k = level_index(self._calibration, level)
        has_factor = np.isfinite(self._calibration.factors).any(0)
        factor = np.where(has_factor, self._calibration.joint[k], np.inf)
        bounded = np.isfinite(factor)
        low, high = (
            inside(
                landing(
                    np.where(bounded, np.where(bounded, factor, 0) * width[-1, 0], np.inf),
                    self._middle[0],
                    side,
                    self._calibration.support,
                ),
                self._support,
            )
            for side, width in ((-1, self._below), (1, self._above))
        )
        return (low[:, 0], high[:, 0]) if self._one_dimensional else (low, high)


class CalibratedPredictor(Predictor):
    """A predictor whose sample paths are recalibrated; made by :func:`calibrate`.

    Args:
        base: any predictor of sample forecasts.
        calibration: what its held-out windows told.
    """

    def __init__(self, base: Predictor, calibration: Calibration) -> None:
        super().__init__(prediction_length=base.prediction_length)
        self.base, self.calibration = base, calibration

    @property
    def levels(self) -> tuple[float, ...]:
        """Central intervals that are calibrated."""
        return self.calibration.levels

    @property
    def support(self) -> Any:
        """Where values can be; "real" if the base does not tell."""
        return support_of(self.base)

    def with_sampler(self, sampler: Any) -> "CalibratedPredictor":
        """Not here: the calibration is that of forecasts drawn with the base's sampler.

        Raises:
            ValueError: always, with what to do instead.
        """
        raise ValueError(
            f"with_sampler({sampler!r}): this predictor was calibrated with its own sampler; use "
            "calibrate(predictor.base.with_sampler(...), ...)"
        )

    def predict(
        self, dataset: Dataset, num_samples: int | None = None, seed: int | None = None
    ) -> Iterator[CalibratedForecast]:
        """Forecast after the end of each series, as the base does, and recalibrate.

        Fewer paths than its intervals rest on are the first of so many.

        Raises:
            ValueError: for series of other channels than calibration had, or a base whose own
                number of paths is too small for its intervals.
        """
        channels, least = self.calibration.factors.shape[2], samples_needed(self.levels[-1])
        count = None if num_samples is None else max(num_samples, least)
        predicted = forecast_after(self.base, dataset, count, seed)
        with seeded(seed, "samples"):
            forecasts = [as_samples(f, count or _own_number(f)) for f in predicted]
        for sampled in forecasts:
            if len(sampled.samples) < least:
                raise ValueError(
                    f"{len(sampled.samples)} sample paths make no {self.levels[-1]:.0%} interval, "
                    f"which needs {least}; give num_samples"
                )
            width = sampled.samples.reshape(*sampled.samples.shape[:2], -1).shape[2]
            if width != channels:
                raise ValueError(
                    f"series {sampled.item_id!r} has {width} channels, calibration had {channels}"
                )
            yield CalibratedForecast(sampled, self.calibration, self.support, num_samples)

    def serialize(self, path: Path) -> None:
        """Write base and calibration into a folder.

        Raises:
            ValueError: for a base that is none of this library's, which :func:`tsgen.load` could
                not bring back; wrap a GluonTS estimator in ``PeerEstimator`` before training.
        """
        check_loadable(self.base)
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        super().serialize(path)
        name = write_calibration(self.calibration, path)
        self.base.serialize(path / "base")
        write_manifest(path, (PREDICTOR_FILES[0], name, f"base/{MANIFEST}"))

    @classmethod
    def deserialize(cls, path: Path, device: str | None = None) -> "CalibratedPredictor":
        """Read what :meth:`serialize` wrote, see :func:`tsgen.load`.

        Raises:
            ValueError: in one line, if the folder holds no calibrated model or a damaged one.
        """
        path = Path(path)
        with damage_told(path):
            SavedFolder(path, PREDICTOR_FILES[0])  # checks the files
            calibration = read_calibration(path)
            base = load(path / "base", device)
            check_calibration(calibration, base.prediction_length)
            return cls(base, calibration)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, CalibratedPredictor)
            and self.base == other.base
            and self.calibration.levels == other.calibration.levels
            and self.calibration.support == other.calibration.support
            and np.array_equal(self.calibration.factors, other.calibration.factors)
            and np.array_equal(self.calibration.joint, other.calibration.joint)
        )

    __hash__ = None  # type: ignore[assignment]


def base_of(predictor: Predictor) -> Predictor:
    """The predictor whose forecasts a calibrated one recalibrates, any other itself."""
    return predictor.base if isinstance(predictor, CalibratedPredictor) else predictor


def calibrate(
    predictor: Predictor,
    dataset: Iterable[Entry],
    windows: int | None = None,
    *,
    levels: Sequence[float] = INTERVALS,
    num_samples: int = 200,
    seed: int | None = None,
) -> CalibratedPredictor:
    """Recalibrate a predictor once, on windows after its training data.

    Each step and channel has a factor of its own, learnt from all windows of all series.

    Args:
        predictor: trained; its training data must end before the windows.
        dataset: whole series with ``windows``, else entries that each end with their window.
        windows: rolling windows at the end of each series.
        levels: central intervals to calibrate; between them factors are interpolated, beyond the
            largest its factor goes on.
        num_samples: paths per forecast.
        seed: of the samples.

    Raises:
        ValueError: if there are too few windows or paths for a level, or if forecasts have no
            spread.

    Warns:
        UserWarning: where missing values leave an interval or the joint band uncalibrated.
    """
    levels = tuple(sorted(levels))
    if not levels or not all(0 < level < 1 for level in levels):
        raise OptionError("", "levels", levels, "one or more in (0, 1)")
    if num_samples < samples_needed(levels[-1]):
        least = f"at least {samples_needed(levels[-1])} for an interval of {levels[-1]:.0%}"
        raise OptionError("", "num_samples", num_samples, least)
    result = backtest(predictor, dataset, windows, num_samples=num_samples, seed=seed)
    factors = measure(result.samples, result.truth, levels, support_of(predictor))
    return CalibratedPredictor(predictor, factors)


def _own_number(forecast: Forecast) -> int:
    """Paths of a forecast, 100 of one that has none."""
    return len(forecast.samples) if isinstance(forecast, SampleForecast) else 100
