"""Windows: gathered by index from series transformed once, or cut by GluonTS from a stream.

Both give the same fields (B batch, P past length, L context length, H horizon, C channels, F
features):

=====================================  =============  =============================================
past_target, future_target             (B, P | H, C)  relative to ``center``, gaps carried forward
past_observed, future_observed         (B, P | H, C)  which of it was observed
past_location, past_scale              (B, L, C)      running statistics, see ``scaling``
past_known, future_known               (B, L | H, F)  calendar, age and known covariates
past_covariates                        (B, L, F')     past-only covariates
static_real, static_cat                (B, F'')       of the series
center                                 (B, C)         float64
=====================================  =============  =============================================
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from gluonts.dataset import Dataset
from gluonts.dataset.loader import as_stacked_batches
from gluonts.itertools import Cyclic
from gluonts.transform import (
    InstanceSplitter,
    MapTransformation,
    TestSplitSampler,
    Transformation,
)
from gluonts.transform.sampler import InstanceSampler
from torch import Tensor

from tsgen.core import Component, Options
from tsgen.forecasting.spec import Entry

Batch = dict[str, Tensor]

_SERIES = ("target", "observed", "location", "scale", "known", "covariates")
_SHORT = ("past_location", "past_scale", "past_known", "past_covariates")
_STATIC = ("static_real", "static_cat", "center")
PREDICTION_FIELDS = ("past_target", "past_observed", *_SHORT, "future_known", *_STATIC)
TRAINING_FIELDS = (*PREDICTION_FIELDS, "future_target", "future_observed")


class WindowShape(Options):
    """Lengths of a window.

    Args:
        context_length: L, steps the encoder runs over.
        past_length: P >= L, steps that lags reach back to.
        prediction_length: H.
        min_history: steps of the series before the forecast's start that a training window has at
            least.
    """

    context_length: int
    past_length: int
    prediction_length: int
    min_history: int = 1

    def first(self, length: int, before: int = 0) -> int:
        """The earliest forecast start in a series.

        It has a full past if the series is long, else what there is; where none is needed, any.
        Steps before a series has begun are none of it, as long as a window is left.

        Args:
            length: of the series.
            before: steps before it has begun.
        """
        if self.min_history == 0:
            return 0
        room = length - before - self.prediction_length
        if room >= 2 * self.past_length:
            return before + self.past_length
        first = before + max(1, min(self.context_length, room // 2))
        return max(1, min(first, length - self.prediction_length))

    def first_of(self, padded: np.ndarray) -> int:
        """The earliest forecast start in a target (C, P + T), NaN until each channel has begun."""
        own = padded[:, self.past_length :]
        if np.isfinite(own[:, :1]).any():
            return self.first(own.shape[1])
        return self.first(own.shape[1], int(np.isfinite(own).any(0).argmax()))


class WindowStore:
    """Series as time-major tensors on one device, from which windows are gathered.

    Args:
        entries: transformed entries, each with ``past_length`` steps of padding in front.
        shape: lengths of the windows.
        device: where the tensors live.
        starts: for each entry the forecast starts allowed, as steps of the unpadded series;
            ``None`` takes all from ``shape.first`` on.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        shape: WindowShape,
        device: str | torch.device = "cpu",
        starts: list[np.ndarray] | None = None,
    ) -> None:
        self.shape = shape
        columns: dict[str, list[np.ndarray]] = {name: [] for name in (*_SERIES, *_STATIC)}
        rows, owners, offset = [], [], 0
        for number, entry in enumerate(entries):
            padded = entry["target"].shape[1]
            for name in _SERIES:
                columns[name].append(entry[name].T)
            for name in _STATIC:
                columns[name].append(entry[name][None])
            length = padded - shape.past_length
            if starts is None:
                last = length - shape.prediction_length
                allowed = np.arange(shape.first_of(entry["target"]), last + 1)
            else:
                allowed = starts[number]
            rows.append(offset + allowed)
            owners.append(np.full(len(allowed), number))
            offset += padded
        self.first_row = torch.from_numpy(np.concatenate(rows)).to(device)
        self.owner = torch.from_numpy(np.concatenate(owners)).to(device)
        self.columns = {
            name: torch.from_numpy(np.ascontiguousarray(np.concatenate(arrays))).to(device)
            for name, arrays in columns.items()
        }

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.first_row)

    def gather(self, index: Tensor) -> Batch:
        """The windows of the given numbers, (B,)."""
        index = index.to(self.first_row.device)
        shape, first = self.shape, self.first_row[index][:, None]
        past, context = shape.past_length, shape.context_length
        steps = torch.arange(past + shape.prediction_length, device=first.device)
        whole = first + steps
        batch: Batch = {}
        for name in ("target", "observed"):
            batch[f"past_{name}"], batch[f"future_{name}"] = self.columns[name][whole].split(
                [past, shape.prediction_length], 1
            )
        recent = whole[:, past - context :]
        batch["past_known"], batch["future_known"] = self.columns["known"][recent].split(
            [context, shape.prediction_length], 1
        )
        for name in ("location", "scale", "covariates"):
            batch[f"past_{name}"] = self.columns[name][recent[:, :context]]
        for name in _STATIC:
            batch[name] = self.columns[name][self.owner[index]]
        return batch


class RandomWindows:
    """An epoch of batches of windows drawn uniformly with torch's global generator."""

    def __init__(self, store: WindowStore, batch_size: int, num_batches: int) -> None:
        self.store, self.batch_size, self.num_batches = store, batch_size, num_batches

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.num_batches

    def __iter__(self) -> Iterator[Batch]:
        for index in torch.randint(len(self.store), (self.num_batches, self.batch_size)):
            yield self.store.gather(index)


class FixedWindows:
    """The same windows every time, evenly spread over the store and repeated if there are few.

    Args:
        store: where from.
        batch_size: windows per batch.
        at_least: windows are repeated until there are so many (each repetition meets other noise).
        at_most: evenly spaced windows are taken if there are more.
    """

    def __init__(
        self, store: WindowStore, batch_size: int, at_least: int = 256, at_most: int = 512
    ) -> None:
        count = len(store)
        if count > at_most:
            index = torch.linspace(0, count - 1, at_most, dtype=torch.float64).round().long()
        else:
            index = torch.arange(count).repeat(-(-at_least // count))
        self.store, self.batches = store, index.split(batch_size)

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return map(self.store.gather, self.batches)


def validation_windows(
    data: Dataset,
    transformation: Transformation,
    shape: WindowShape,
    training: list[Entry],
    device: torch.device,
    batch_size: int,
) -> FixedWindows:
    """Windows of validation data; of a series that goes on from training, those that are new.

    Raises:
        ValueError: if the data have no length or a series is shorter than a horizon.
    """
    if not hasattr(data, "__len__"):
        raise ValueError(
            "validation_data must have a length; a stream cannot give the same windows each epoch"
        )
    entries = list(transformation.apply(data, is_train=True))
    trained = {e["item_id"]: (e["start"], e["target"].shape[1]) for e in training}
    starts = []
    for entry in entries:
        padded = entry["target"].shape[1]
        length = padded - shape.past_length
        last = length - shape.prediction_length
        if last < shape.min_history:
            raise ValueError(
                f"validation series {entry['item_id']!r} has {length} steps, needs at least "
                f"{shape.prediction_length + shape.min_history} for prediction_length="
                f"{shape.prediction_length}"
            )
        start, end = trained.get(entry["item_id"], (None, 0))
        goes_on = start == entry["start"] and end < padded
        seen = end - shape.past_length if goes_on else 0
        starts.append(np.arange(min(max(shape.first_of(entry["target"]), seen), last), last + 1))
    return FixedWindows(WindowStore(entries, shape, device, starts), batch_size)


class UniformWindowSampler(InstanceSampler):
    """GluonTS sampler for streams.

    Draws ``num_instances`` forecast starts per visit of a series, uniformly. Sees the padded
    series, like the splitter it is given to.
    """

    shape: WindowShape
    num_instances: int = 1

    class Config:
        """Accept the library's own option objects."""

        arbitrary_types_allowed = True

    def __call__(self, ts: np.ndarray) -> np.ndarray:
        """Forecast starts in the padded series."""
        length = ts.shape[-1] - self.shape.past_length
        last = length - self.shape.prediction_length
        if last < self.shape.min_history:
            raise ValueError(
                f"a series of the stream has {length} steps; prediction_length="
                f"{self.shape.prediction_length} needs at least "
                f"{self.shape.prediction_length + self.shape.min_history}"
            )
        first = self.shape.first_of(np.atleast_2d(ts))
        drawn = torch.randint(first, last + 1, (self.num_instances,)).numpy()
        return drawn + self.shape.past_length


class TrimWindow(Component, MapTransformation):
    """Cut what GluonTS' splitter returns down to the fields and lengths of a window."""

    def __init__(self, context_length: int) -> None:
        self.context_length = context_length

    def map_transform(self, data: Entry, is_train: bool) -> Entry:
        """Trim one window."""
        for name in _SHORT:
            data[name] = data[name][-self.context_length :]
        return data


def create_splitter(shape: WindowShape, sampler: InstanceSampler | None = None) -> Transformation:
    """GluonTS' splitter for these windows.

    Without a sampler it cuts the one window at the end, for prediction.
    """
    splitter = InstanceSplitter(
        target_field="target",
        is_pad_field="is_pad",
        start_field="start",
        forecast_start_field="forecast_start",
        instance_sampler=sampler or TestSplitSampler(),
        past_length=shape.past_length,
        future_length=shape.prediction_length,
        time_series_fields=[name for name in _SERIES if name != "target"],
    )
    return splitter + TrimWindow(shape.context_length)


class StreamedWindows:
    """An epoch of batches cut by GluonTS' splitter while the data set streams by, endlessly."""

    def __init__(
        self,
        dataset: Dataset,
        transformation: Transformation,
        shape: WindowShape,
        batch_size: int,
        num_batches: int,
        num_instances: int,
        shuffle_buffer_length: int | None = None,
    ) -> None:
        sampler = UniformWindowSampler(shape=shape, num_instances=num_instances)
        entries = (transformation + create_splitter(shape, sampler)).apply(
            Cyclic(dataset).stream(), is_train=True
        )
        batches = as_stacked_batches(
            entries,
            batch_size=batch_size,
            field_names=list(TRAINING_FIELDS),
            output_type=torch.tensor,
            shuffle_buffer_length=shuffle_buffer_length,
        )
        self.num_batches, self.batches = num_batches, iter(batches)

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.num_batches

    def __iter__(self) -> Iterator[Batch]:
        return itertools.islice(self.batches, self.num_batches)
