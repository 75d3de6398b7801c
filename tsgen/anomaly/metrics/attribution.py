"""Whether the channels that carry an alarm are those that were attacked."""

from collections.abc import Collection, Sequence

import numpy as np

from tsgen.core import OptionError


def rc_top_k(
    channels: np.ndarray,
    events: Sequence[Sequence[int]] | np.ndarray,
    targets: Sequence[Collection[int]],
    k: int = 3,
) -> float:
    """Share of events of which a target is among the k channels with the largest scores.

    A channel's score over an event is the mean of its rows' scores. ("Root cause in the top k".)

    Args:
        channels: scores (T, C), higher is stranger, NaN where there is none.
        events: first row and the row after the last one, (n, 2); see ``segments``.
        targets: of each event, the numbers of the channels that were attacked.
        k: channels looked at.

    Raises:
        ValueError: for events outside the rows, without targets, targets that are no channel, or k
            below 1 or above the number of channels.
    """
    order = _orders(channels, events, targets)
    if not 1 <= k <= np.shape(channels)[1]:
        raise OptionError("", "k", k, f"in 1 to {np.shape(channels)[1]}, the channels")
    hits = [
        bool(set(row[:k]) & set(attacked)) for row, attacked in zip(order, targets, strict=True)
    ]
    return float(np.mean(hits))


def hit_rate(
    channels: np.ndarray,
    events: Sequence[Sequence[int]] | np.ndarray,
    targets: Sequence[Collection[int]],
    percent: float = 100.0,
) -> float:
    """HitRate@P%: mean share of an event's targets among its P % times as many top channels.

    Args and errors as for :func:`rc_top_k`; ``percent`` is at least 100.

    Source:
        Su et al., OmniAnomaly (KDD 2019), section 4.5.
    """
    order = _orders(channels, events, targets)
    if not percent >= 100:
        raise OptionError("", "percent", percent, "at least 100")
    rates = []
    for row, attacked in zip(order, targets, strict=True):
        wanted = set(attacked)
        top = set(row[: int(len(wanted) * percent / 100)])
        rates.append(len(top & wanted) / len(wanted))
    return float(np.mean(rates))


def _orders(
    channels: np.ndarray,
    events: Sequence[Sequence[int]] | np.ndarray,
    targets: Sequence[Collection[int]],
) -> list[list[int]]:
    """Of each event, the channels from the largest mean score to the smallest, none without one."""
    channels, bounds = np.asarray(channels, dtype=float), np.asarray(events, dtype=int)
    if channels.ndim != 2:
        raise ValueError(f"channels has shape {channels.shape}; expected (T, C)")
    if bounds.ndim != 2 or bounds.shape[1] != 2 or len(bounds) != len(targets) or not len(bounds):
        raise ValueError(
            f"events has shape {bounds.shape} and there are {len(targets)} targets; expected "
            "(n, 2) and n, at least 1"
        )
    orders = []
    for (start, stop), attacked in zip(bounds, targets, strict=True):
        if not 0 <= start < stop <= len(channels):
            raise ValueError(
                f"event ({start}, {stop}) lies outside the {len(channels)} rows or is empty"
            )
        if not attacked or not set(attacked) <= set(range(channels.shape[1])):
            raise ValueError(
                f"event ({start}, {stop}) has the targets {sorted(attacked)}; expected at least "
                f"one number of a channel, from 0 to {channels.shape[1] - 1}"
            )
        part = channels[start:stop]
        scored = np.isfinite(part)
        count = scored.sum(0)
        mean = np.where(scored, part, 0.0).sum(0) / np.maximum(count, 1)
        ranking = np.argsort(-np.where(count > 0, mean, -np.inf), kind="stable")
        orders.append([int(i) for i in ranking if count[i] > 0])
    return orders
