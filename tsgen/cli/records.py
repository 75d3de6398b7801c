"""What a benchmark leaves: a row for each run, a page for each data set."""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tsgen.cli.output import write_frame
from tsgen.core.atomic import replacing

if TYPE_CHECKING:
    import pandas as pd

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


class RunTable:
    """The table of all runs, to which a command adds a row for each of its own.

    A command that was stopped is given again and begins anew, so its rows must not stand there
    twice. A file beside the table says, while a command is at work, how many rows there were before
    it; rows of the same command after those are replaced.

    Args:
        path: of the table; ``None`` keeps nothing.
        arguments: of the command.
    """

    def __init__(self, path: Path | None, arguments: list[str]) -> None:
        self.path = path
        self.command = "tsgen " + " ".join(re.sub("(^|=)/.*/", r"\1", a) for a in arguments)
        self.before: int | None = None

    @property
    def _journal(self) -> Path:
        assert self.path is not None
        return self.path.with_name(f"{self.path.name}.unfinished")

    def add(
        self,
        dataset: str,
        samples: int,
        levels: int,
        name: str,
        options: Mapping[str, Any],
        seed: int,
        result: "Backtest",
    ) -> None:
        """Add a run to the table."""
        if self.path is None:
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
            "coverage_90_by_step": " ".join(
                f"{v:.3f}" for v in result.scores.per_step["coverage_90"]
            ),
            "train_s": round(result.seconds["train"], 2),
            "forecast_s": round(result.seconds["forecast"], 2),
            **circumstances(),
            "command": self.command,
        }
        frame = pd.DataFrame([row])
        if self.path.exists():
            rows = self._own_removed(pd.read_csv(self.path, dtype=str))
            frame = pd.concat([rows, frame.astype(str)], ignore_index=True)
        elif self.before is None:
            self._begin(0)
        write_frame(frame, self.path)

    def _own_removed(self, rows: "pd.DataFrame") -> "pd.DataFrame":
        """Rows without those that the same command left when it was stopped; once."""
        if self.before is not None:
            return rows
        self._begin(len(rows))
        stopped = (rows.index >= self.before) & (rows["command"] == self.command)
        return rows[~stopped]

    def _begin(self, rows: int) -> None:
        """Have it written how many rows there were before the command."""
        journal = self._commands()
        self.before = journal.setdefault(self.command, rows)
        self._write(journal)

    def close(self) -> None:
        """The command is done: its rows stay."""
        if self.before is not None:
            journal = self._commands()
            journal.pop(self.command, None)
            self._write(journal)

    def _commands(self) -> dict[str, int]:
        """Rows before each command that is not done."""
        try:
            return json.loads(self._journal.read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def _write(self, journal: dict[str, int]) -> None:
        if not journal:
            self._journal.unlink(missing_ok=True)
            return
        with replacing(self._journal) as part:
            part.write_text(json.dumps(journal, indent=1))


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
    from tsgen.evaluation.capabilities import history_of
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
        histories={n: history_of(r.predictor) for n, r in firsts.items()},
        settings={t.name: {k: _text(v) for k, v in t.options.items()} for t in tasks},
    )
    say(f"written: {path}")
