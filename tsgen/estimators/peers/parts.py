"""What a GluonTS model takes: an entry for each channel."""

from collections.abc import Iterable, Iterator

import numpy as np

from tsgen.data.entries import Entry
from tsgen.forecasting.data.entry import CATEGORY, FUTURE, PAST, STATIC, read_entry


def split_channels(
    dataset: Iterable[Entry], horizon: int, channelwise: bool = True
) -> Iterator[Entry]:
    """Entries as GluonTS' models want them, one for each channel, covariates shared.

    Args:
        dataset: entries with a target (T,) or (C, T).
        horizon: steps after the target that known covariates keep.
        channelwise: ``False`` leaves the channels together.
    """
    for number, entry in enumerate(dataset):
        read = read_entry(entry, number)
        target = read["target"].astype(np.float32)
        length = target.shape[1]
        shared: Entry = {"start": read["start"]}
        for name, steps in ((FUTURE, length + horizon), (PAST, length)):
            if name in read:
                shared[name] = read[name][:, :steps].astype(np.float32)
        for name, kind in ((STATIC, np.float32), (CATEGORY, np.int64)):
            if name in read:
                shared[name] = read[name].astype(kind)
        item = entry.get("item_id", number)
        if not channelwise:
            yield {**shared, "item_id": item, "target": target}
            continue
        for channel, values in enumerate(target):
            yield {**shared, "item_id": f"{item}/{channel}", "target": values}
