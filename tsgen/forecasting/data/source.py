"""Training and validation data as windows: held in memory, or streamed where they are too many."""

from collections.abc import Iterable, Sized
from typing import Any

import torch
from gluonts.dataset import Dataset
from gluonts.transform import Transformation

from tsgen.data.entries import Entry
from tsgen.forecasting.data.grid import GridWindows, RandomWindows, validation_windows
from tsgen.forecasting.data.spec import DataSpec
from tsgen.forecasting.data.stream import StreamedWindows
from tsgen.forecasting.data.window import Window, WindowShape


class TrainingSource:
    """Transformed training data, of which batches of windows are drawn.

    Args:
        dataset: entries as the user gave them.
        spec: what they hold.
        transformation: from an entry to arrays.
        shape: lengths of the windows.
        memory_limit: bytes; data that take more, or have no length, are streamed.
    """

    def __init__(
        self,
        dataset: Dataset,
        spec: DataSpec,
        transformation: Transformation,
        shape: WindowShape,
        memory_limit: int,
    ) -> None:
        self.dataset, self.spec, self.transformation, self.shape = (
            dataset,
            spec,
            transformation,
            shape,
        )
        self.is_streamed = not isinstance(dataset, Sized) or spec.num_bytes > memory_limit
        entries: Iterable[Entry] = transformation.apply(dataset, is_train=True)
        self.entries: Iterable[Entry] = entries if self.is_streamed else list(entries)

    def batches(
        self,
        batch_size: int,
        num_batches: int,
        device: torch.device,
        shuffle_buffer_length: int | None = None,
    ) -> Iterable[Window]:
        """Epochs of random windows.

        Args:
            batch_size: windows per batch.
            num_batches: batches per epoch.
            device: where data in memory are held.
            shuffle_buffer_length: windows of a stream that are shuffled; ``None``: none.
        """
        if not self.is_streamed:
            store = GridWindows(self.entries, self.shape, device)
            return RandomWindows(store, batch_size, num_batches)
        return StreamedWindows(
            self.dataset,
            self.transformation,
            self.shape,
            batch_size,
            num_batches,
            num_instances=-(-batch_size // self.spec.num_series),
            shuffle_buffer_length=shuffle_buffer_length,
            has_times=self.spec.median_gap is not None,
        )

    def validation(
        self, data: Any, batch_size: int, device: torch.device
    ) -> Iterable[Window] | None:
        """The same windows of validation data every epoch; ``None`` without such data.

        Of a series that goes on from a training series in memory only new windows are used.
        """
        if data is None:
            return None
        training = [] if self.is_streamed else list(self.entries)
        return validation_windows(
            data, self.transformation, self.shape, training, device, batch_size
        )
