"""Which rows and columns attacks concern, checked before anything is simulated."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsgen.plant.attacks import Attack, Surface
from tsgen.plant.reports import Replay


@dataclass(frozen=True)
class Planned:
    """An attack in rows and columns.

    Args:
        attack: the attack.
        first: its first row.
        stop: the row after its last one.
        channels: it acts on.
        columns: their numbers.
    """

    attack: Attack
    first: int
    stop: int
    channels: tuple[str, ...]
    columns: np.ndarray


def plan_attacks(
    attacks: Sequence[Attack], surface: Surface, times: pd.DatetimeIndex, step: pd.Timedelta
) -> list[Planned]:
    """Check attacks against a plant and a span, and put them in order of their start.

    Raises:
        ValueError: for something that is no attack, a time or replayed window outside the span, an
            attack between two rows, a target that is unknown or of the wrong kind, or two attacks
            on one target at once.
    """
    planned: list[Planned] = []
    held: list[tuple[tuple[str, str], Planned]] = []
    if isinstance(attacks, Attack):
        raise ValueError(f"attacks is one {attacks.kind}; expected a list of attacks")
    opening, closing = times[0], times[-1] + step
    for attack in attacks:
        if not isinstance(attack, Attack):
            raise ValueError(
                f"attacks holds {attack!r}; expected Bias, Ramp, SlowDrift, Freeze, Replay, Denial,"
                " Override or SetpointChange"
            )
        moments = [("start", attack.begins), ("end", attack.ends)]
        moments += [("source", attack.opens)] if isinstance(attack, Replay) else []
        for name, time in moments:
            if not opening <= time <= closing:
                raise ValueError(
                    f"{attack.kind} of {attack.target!r}: {name}={str(time)!r} lies outside the "
                    f"simulated span; expected {opening} to {closing}"
                )
        first, stop = (int(times.searchsorted(t)) for t in (attack.begins, attack.ends))
        if first == stop:
            raise ValueError(
                f"{attack.kind} of {attack.target!r}: no row lies in [{attack.start}, {attack.end})"
                f"; expected an attack of at least step={step}"
            )
        channels = attack.channels(surface)
        columns = np.array([surface.channels.index(name) for name in channels], dtype=int)
        new = Planned(attack, first, stop, channels, columns)
        for point in sorted(attack.points(surface)):
            for other_point, other in held:
                if other_point == point and other.first < stop and first < other.stop:
                    raise ValueError(
                        f"{attack.kind} from {attack.start} to {attack.end} and "
                        f"{other.attack.kind} from {other.attack.start} to {other.attack.end} both "
                        f"hold the {point[0]} of {point[1]!r}; expected one at a time"
                    )
            held.append((point, new))
        planned.append(new)
    return sorted(planned, key=lambda item: (item.first, item.stop))


def attack_table(planned: Sequence[Planned]) -> pd.DataFrame:
    """A row of each attack: kind, target, start, end, channels."""
    rows = [
        (
            item.attack.kind,
            ", ".join(item.attack.targets),
            item.attack.start,
            item.attack.end,
            item.channels,
        )
        for item in planned
    ]
    return pd.DataFrame(rows, columns=["kind", "target", "start", "end", "channels"])


def attack_truth(
    planned: Sequence[Planned], surface: Surface, times: pd.DatetimeIndex
) -> tuple[pd.Series, pd.DataFrame]:
    """Labels (T,), 1 while any attack is on, and the channels it acts on, (T, C) of bool."""
    labels = np.zeros(len(times), dtype=int)
    truth = np.zeros((len(times), len(surface.channels)), dtype=bool)
    for item in planned:
        labels[item.first : item.stop] = 1
        truth[item.first : item.stop, item.columns] = True
    return (
        pd.Series(labels, times, name="label"),
        pd.DataFrame(truth, times, list(surface.channels)),
    )
