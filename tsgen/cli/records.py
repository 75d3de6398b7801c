"""What a benchmark leaves: a row for each run, a page for each data set."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tsgen.cli.output import write_frame

if TYPE_CHECKING:
    from tsgen.data import Benchmark
    from tsgen.evaluation import Backtest


class Task(NamedTuple):
    """One forecaster of one data set."""

    name: str
    estimator: Any
    options: dict[str, Any]
    """Those that differ from the estimator's defaults."""
    is_baseline: bool


def described(sampler: Any) -> str:
    """A sampler as it is written on the command line, such as DDIM(20,eta=0.5)."""
    others = [
        f"{field.name}={getattr(sampler, field.name)!r}"
        for field in dataclasses.fields(sampler)
        if field.name != "num_steps" and getattr(sampler, field.name) != field.default
    ]
    steps = [] if sampler.num_steps is None else [str(sampler.num_steps)]
    return f"{type(sampler).__name__}({','.join(steps + others)})"


def record(
    out: Path | None,
    arguments: list[str],
    dataset: str,
    samples: int,
    levels: int,
    name: str,
    options: Mapping[str, Any],
    seed: int,
    result: "Backtest",
) -> None:
    """Add a run to the table of all runs."""
    if out is None:
        return
    import pandas as pd

    from tsgen.circumstances import circumstances

    row: dict[str, Any] = {
        "dataset": dataset,
        "forecaster": name,
        "options": " ".join(f"{k}={_text(v)}" for k, v in options.items()),
        "seed": seed,
        "samples": samples,
        "levels": levels,
        **{k: float(f"{v:.6g}") for k, v in result.scores.total.items()},
        "coverage_90_by_step": " ".join(f"{v:.3f}" for v in result.scores.per_step["coverage_90"]),
        "train_s": round(result.seconds["train"], 2),
        "forecast_s": round(result.seconds["forecast"], 2),
        **circumstances(),
        "command": "tsgen " + " ".join(re.sub("(^|=)/.*/", r"\1", a) for a in arguments),
    }
    frame = pd.DataFrame([row])
    if out.exists():
        frame = pd.concat([pd.read_csv(out, dtype=str), frame.astype(str)], ignore_index=True)
    write_frame(frame, out)


def _text(value: Any) -> str:
    """An option as it is written on the command line."""
    if not isinstance(value, functools.partial):
        return str(value)
    from tsgen.encoders import encoders

    names = {part: name for name, part in encoders.items()}
    inside = ",".join(f"{k}={v!r}" for k, v in value.keywords.items())
    return f"{names.get(value.func, value.func.__name__)}({inside})"


def write_page(
    folder: Path,
    data: "Benchmark",
    tasks: list[Task],
    results: "dict[str, list[Backtest]]",
    say: Callable[[str], None],
) -> None:
    """One page of figures: the first seed of each forecaster."""
    from tsgen.report import write_report

    firsts = {name: tests[0] for name, tests in results.items()}
    others = {"exact", *(t.name for t in tasks if t.is_baseline)}
    own = [name for name in firsts if name not in others]
    about = " ".join(data.card.title.split()) + "." if data.card is not None else ""
    path = write_report(
        folder / f"{data.name.replace('/', '-')}.html",
        firsts,
        title=data.name,
        about=f"{about} {len(data.test)} test windows of {data.prediction_length} steps, seed 0.",
        baselines=[t.name for t in tasks if t.is_baseline],
        shown=min(own, key=lambda n: firsts[n].scores["crps"]) if own else None,
        histories={n: getattr(r.predictor, "history", []) for n, r in firsts.items()},
        settings={t.name: {k: _text(v) for k, v in t.options.items()} for t in tasks},
    )
    say(f"written: {path}")
