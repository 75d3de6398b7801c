"""The report on forecasters that were tested on the same windows."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tsgen.circumstances import circumstances
from tsgen.evaluation.backtest import Backtest
from tsgen.evaluation.comparison import overlap
from tsgen.report import reading, tables
from tsgen.report.calibration import plot_calibration, plot_coverage, plot_pit
from tsgen.report.fan import draw
from tsgen.report.figures import plot_history, plot_steps
from tsgen.report.page import Page, number
from tsgen.report.parts import Parts


def write_report(
    path: str | Path,
    results: Mapping[str, Backtest],
    *,
    title: str,
    about: str = "",
    reference: str | None = None,
    baselines: Sequence[str] = (),
    shown: str | None = None,
    channels: Sequence[int] | None = None,
    levels: Sequence[float] = (0.5, 0.9),
    past: int | None = None,
    histories: Mapping[str, Sequence[Mapping[str, float]]] | None = None,
    calibrated: Mapping[str, tuple[Backtest, Backtest]] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Write one HTML page that needs nothing else: scores, significance, figures, circumstances.

    Args:
        path: of the page; folders are made as needed.
        results: backtests of the same windows by name.
        title: heading.
        about: a sentence on the data.
        reference: the name with which others are compared; the baseline of lowest CRPS if not
            given, or the last name if there are no baselines.
        baselines: names that are baselines.
        shown: the name whose forecasts are drawn; the best that is no baseline if not given.
        channels: drawn, beside their sum; those of the six largest mean sizes if not given. Of a
            panel of univariate series, the series drawn.
        levels: of the intervals drawn.
        past: steps of history drawn; two horizons, at least twelve, if not given.
        histories: ``predictor.history`` by name.
        calibrated: backtests before and after conformal calibration by name.
        settings: options by name.

    Returns:
        The path.

    Raises:
        ValueError: without results, for results of different windows or quantile grids, or for
            names or channels that are not there.
    """
    histories, calibrated, settings = histories or {}, calibrated or {}, settings or {}
    _check(results, calibrated)
    for field, names in {
        "reference": [] if reference is None else [reference],
        "shown": [] if shown is None else [shown],
        "baselines": baselines,
        "histories": histories,
        "calibrated": calibrated,
        "settings": settings,
    }.items():
        unknown = [name for name in names if name not in results]
        if unknown:
            choices = ", ".join(results)
            raise ValueError(f"{field} names {unknown}, which are not in results: {choices}")
    reference = reference or _best(results, baselines) or list(results)[-1]
    shown = shown or _best(results, [n for n in results if n not in baselines])
    shown = shown or _best(results, results) or reference
    drawn = Parts(results[shown], channels)

    page = Page(title, about)
    _scores(page, results, baselines)
    if len(results) > 1:
        _comparison(page, results, reference)
    page.heading("How to read this page")
    page.terms(reading.READING)
    _fans(page, shown, drawn, levels, past)
    _calibration(page, results, shown)
    page.heading("By horizon step")
    page.figure(plot_steps(results), reading.STEPS_CAPTION)
    _parts(page, results, shown, reference, drawn)
    trained = {name: history for name, history in histories.items() if len(history)}
    if trained:
        page.heading("Training")
        page.figure(plot_history(trained), reading.TRAINING_CAPTION)
    if calibrated:
        _conformal(page, calibrated)
    _settings(page, results, settings)
    return page.write(path)


def _check(
    results: Mapping[str, Backtest], calibrated: Mapping[str, tuple[Backtest, Backtest]]
) -> None:
    """Raise ``ValueError`` unless all are of the same windows and quantile grid."""
    if not results:
        raise ValueError("a report needs at least one backtest")
    first, one = next(iter(results.items()))
    pairs = [(f"{n} {w}", r) for n, p in calibrated.items() for w, r in zip(_WHEN, p, strict=True)]
    for name, result in [*results.items(), *pairs]:
        if not len(result.forecasts):
            raise ValueError(f"a report needs at least one backtest; {name!r} has no forecasts")
        if not np.array_equal(result.truth, one.truth, equal_nan=True):
            raise ValueError(
                f"{first!r} and {name!r} have not the same truth, {one.truth.shape} and "
                f"{result.truth.shape} (windows, steps, channels); a report compares forecasts of "
                "the same windows"
            )
        if result.scores.levels != one.scores.levels:
            raise ValueError(
                f"{first!r} and {name!r} have CRPS of {one.scores.levels} and "
                f"{result.scores.levels} quantile levels, which do not compare"
            )


_WHEN = ("before", "after")


def _best(results: Mapping[str, Backtest], names: Iterable[str]) -> str | None:
    """The name of lowest CRPS."""
    crps = {name: results[name].scores.total["crps"] for name in names}
    crps = {name: value for name, value in crps.items() if np.isfinite(value)}
    return min(crps, key=lambda name: crps[name]) if crps else None


def _scores(page: Page, results: Mapping[str, Backtest], baselines: Sequence[str]) -> None:
    page.heading("Scores")
    table = tables.score_table(results, baselines)
    page.table(table.rows, table.best, formats=table.formats)
    result = next(iter(results.values()))
    windows, steps, width = result.truth.shape
    starts = sorted(result.starts)
    paths = sorted({r.samples.shape[1] for r in results.values()})
    missing = np.isnan(result.truth).mean()
    sentences = [
        f"{_count(windows, 'window')} of {_count(steps, 'step')}, "
        f"{_count(width, 'channel')}; forecasts start "
        + (f"at {starts[0]}" if starts[0] == starts[-1] else f"from {starts[0]} to {starts[-1]}")
        + f"; {' to '.join(map(str, {paths[0], paths[-1]}))} sample paths."
    ]
    if missing:
        sentences.append(f"{number(missing, '.1%')} of the true values are missing and left out.")
    if baselines:
        sentences.append("* is a baseline.")
    sentences.append(
        "Scores are better when lower, 90 % coverage when near 90 %; the best of each is marked."
    )
    page.text(" ".join(sentences))


def _count(number_of: int, what: str) -> str:
    return f"{number_of} {what}{'' if number_of == 1 else 's'}"


def _comparison(page: Page, results: Mapping[str, Backtest], reference: str) -> None:
    page.heading(f"Compared with {reference}")
    table, paired = tables.comparison_table(results, reference)
    page.table(table.rows, formats=table.formats)
    page.text(
        f"Ratios of scores to those of {reference}: below 1 is better. Intervals are those of a "
        "block bootstrap over observations, p-values of the Diebold-Mariano test of equal losses "
        "with its small-sample correction, two-sided; of twenty comparisons of equals one falls "
        "below .05."
    )
    if paired is not None:
        page.text(reading.observations(paired, overlap(results[reference])))


def _fans(page: Page, shown: str, drawn: Parts, levels: Sequence[float], past: int | None) -> None:
    page.heading(f"Forecasts of {shown}")
    windows = drawn.windows()
    past = max(2 * drawn.result.truth.shape[1], 12) if past is None else past
    for (start, fans), which in zip(windows, ("First", "Last"), strict=False):
        if len(windows) == 1:
            which = "The only" if not drawn.panel else "Each series' only"
        elif drawn.panel:
            which = f"Each series' {which.lower()}"
        figure = draw(fans, levels=levels, past=past, wide_first=not drawn.panel)
        names = ", ".join(fan.title for fan in fans)
        caption = f"{which} window, from {start}: {shown} against what happened."
        page.figure(figure, caption, f"Fan charts of {names}. {caption}")
    total = len(drawn.names)
    if total > len(drawn.chosen):
        page.text(f"{len(drawn.chosen)} of {total} {drawn.what} are drawn.")


def _calibration(page: Page, results: Mapping[str, Backtest], shown: str) -> None:
    page.heading("Calibration")
    page.figure(plot_pit(results), reading.PIT_CAPTION)
    coverage = "; ".join(
        f"{name} {number(r.scores.total['coverage_90'], '.1%')}" for name, r in results.items()
    )
    page.figure(
        plot_coverage(results, band=shown),
        reading.COVERAGE_CAPTION,
        f"Coverage of central intervals, of the 90 % interval: {coverage}.",
    )


def _parts(
    page: Page, results: Mapping[str, Backtest], shown: str, reference: str, drawn: Parts
) -> None:
    total = len(drawn.names)
    if total < 2:
        return
    page.heading("By series" if drawn.panel else "By channel")
    other = None if reference == shown else results[reference]
    table = tables.part_table(
        results[shown],
        other,
        (shown, reference),
        drawn.series if drawn.panel else None,
        drawn.names,
    )
    count = len(table.rows)
    worst = f"The {count} worst of {total}" if count < total else f"All {total}"
    page.table(
        table.rows, formats=table.formats, caption=f"{worst} {drawn.what} by CRPS of {shown}"
    )


def _conformal(page: Page, calibrated: Mapping[str, tuple[Backtest, Backtest]]) -> None:
    page.heading("Before and after conformal calibration")
    page.text(reading.CALIBRATION_TEXT)
    table = tables.calibration_table(calibrated)
    page.table(table.rows, formats=table.formats)
    costs = [
        f"{name}: CRPS {number(before.scores['crps'])} before, {number(after.scores['crps'])} after"
        for name, (before, after) in calibrated.items()
    ]
    page.text(f"{'; '.join(costs)}.")
    page.figure(
        plot_calibration(calibrated),
        "Coverage of central intervals before and after calibration, which should lie on the "
        "dotted line: of four levels over all steps, and of the 90 % interval by step.",
    )


def _settings(
    page: Page, results: Mapping[str, Backtest], settings: Mapping[str, Mapping[str, Any]]
) -> None:
    options_of = {name: options for name, options in settings.items() if options}
    if options_of:
        page.heading("Settings")
        for name, options in options_of.items():
            page.heading(name, 3)
            page.table([{"option": k, "value": str(v)} for k, v in options.items()])
    page.heading("Made with")
    facts = circumstances()
    seeds = sorted({str(o["seed"]) for o in options_of.values() if o.get("seed") is not None})
    if seeds:
        facts["seed"] = ", ".join(seeds)
    for part, what in (("train", "training"), ("forecast", "forecasts")):
        seconds = sum(result.seconds.get(part, 0.0) for result in results.values())
        facts[f"{what}, all"] = f"{seconds:.1f} s"
    page.table([{"what": k, "value": v} for k, v in facts.items()])
