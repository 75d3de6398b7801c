"""Scores of several forecasters: to the screen, a file and a report."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tsgen.cli.output import SCORES, note, print_json, print_table, write_frame

if TYPE_CHECKING:
    from gluonts.model.predictor import Predictor

    from tsgen.data.entries import Entry
    from tsgen.evaluation import Backtest

Results = Mapping[str, "Sequence[Backtest]"]
"""Backtests of the same windows by name, one for each seed."""


def run_baselines(
    names: Sequence[str],
    test: "list[Entry]",
    horizon: int,
    low: float | None = None,
    beside: str = "",
    **options: Any,
) -> "dict[str, Backtest]":
    """Backtests of baselines on entries that end with their window.

    Args:
        names: of the registry.
        test: the entries.
        horizon: H.
        low: where samples are cut from below.
        beside: name of the model they stand beside; a baseline of that name is told apart.
        options: of :func:`tsgen.evaluation.backtest`.
    """
    from tsgen.estimators.registry import baselines
    from tsgen.evaluation import backtest

    return {
        f"{name} (baseline)" if name == beside else name: backtest(
            baselines[name](horizon, low=low).train([]), test, **options
        )
        for name in names
    }


def lowest_of(support: Any) -> float | None:
    """The lower end of a support, for baselines to be cut at."""
    if isinstance(support, tuple | list):
        return float(support[0]) if support[0] > float("-inf") else None
    return 0.0 if support in ("positive", "count") else None


def best_baseline(results: Results, names: Sequence[str]) -> str | None:
    """The baseline of lowest mean CRPS."""
    sums = {n: sum(t.scores["crps"] for t in results[n]) for n in names if n in results}
    crps = {name: value for name, value in sums.items() if value == value}  # NaN of all zeros
    return min(crps, key=lambda name: crps[name]) if crps else None


def summarise(results: Results, baselines: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each forecaster: every figure, seconds, and how it compares to the best baseline.

    Of several seeds figures are means, with their standard deviation beside them (``crps_sd``).
    Where no window has a CRPS, as where all values are 0, there is nothing to compare.
    ``vs_baseline`` is the ratio of CRPS to that of the best baseline, ``p_value`` that of the
    Diebold-Mariano test.
    """
    import numpy as np

    from tsgen.evaluation import paired_comparison

    reference = best_baseline(results, baselines)
    rows = []
    for name, tests in results.items():
        row: dict[str, Any] = {"forecaster": name, "seeds": len(tests)}
        for figure in tests[0].scores.total:
            values = np.array([t.scores.total[figure] for t in tests])
            row[figure] = float(values.mean())
            if len(tests) > 1:
                row[f"{figure}_sd"] = float(values.std(ddof=1))
        for part in ("train", "forecast"):
            row[f"{part}_s"] = float(np.mean([t.seconds[part] for t in tests]))
        if reference is not None and name != reference and row["crps"] == row["crps"]:
            paired = paired_comparison(tests, results[reference])
            row |= {"baseline": reference, "vs_baseline": paired.ratio.value}
            row |= {"vs_baseline_low": paired.ratio.low, "vs_baseline_high": paired.ratio.high}
            row |= {"p_value": paired.test.p_value, "pairs": paired.test.pairs}
        rows.append(row)
    return rows


def print_scores(rows: Sequence[Mapping[str, Any]], levels: int, title: str = "") -> None:
    """Print the usual columns of a score table."""
    heads = {**SCORES, "crps": f"CRPS ({levels} q.)"}
    table = []
    for row in rows:
        shown: dict[str, Any] = {"forecaster": row["forecaster"]}
        for key, head in heads.items():
            if f"{key}_sd" in row:
                shown[head] = f"{row[key]:.4g} ±{row[f'{key}_sd']:.1g}"
            elif key in row:
                shown[head] = row[key]
        shown["train s"] = f"{row['train_s']:.1f}"
        table.append(shown | {"CRPS vs best baseline": _versus(row)})
    lowest = [head for key, head in heads.items() if not key.startswith("coverage")]
    print_table(table, title, lowest)


def _versus(row: Mapping[str, Any]) -> str:
    """How a row compares with the best baseline, in words."""
    if "vs_baseline" not in row:
        return ""
    p, low, high = row["p_value"], row["vs_baseline_low"], row["vs_baseline_high"]
    parts = [] if low != low else [f"{low:.3f} to {high:.3f}"]
    parts += [] if p != p else [f"p = {p:.2g}"]
    return f"x{row['vs_baseline']:.3f}" + (f" ({', '.join(parts)})" if parts else "")


def training_seconds(predictor: Any, begun: float) -> float:
    """Seconds a training took that began at ``begun``, with those before it was stopped."""
    from tsgen.evaluation.capabilities import history_of

    measured = [row["seconds"] for row in history_of(predictor)]
    return max(time.perf_counter() - begun, sum(measured))


class ScoredModel(NamedTuple):
    """A model's backtest and those of the baselines beside it, on the same windows."""

    name: str
    predictor: Any
    """Without calibration."""
    results: "dict[str, Backtest]"
    """By name, the model first."""
    baselines: list[str]
    calibrated: "dict[str, tuple[Backtest, Backtest]]"
    """The model before and after calibration, if it was calibrated."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each forecaster; see :func:`summarise`."""
        return summarise({n: [result] for n, result in self.results.items()}, self.baselines)

    def write(self, scores: Path | None, report: Path | None, **about: Any) -> None:
        """Write the table with every figure and the page, where there is a path for them.

        Args:
            scores: file of the table.
            report: file of the page.
            about: what :func:`tsgen.report.write_report` is told besides.
        """
        import pandas as pd

        if scores is not None:
            write_frame(pd.DataFrame(self.rows()), scores)
        if report is not None:
            from tsgen.evaluation.capabilities import history_of
            from tsgen.report import write_report

            write_report(
                report, self.results, baselines=self.baselines, calibrated=self.calibrated,
                histories={self.name: history_of(self.predictor)}, **about,
            )  # fmt: skip


def score_model(
    name: str,
    final: "Predictor",
    test: "list[Entry]",
    beside: Sequence[str],
    low: float | None,
    seconds: float | None = None,
    **options: Any,
) -> ScoredModel:
    """Score a model on windows, before and after its calibration, and baselines beside it.

    Args:
        name: of the model.
        final: the model, calibrated or not.
        test: entries that end with their window.
        beside: baselines' names.
        low: where baselines' samples are cut from below.
        seconds: that the training took, if that is known.
        options: of :func:`tsgen.evaluation.backtest`.
    """
    from tsgen.evaluation import CalibratedPredictor, backtest

    results = {name: backtest(final, test, **options)}
    if seconds is not None:
        results[name].seconds["train"] = seconds
    predictor, pairs = final, {}
    if isinstance(final, CalibratedPredictor):
        predictor = final.base
        pairs[name] = (backtest(predictor, test, **options), results[name])
    horizon = final.prediction_length
    others = run_baselines(beside, test, horizon, low, beside=name, **options)
    return ScoredModel(name, predictor, results | others, list(others), pairs)


def present(
    rows: Sequence[Mapping[str, Any]],
    levels: int,
    written: Sequence[Path | None],
    *,
    as_json: bool,
    quiet: bool = False,
) -> None:
    """Print the table of one backtest each.

    Args:
        rows: of the table; none print nothing but empty JSON.
        levels: quantiles of the CRPS.
        written: files that were written, which a note names.
        as_json: print JSON instead of a table.
        quiet: no notes.
    """
    if as_json:
        print_json({"scores": rows})
    elif rows:
        print_scores(rows, levels)
    files = [str(path) for path in written if path is not None]
    if rows and files and not quiet:
        note(f"written: {', '.join(files)}")
