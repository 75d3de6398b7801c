"""Windows gathered by index from series that were transformed once."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from gluonts.dataset import Dataset
from gluonts.transform import Transformation
from torch import Tensor

from tsgen.data.entries import Entry
from tsgen.forecasting.data.fields import (
    STATIC_FIELDS,
    WHOLE_PAST_FIELDS,
    relative_times,
    series_fields,
)
from tsgen.forecasting.data.window import Stretch, Window, Windows, WindowShape, repeat_last


class GridWindows:
    """Series as time-major tensors on one device, from which windows are gathered.

    Args:
        entries: transformed entries, each with ``past_length`` steps of padding in front.
        shape: lengths of the windows.
        device: where the tensors live.
        starts: for each entry the forecast starts allowed, as steps of the unpadded series;
            ``None`` takes all from ``shape.earliest_start`` on.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        shape: WindowShape,
        device: str | torch.device = "cpu",
        starts: list[np.ndarray] | None = None,
    ) -> None:
        self.shape = shape
        columns: dict[str, list[np.ndarray]] = {}
        rows, owners, offset = [], [], 0
        for number, entry in enumerate(entries):
            padded = entry["target"].shape[1]
            for name in series_fields(entry):
                columns.setdefault(name, []).append(entry[name].T)
            for name in STATIC_FIELDS:
                columns.setdefault(name, []).append(entry[name][None])
            length = padded - shape.past_length
            if starts is None:
                last = length - shape.prediction_length
                allowed = np.arange(shape.earliest_start_of(entry["target"]), last + 1)
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

    def gather(self, index: Tensor) -> Window:
        """The windows of the given numbers, (B,)."""
        index = index.to(self.first_row.device)
        shape, start = self.shape, self.first_row[index][:, None]
        past, context, horizon = shape.past_length, shape.context_length, shape.prediction_length
        whole = start + torch.arange(past + horizon, device=start.device)
        recent = whole[:, past - context :]
        columns = self.columns
        target, observed = (columns[n][whole].split([past, horizon], 1) for n in WHOLE_PAST_FIELDS)
        features = columns["features"][recent].split([context, horizon], 1)
        location, scale, covariates = (
            columns[name][recent[:, :context]] for name in ("location", "scale", "covariates")
        )
        times: Sequence[Tensor | None] = (None, None)
        if "times" in columns:
            values = columns["times"][whole][..., 0]
            times = relative_times(values, past).split([past, horizon], 1)
        return Window(
            Stretch(target[0], observed[0], location, scale, features[0], covariates, times[0]),
            Stretch(
                target[1], observed[1], repeat_last(location, horizon), repeat_last(scale, horizon),
                features[1], covariates[:, :0], times[1],
            ),
            *(columns[name][self.owner[index]] for name in STATIC_FIELDS),
        )  # fmt: skip


class RandomWindows:
    """An epoch of batches of windows drawn uniformly with torch's global generator."""

    def __init__(self, windows: Windows, batch_size: int, num_batches: int) -> None:
        self.windows, self.batch_size, self.num_batches = windows, batch_size, num_batches

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.num_batches

    def __iter__(self) -> Iterator[Window]:
        for index in torch.randint(len(self.windows), (self.num_batches, self.batch_size)):
            yield self.windows.gather(index)


class FixedWindows:
    """The same windows every time, evenly spread over all and repeated if there are few.

    Args:
        windows: where from.
        batch_size: windows per batch.
        at_least: windows are repeated until there are so many (each repetition meets other noise).
        at_most: evenly spaced windows are taken if there are more.
    """

    def __init__(
        self, windows: Windows, batch_size: int, at_least: int = 256, at_most: int = 512
    ) -> None:
        count = len(windows)
        if count > at_most:
            index = torch.linspace(0, count - 1, at_most, dtype=torch.float64).round().long()
        else:
            index = torch.arange(count).repeat(-(-at_least // count))
        self.windows, self.batches = windows, index.split(batch_size)

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.batches)

    def __iter__(self) -> Iterator[Window]:
        return map(self.windows.gather, self.batches)


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
        trained_until = end - shape.past_length if goes_on else 0
        starts.append(
            np.arange(
                min(max(shape.earliest_start_of(entry["target"]), trained_until), last), last + 1
            )
        )
    return FixedWindows(GridWindows(entries, shape, device, starts), batch_size)
