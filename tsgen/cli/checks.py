"""What is checked before any work: options of several kinds, and where results can be written."""

import csv
import importlib.util
import io
import math
import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsgen.core import option_style

if TYPE_CHECKING:
    from tsgen.data.entries import Entry

TABLES = (".csv", ".csv.gz", ".parquet", ".pq", ".json", ".jsonl")
"""Endings of tables that can be written."""
PAGES = (".html", ".htm")
"""Endings of reports."""


class Failure(Exception):
    """What went wrong when everything that was asked for had been found right."""


@contextmanager
def working() -> Iterator[None]:
    """The checks are over: a ``ValueError`` or ``OSError`` in here is a :class:`Failure`."""
    try:
        yield
    except BrokenPipeError:  # whoever read has seen enough, which typer answers in silence
        raise
    except (ValueError, OSError) as error:
        failure = Failure(str(error))
        failure.__notes__ = getattr(error, "__notes__", [])
        raise failure from error


def as_options() -> AbstractContextManager[None]:
    """What a message calls an argument of Python, ``freq='h'``, is an option here: --freq h."""
    return option_style(_with_value, _flag)


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _with_value(option: str, value: Any) -> str:
    """An option and its value as they are typed: --item-id 'store,the product'."""
    if value is True:
        return _flag(option)
    text = io.StringIO()
    names = value if isinstance(value, list | tuple) else [value]
    csv.writer(text, lineterminator="").writerow(names)
    return f"{_flag(option)} {shlex.quote(text.getvalue() if names is value else str(value))}"


def check_writable(option: str, path: Path | None, endings: Sequence[str] = TABLES) -> None:
    """Find out whether a file can be written, and leave nothing behind.

    Raises:
        ValueError: naming the option, the path and why not.
    """
    if path is None:
        return
    if not path.name.lower().endswith(tuple(endings)):
        raise ValueError(f"{option} {path}: expected a name that ends in {', '.join(endings)}")
    if path.suffix in (".parquet", ".pq") and importlib.util.find_spec("pyarrow") is None:
        raise ValueError(
            f"{option} {path}: writing parquet needs pyarrow: pip install 'tsgen-forecast[parquet]'"
        )
    if os.path.isdir(path):
        raise ValueError(f"{option} {path}: cannot be written (it is a folder)")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise ValueError(f"{option} {path}: cannot be written (Permission denied)")
    check_folder(option, path, path.parent)


def check_folder(option: str, path: Path | None, folder: Path | None = None) -> None:
    """Find out whether a folder can be made and written to, and leave nothing behind.

    Args:
        option: as it is written on the command line.
        path: its value.
        folder: the one to write to, if that is not ``path``.

    Raises:
        ValueError: naming the option, the path and why not.
    """
    if path is None:
        return
    try:
        nearest = (folder or path).absolute()
        while not os.path.lexists(nearest):
            nearest = nearest.parent
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise ValueError(f"{option} {path}: cannot be written ({error.strerror})") from None


def quantiles_in(text: str) -> list[float]:
    """Levels written with commas between them.

    Raises:
        ValueError: unless they are numbers between 0 and 1 that differ as they are printed.
    """
    try:
        levels = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ValueError(f"--quantiles {text}: expected numbers with commas") from None
    if not levels or not all(0 < level < 1 for level in levels):
        raise ValueError(f"--quantiles {text}: expected levels between 0 and 1")
    names = [f"{level:g}" for level in levels]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"--quantiles {text}: two of them are {twice[0]}, expected levels that differ in their "
            "first six digits"
        )
    return levels


def check_device(device: str | None) -> None:
    """Raise ``ValueError`` for a device that this machine has not."""
    from tsgen.core import usable_device

    if device is not None:
        try:
            usable_device(device)
        except ValueError as error:
            raise ValueError(f"--device {device}: {error}") from None


def check_band(band: float | None, predictor: Any) -> None:
    """Raise ``ValueError`` for a joint band that a predictor has not calibrated."""
    if band is None:
        return
    levels = getattr(predictor, "levels", ())
    if not levels:
        raise ValueError("--band: this model was not calibrated; train it with --calibrate")
    joint = predictor.calibration.joint
    finite = [level for level, factor in zip(levels, joint, strict=True) if math.isfinite(factor)]
    if not any(math.isclose(band, level) for level in finite):
        choices = ", ".join(f"{level:g}" for level in finite) or "of which there are none"
        raise ValueError(f"--band {band:g}: expected one of the calibrated levels, {choices}")


def check_channels(dataset: "list[Entry]", channels: Sequence[str]) -> None:
    """Raise ``ValueError`` for a channel without any value: nothing could be learnt of it."""
    import numpy as np

    has_values = [np.isfinite(np.atleast_2d(entry["target"])).any(1) for entry in dataset]
    for name, any_value in zip(channels, np.any(has_values, axis=0), strict=True):
        if not any_value:
            raise ValueError(f"column {name!r} has no value; leave it out: name others in --target")


def check_history(predictor: Any, entries: "list[Entry]", known: Sequence[str] = ()) -> None:
    """Raise ``ValueError`` for series that a predictor cannot go on from.

    Args:
        predictor: calibrated or not.
        entries: series that end where the forecast begins, with what is known of the future.
        known: names of the covariates that must be.
    """
    horizon = predictor.prediction_length
    for entry in entries if known else ():
        steps = entry["target"].shape[-1]
        ahead = entry["feat_dynamic_real"].shape[-1] - steps
        if ahead < horizon:
            raise ValueError(
                f"series {entry['item_id']!r}: {', '.join(known)} are known for {ahead} steps "
                f"after the last target, at {entry['start'] + steps - 1}, expected {horizon}: add "
                "rows with them and without a target"
            )
    transform = getattr(getattr(predictor, "base", predictor), "input_transform", None)
    for _ in transform.apply(entries, is_train=False) if transform is not None else ():
        pass
