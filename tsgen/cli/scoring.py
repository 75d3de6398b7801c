"""Scores of several forecasters: to the screen, a file and a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsgen.cli.output import SCORES, note, print_json, print_table, write_frame

if TYPE_CHECKING:
    from tsgen.data.splits import Entry
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
    known = [] if low != low else [f"{low:.3f} to {high:.3f}"]
    known += [] if p != p else [f"p = {p:.2g}"]
    return f"x{row['vs_baseline']:.3f}" + (f" ({', '.join(known)})" if known else "")


def present(
    results: "Mapping[str, Backtest]",
    baselines: Sequence[str],
    *,
    scores: Path | None,
    report: Path | None,
    as_json: bool,
    quiet: bool = False,
    **about: Any,
) -> None:
    """Print the table of one backtest each, write it and the report.

    Args:
        results: backtests of the same windows by name.
        baselines: names of those that are baselines.
        scores: file for every figure.
        report: file for the page.
        as_json: print JSON instead of a table.
        quiet: no notes.
        about: what :func:`tsgen.report.write_report` is told besides.
    """
    import pandas as pd

    rows = summarise({name: [result] for name, result in results.items()}, baselines)
    if scores is not None:
        write_frame(pd.DataFrame(rows), scores)
    if report is not None:
        from tsgen.report import write_report

        write_report(report, results, baselines=list(baselines), **about)
    if as_json:
        print_json({"scores": rows})
    else:
        print_scores(rows, next(iter(results.values())).scores.levels)
    written = [str(path) for path in (scores, report) if path is not None]
    if written and not quiet:
        note(f"written: {', '.join(written)}")
