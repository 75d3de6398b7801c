"""Windows that GluonTS' splitter cuts from a stream."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from gluonts.dataset import Dataset
from gluonts.itertools import Cyclic, PseudoShuffled, batcher
from gluonts.transform import (
    InstanceSplitter,
    MapTransformation,
    TestSplitSampler,
    Transformation,
)
from gluonts.transform.sampler import InstanceSampler

from tsgen.core import Component
from tsgen.data.entries import Entry
from tsgen.forecasting.data.fields import CONTEXT_FIELDS, stack_windows
from tsgen.forecasting.data.window import Window, WindowShape


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
        earliest = self.shape.earliest_start_of(np.atleast_2d(ts))
        starts = torch.randint(earliest, last + 1, (self.num_instances,)).numpy()
        return starts + self.shape.past_length


class TrimWindow(Component, MapTransformation):
    """Cut what GluonTS' splitter returns down to the fields and lengths of a window."""

    def __init__(self, context_length: int) -> None:
        self.context_length = context_length

    def map_transform(self, data: Entry, is_train: bool) -> Entry:
        """Trim one window."""
        for name in CONTEXT_FIELDS:
            data[f"past_{name}"] = data[f"past_{name}"][-self.context_length :]
        return data


def create_splitter(
    shape: WindowShape, sampler: InstanceSampler | None = None, has_times: bool = False
) -> Transformation:
    """GluonTS' splitter for these windows.

    Args:
        shape: lengths of the windows.
        sampler: which windows; without one it cuts the one at the end, for prediction.
        has_times: whether the entries have the times of their observations.
    """
    fields = ["observed", *CONTEXT_FIELDS, *(["times"] if has_times else [])]
    splitter = InstanceSplitter(
        target_field="target",
        is_pad_field="is_pad",
        start_field="start",
        forecast_start_field="forecast_start",
        instance_sampler=sampler or TestSplitSampler(),
        past_length=shape.past_length,
        future_length=shape.prediction_length,
        time_series_fields=fields,
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
        has_times: bool = False,
    ) -> None:
        sampler = UniformWindowSampler(shape=shape, num_instances=num_instances)
        splitter = create_splitter(shape, sampler, has_times)
        entries = (transformation + splitter).apply(Cyclic(dataset).stream(), is_train=True)
        if shuffle_buffer_length:
            entries = PseudoShuffled(entries, shuffle_buffer_length)
        self.num_batches, self.batches = num_batches, batcher(entries, batch_size)

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.num_batches

    def __iter__(self) -> Iterator[Window]:
        return map(stack_windows, itertools.islice(self.batches, self.num_batches))
