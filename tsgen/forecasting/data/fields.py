"""Fields of a transformed entry, by name, and the one place where they become a window."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tsgen.data.entries import Entry
from tsgen.forecasting.data.window import Stretch, Window, repeat_last

WHOLE_PAST_FIELDS = ("target", "observed")
"""Fields of a series that a window holds as far back as lags reach."""
CONTEXT_FIELDS = ("location", "scale", "features", "covariates")
"""Fields of a series that a window holds over its context."""
STATIC_FIELDS = ("static", "categories", "center")
"""Fields of a series as a whole."""


def series_fields(entry: Entry) -> tuple[str, ...]:
    """Names of an entry's fields over time; "times" is one where observations have times."""
    return (*WHOLE_PAST_FIELDS, *CONTEXT_FIELDS, *(("times",) if "times" in entry else ()))


def relative_times(times: Tensor, past_length: int) -> Tensor:
    """Times (B, P + H), float64, as float32 from the last step of the past on."""
    return (times - times[:, past_length - 1 : past_length]).float()


def stack_windows(entries: Sequence[Entry], device: str | torch.device = "cpu") -> Window:
    """Windows of entries that GluonTS' splitter has cut, as a batch on a device.

    In prediction the splitter has no future target; the window's is NaN then, and not observed.
    """

    def stack(name: str) -> Tensor:
        return torch.as_tensor(np.stack([entry[name] for entry in entries])).to(device)

    past = {name: stack(f"past_{name}") for name in (*WHOLE_PAST_FIELDS, *CONTEXT_FIELDS)}
    features = stack("future_features")
    horizon = features.shape[1]
    target, observed = stack("future_target"), stack("future_observed")
    if target.shape[1] < horizon:
        target = past["target"].new_full((len(features), horizon, past["target"].shape[2]), np.nan)
        observed = torch.zeros_like(target, dtype=torch.bool)
    past_times = future_times = None
    if "past_times" in entries[0]:
        times = torch.cat([stack("past_times"), stack("future_times")], 1)[..., 0]
        length = past["target"].shape[1]
        past_times, future_times = relative_times(times, length).split([length, horizon], 1)
    location, scale, covariates = past["location"], past["scale"], past["covariates"]
    return Window(
        Stretch(**past, times=past_times),
        Stretch(
            target, observed, repeat_last(location, horizon), repeat_last(scale, horizon),
            features, covariates[:, :0], future_times,
        ),
        *(stack(name) for name in STATIC_FIELDS),
    )  # fmt: skip
