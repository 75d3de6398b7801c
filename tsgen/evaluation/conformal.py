r"""Conformal recalibration of sample forecasts from windows that training has not seen.

For each step, channel and level :math:`\ell`, with median m and central interval
:math:`[m - a, m + b]` of a forecast, the *stretch* of a true value y is the factor by which the
interval would just reach it,

.. math:: r = \max\left( (m - y) / a, (y - m) / b \right).

Of n held-out stretches the one of rank :math:`\lceil (n + 1) \ell \rceil` is the factor f by which
later intervals are stretched. Where windows are exchangeable the stretched interval holds the next
value with probability at least :math:`\ell` and at most :math:`\ell + 1 / (n + 1)` (split conformal
prediction: Vovk, Gammerman, Shafer 2005; quantile regression: Romano, Patterson, Candes 2019, here
with the forecast's own width as the unit). Sample paths move with their intervals and keep their
ranks, so that what belonged together still does. The joint band is stretched by the n windows'
largest stretches, over all steps and channels at once.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gluonts.dataset import Dataset
from gluonts.model.forecast import SampleForecast
from gluonts.model.predictor import Predictor

from tsgen.data.split import Entry
from tsgen.evaluation.backtest import as_samples, backtest, forecast_after
from tsgen.evaluation.cells import INTERVALS, central_interval
from tsgen.saving import load

FORMAT = 1


class Calibration(NamedTuple):
    """What was learnt from held-out windows."""

    levels: tuple[float, ...]
    factors: np.ndarray
    """Stretch of each level's interval, (levels, H, C); infinite where too few windows tell."""
    joint: np.ndarray
    """Stretch of the largest level's interval to the joint band of each level, (levels,)."""
    windows: int
    """n."""


class CalibratedForecast(SampleForecast):
    """Recalibrated sample paths, and the bands that whole paths stay in."""

    def __init__(self, forecast: SampleForecast, calibration: Calibration, support: Any) -> None:
        shape = forecast.samples.shape
        samples = np.asarray(forecast.samples, dtype=float).reshape(*shape[:2], -1)
        self._middle, self._below, self._above = _reach(samples[None], calibration.levels)
        self._calibration, self._support = calibration, support
        self._one_dimensional = len(shape) == 2
        moved = _recalibrate(
            samples[None], self._middle, self._below, self._above, calibration.factors
        )[0]
        super().__init__(
            _inside(moved, support).reshape(shape),
            forecast.start_date,
            item_id=forecast.item_id,
            info=forecast.info,
        )

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
        factor = self._calibration.joint[k]
        ends = (
            self._middle[0] - factor * self._below[-1, 0],
            self._middle[0] + factor * self._above[-1, 0],
        )
        low, high = (_inside(end, self._support) for end in ends)
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

    def predict(
        self, dataset: Dataset, num_samples: int | None = None, seed: int | None = None
    ) -> Iterator[CalibratedForecast]:
        """Forecast after the end of each series, as the base does, and recalibrate."""
        channels = self.calibration.factors.shape[2]
        for forecast in forecast_after(self.base, dataset, num_samples, seed):
            sampled = as_samples(forecast, num_samples or 100)
            width = sampled.samples.reshape(*sampled.samples.shape[:2], -1).shape[2]
            if width != channels:
                raise ValueError(
                    f"series {forecast.item_id!r} has {width} channels, calibration had {channels}"
                )
            yield CalibratedForecast(sampled, self.calibration, support_of(self.base))

    def serialize(self, path: Path) -> None:
        """Write base and calibration into a folder."""
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        super().serialize(path)
        calibration = self.calibration
        about = {"format": FORMAT, "levels": calibration.levels, "windows": calibration.windows}
        (path / "calibration.json").write_text(json.dumps(about))
        np.savez(path / "calibration.npz", factors=calibration.factors, joint=calibration.joint)
        (path / "base").mkdir(exist_ok=True)
        self.base.serialize(path / "base")

    @classmethod
    def deserialize(cls, path: Path, device: str | None = None) -> "CalibratedPredictor":
        """Read what :meth:`serialize` wrote, see :func:`tsgen.load`."""
        about = json.loads((path / "calibration.json").read_text())
        if about["format"] != FORMAT:
            raise ValueError(
                f"{str(path)!r} holds a calibration of format {about['format']}, expected {FORMAT}"
            )
        with np.load(path / "calibration.npz", allow_pickle=False) as arrays:
            calibration = Calibration(
                tuple(about["levels"]), arrays["factors"], arrays["joint"], about["windows"]
            )
        return cls(load(path / "base", device), calibration)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, CalibratedPredictor)
            and self.base == other.base
            and self.calibration.levels == other.calibration.levels
            and np.array_equal(self.calibration.factors, other.calibration.factors)
            and np.array_equal(self.calibration.joint, other.calibration.joint)
        )

    __hash__ = None  # type: ignore[assignment]


def windows_needed(level: float) -> int:
    """Held-out windows without which no interval of this level can be promised."""
    return math.ceil(level / (1 - level) - 1e-9)


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
        ValueError: if there are too few windows for a level, if windows overlap training data that
            the predictor remembers, or if its forecasts have no spread.
    """
    levels = tuple(sorted(levels))
    if not levels or not all(0 < level < 1 for level in levels):
        raise ValueError(f"levels={levels} must lie between 0 and 1")
    result = backtest(predictor, dataset, windows, num_samples=num_samples, seed=seed)
    return CalibratedPredictor(predictor, measure(result.samples, result.truth, levels))


def measure(samples: np.ndarray, truth: np.ndarray, levels: tuple[float, ...]) -> Calibration:
    """Factors from forecasts (n, S, H, C) of held-out windows (n, H, C), NaN where not known.

    Raises:
        ValueError: if there are too few windows for a level or forecasts without spread.
    """
    count, needed = len(truth), windows_needed(levels[-1])
    if count < needed:
        raise ValueError(
            f"calibration: {count} held-out windows tell no {levels[-1]:.0%} interval for each "
            f"step and channel, expected at least {needed}; give more windows or lower levels"
        )
    middle, below, above = _reach(samples, levels)
    stretch = np.maximum(
        _over(middle - truth, below), _over(truth - middle, above)
    )  # (levels, n, H, C)
    seen = np.isfinite(truth)
    if np.isposinf(stretch[0][seen]).mean() > 0.5:
        raise ValueError(
            "calibration: most forecasts have no spread that could be stretched; a point forecast "
            "cannot be recalibrated"
        )
    largest = np.where(seen, stretch[-1], -np.inf).max((1, 2))
    stretch = np.where(seen, stretch, np.nan)
    factors = [_conformal(values, level) for values, level in zip(stretch, levels, strict=True)]
    joint = [_conformal(largest, level) for level in levels]
    return Calibration(levels, np.stack(factors), np.stack(joint), count)


def level_index(calibration: Calibration, level: float) -> int:
    """The number of a level.

    Raises:
        ValueError: if it was not calibrated.
    """
    for k, calibrated in enumerate(calibration.levels):
        if math.isclose(calibrated, level):
            return k
    known = ", ".join(map(str, calibration.levels))
    raise ValueError(f"level={level} was not calibrated; the levels are {known}")


def support_of(predictor: Predictor) -> Any:
    """Where the values of a predictor's samples can be; "real" if it does not tell."""
    return getattr(predictor, "support", "real")


def _reach(
    samples: np.ndarray, levels: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median (n, H, C) and how far intervals reach below and above it, (levels, n, H, C)."""
    z = np.sort(np.moveaxis(samples, 1, -1), axis=-1)
    middle = np.median(z, axis=-1)
    ends = [central_interval(z, level) for level in levels]
    below = np.stack([np.maximum(middle - low, 0) for low, _ in ends])
    above = np.stack([np.maximum(high - middle, 0) for _, high in ends])
    return middle, below, above


def _over(error: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Error over reach; 0 where there is no error beyond rounding, infinite without reach."""
    tiny = 1e-12 * np.abs(error)
    return np.where(
        reach > tiny, error / np.where(reach > tiny, reach, 1), np.where(error > 0, np.inf, 0.0)
    )


def _conformal(stretch: np.ndarray, level: float) -> np.ndarray:
    """The stretch of rank ceil((n + 1) level) along the first axis, NaN left out.

    Infinite if that is beyond the n there are.
    """
    ordered = np.sort(stretch, axis=0)  # NaN last
    counts = np.isfinite(stretch).sum(0) + np.isposinf(stretch).sum(0)
    ranks = np.ceil((counts + 1) * level - 1e-9).astype(int)
    found = np.take_along_axis(ordered, np.clip(ranks - 1, 0, len(stretch) - 1)[None], 0)[0]
    return np.where(ranks <= counts, found, np.inf)


def _recalibrate(
    samples: np.ndarray,
    middle: np.ndarray,
    below: np.ndarray,
    above: np.ndarray,
    factors: np.ndarray,
) -> np.ndarray:
    """Move samples (n, S, H, C) so that each interval becomes its stretched one.

    Piecewise linear in the distance from the median and never decreasing. A factor that is not
    finite leaves its interval to the one before.
    """
    distance = samples - middle[:, None]
    moved = np.broadcast_to(middle[:, None], samples.shape).copy()
    for sign, reach in ((-1.0, below), (1.0, above)):
        outward = np.maximum(sign * distance, 0)
        knot, image, slope = np.zeros_like(middle), np.zeros_like(middle), np.ones_like(middle)
        for width, factor in zip(reach, factors, strict=True):
            known = np.isfinite(factor)
            target = np.maximum(np.where(known, np.where(known, factor, 1) * width, image), image)
            step = width - knot
            rise = np.where(step > 0, (target - image) / np.where(step > 0, step, 1), 0.0)
            use = known & (step > 0)
            rise = np.where(use, rise, slope)
            part = np.clip(outward - knot[:, None], 0, np.maximum(step, 0)[:, None])
            moved += sign * rise[:, None] * part
            slope = np.where(known, np.where(known, factor, 1), slope)
            image = image + rise * np.maximum(step, 0)
            knot = np.maximum(width, knot)
        moved += sign * slope[:, None] * np.maximum(outward - knot[:, None], 0)
    return moved


def _inside(values: np.ndarray, support: Any) -> np.ndarray:
    """Values cut to a support; counts are rounded."""
    if support == "real":
        return values
    if support == "count":
        return np.maximum(np.round(values), 0)
    low, high = (np.finfo(float).tiny, np.inf) if support == "positive" else support
    return np.clip(values, low, high)
