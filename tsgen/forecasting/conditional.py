"""Sample paths of which a part is known: partly known futures, nudged forecasts, imputation."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from gluonts.dataset import Dataset
from gluonts.model.forecast import SampleForecast

from tsgen.data.entries import Entry
from tsgen.data.paths import sample_forecast
from tsgen.diffusion import Guidance
from tsgen.forecasting.data.entry import FUTURE, PAST, TIMES, read_entry
from tsgen.forecasting.data.grid import GridWindows
from tsgen.forecasting.data.window import Window
from tsgen.forecasting.drawing import Drawing
from tsgen.forecasting.network.pairs import HorizonGiven
from tsgen.models import Diffusion


def resolve_guidance(drawing: Drawing, guidance: Guidance | None) -> Guidance:
    """The guidance to draw with.

    Raises:
        ValueError: if the network's model cannot draw given a part of a horizon, or not so.
    """
    model = drawing.network.model
    if not isinstance(model, Diffusion) or len(model.event_shape) != 2:
        raise ValueError(
            f"{type(model).__name__} over events {tuple(model.event_shape)} cannot draw given a "
            "part of a horizon; train a diffusion model (timegrad, scoregrad) with "
            "decoding='horizon'"
        )
    chosen = guidance or model.guidance
    if chosen.needs_given and not model.takes_given:
        raise ValueError(
            f"guidance={chosen!r} needs a model trained with given=Given(rate=...); this one "
            "can be guided by Reconstruction or Replacement"
        )
    return chosen


class Horizons(NamedTuple):
    """What is known of the horizons of all entries of a data set."""

    given: np.ndarray | None
    """Values that are kept, (entries, H, C), NaN where nothing is known."""
    nudge: np.ndarray | None
    """Whole horizons to start from, (entries, H, C)."""
    strength: float = 0.5
    """The level to which those are noised, in (0, 1]."""

    def of_batch(self, rows: slice, window: Window, guidance: Guidance) -> HorizonGiven:
        """The part of some entries, for the window that they make."""
        nudge = None if self.nudge is None else self.nudge[rows][:, None]
        given = np.full_like(nudge, np.nan) if self.given is None else self.given[rows][:, None]
        part = center_given(given, window, guidance)
        if nudge is None:
            return part
        guess = center_given(nudge, window, guidance).values
        return part._replace(guess=guess, strength=self.strength)


def read_horizons(
    drawing: Drawing,
    count: int,
    given: Sequence[np.ndarray] | None,
    nudge: Sequence[np.ndarray] | None,
) -> Horizons:
    """Horizons of so many entries, checked, as a predictor's ``forecast`` says."""
    horizons: dict[str, np.ndarray | None] = {}
    for name, arrays in (("given", given), ("nudge", nudge)):
        if arrays is not None and len(arrays) != count:
            raise ValueError(
                f"{name} has {len(arrays)} horizons for {count} entries; each needs one"
            )
        whole = name == "nudge"
        horizons[name] = None if arrays is None else check_given(drawing, name, arrays, whole)
    return Horizons(horizons["given"], horizons["nudge"])


def check_given(
    drawing: Drawing, name: str, arrays: Sequence[np.ndarray], whole: bool = False
) -> np.ndarray:
    """Arrays of horizons, one of each entry, (entries, H, C), float64.

    Args:
        drawing: of the network whose horizons they are.
        name: what to call them in an error.
        arrays: (C, H), or (H,) for 1-D targets; NaN where nothing is known.
        whole: whether NaN are refused.

    Raises:
        ValueError: naming the array, what it holds and what was expected.
    """
    spec, horizon = drawing.spec, drawing.shape.prediction_length
    shape = (horizon,) if spec.one_dimensional else (spec.num_channels, horizon)
    link, read = drawing.network.target.link, []
    for number, array in enumerate(arrays):
        where = f"{name}[{number}]"
        try:
            values = np.asarray(array, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where} is not numeric ({error})") from None
        if values.shape != shape:
            raise ValueError(
                f"{where} has shape {values.shape}, expected {shape}: a target's next "
                "prediction_length steps"
            )
        if np.isinf(values).any() or (whole and np.isnan(values).any()):
            what = "missing or infinite" if whole else "infinite"
            raise ValueError(f"{where} has {what} values")
        link.check(np.atleast_2d(values), where)
        read.append(np.atleast_2d(values).T)
    return np.stack(read) if read else np.zeros((0, horizon, spec.num_channels))


def center_given(values: np.ndarray, window: Window, guidance: Guidance) -> HorizonGiven:
    """What is given of a batch's horizons, from values (B, 1 or S, H, C) with NaN elsewhere."""
    given = torch.from_numpy(values).to(window.center.device)
    shifted = (given - window.center[:, None, None]).to(window.past.target.dtype)
    mask = ~given.isnan()
    return HorizonGiven(
        torch.where(mask, shifted, torch.zeros_like(shifted)), mask, guidance=guidance
    )


def impute(
    drawing: Drawing,
    dataset: Dataset,
    num_samples: int,
    guidance: Guidance,
    seed: int | None,
) -> Iterator[SampleForecast]:
    """Draw what is missing of each series, block by block, as a predictor's ``impute`` says."""
    drawing.network.eval()
    for number, entry in enumerate(dataset):
        read = read_entry(entry, number)
        target, horizon = read["target"], drawing.shape.prediction_length
        begin = drawing.shape.min_history
        early = np.isnan(target[:, :begin])
        if early.any():
            raise ValueError(
                f"{read['where']}: target is missing in its first step, in channel "
                f"{int(np.argwhere(early)[0, 0])}; to fill that, train with min_history=0 and "
                "scaling='global'"
            )
        samples = np.repeat(target.T[None], num_samples, 0)
        length = target.shape[1]
        last = max(begin, length - horizon)
        starts = np.unique(np.minimum(np.arange(begin, last + horizon, -(-horizon // 3)), last))
        windows = _windows(drawing, entry, length, last + horizon, starts)
        for block, start in enumerate(starts):
            stop = min(start + horizon, length)
            # what lies in the last third is drawn by the next block, which sees more behind it
            end = stop if start == last else start + horizon - horizon // 3
            if not np.isnan(samples[:, start:end]).any():
                continue
            window = windows.gather(torch.tensor([block]))
            values = np.full((1, num_samples, horizon, target.shape[0]), np.nan)
            values[0, :, : stop - start] = samples[:, start:stop]
            given = center_given(values, window, guidance)
            (paths,) = drawing.sample_paths(window, num_samples, given, seed, number, block)
            hole = np.isnan(samples[:, start:end])
            samples[:, start:end][hole] = paths[:, : end - start][hole]
        yield sample_forecast(samples, read["start"], entry, drawing.spec.one_dimensional)


def _windows(
    drawing: Drawing, entry: Entry, length: int, needed: int, starts: np.ndarray
) -> GridWindows:
    """The windows of a series at these starts; beyond its end nothing is observed."""
    padded, more = dict(entry), max(0, needed - length)
    if more:
        if entry.get(TIMES) is not None:  # they go on with the gap that they ended with
            times = np.asarray(entry[TIMES], dtype=np.float64)
            gap = times[-1] - times[-2] if len(times) > 1 else 1.0
            beyond = gap * np.arange(1, 1 + max(0, needed - len(times)))
            padded[TIMES] = np.append(times, times[-1] + beyond)
        for name, how in (("target", "nan"), (FUTURE, "edge"), (PAST, "edge")):
            value = entry.get(name)
            if value is None or not len(value):
                continue
            array = np.asarray(value, dtype=np.float64)
            width = [(0, 0)] * (array.ndim - 1) + [(0, max(0, needed - array.shape[-1]))]
            padded[name] = (
                np.pad(array, width, constant_values=np.nan)
                if how == "nan"
                else np.pad(array, width, mode="edge")
            )
    transformation = drawing.transformation
    entries = list(transformation.apply([padded], is_train=True))
    return GridWindows(entries, drawing.shape, drawing.device, [starts])
