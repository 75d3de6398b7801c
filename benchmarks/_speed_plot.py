"""The figures of speed.py."""

from typing import Any

import pandas as pd
from _record import RESULTS
from matplotlib.figure import Figure

TASK_NAMES = {
    "timegrad_sample": "TimeGrad sampling,\n100 steps each",
    "timegrad_sample_default": "TimeGrad sampling,\nour default sampler",
    "timegrad_train": "TimeGrad training,\npeer's own train()",
    "timegrad_train_cached": "TimeGrad training,\npeer on ready batches",
    "realnvp_sample": "RealNVP sampling",
    "maf_sample": "MAF sampling",
}
COLORS = {"exchange": "C0", "uci": "C1", "electricity": "C2", "traffic": "C3", "wiki": "C4"}
SIDES = {"ours_s": ("tsgen", "C0", "o"), "peer_s": ("pytorch-ts", "C3", "s")}
AXES = {"channels": "channels", "steps": "steps", "samples": "paths"}


def draw() -> None:
    """Draw what has been measured."""
    tables = {"speed": ("task", "size"), "speed_growth": ("axis", "task", "channels", "steps",
                                                          "samples")}  # fmt: skip
    for name, keys in tables.items():
        path = RESULTS / f"{name}.csv"
        if not path.exists():
            continue
        table = pd.read_csv(path)
        table["machine"] = [machine(row) for _, row in table.iterrows()]
        rows = newest(table, ["machine", *keys])
        figure = {"speed": speed, "speed_growth": growth}[name](rows)
        figure.savefig(RESULTS / f"{name}.png", dpi=110)


def newest(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The last row of each kind, one with a peer before one without."""
    for column in (
        "peer_s", "ratio", "ratio_min", "ratio_max", "must", "floor_s", "windows", "samples",
        "steps",
    ):  # fmt: skip
        table[column] = table[column] if column in table else float("nan")
    table["compared"] = table["peer_s"].notna()
    return table.sort_values("compared", kind="stable").groupby(keys, sort=False).tail(1)


def machine(row: pd.Series) -> str:
    """What a row was measured on."""
    return f"{row['cpu']}, threads: {row['threads']}" if row["device"] == "cpu" else str(row["gpu"])


def speed(table: pd.DataFrame) -> Figure:
    """Ratios by task and size, and seconds against channels; a row of panels for each machine."""
    machines = list(dict.fromkeys(table["machine"]))
    figure = Figure(figsize=(13, 5.2 * len(machines)), layout="constrained")
    axes = figure.subplots(len(machines), 2, squeeze=False, width_ratios=[1.7, 1])
    for name, (left, right) in zip(machines, axes, strict=True):
        rows = table[table["machine"] == name]
        ratios(left, rows[rows["ratio"].notna()])
        left.set_title(f"How much faster than pytorch-ts ({name})", fontsize=10, loc="left")
        part = rows[rows["task"] == "timegrad_sample"].sort_values("channels")
        # the sizes draw different numbers of paths and steps
        unit = part["windows"] * part["samples"] * part["steps"] / 100
        lines(right, part["channels"], part, unit)
        right.set_xlabel("channels")
        right.set_ylabel("seconds for a step of 100 paths")
        right.set_title("TimeGrad sampling, 100 steps each", fontsize=10, loc="left")
    return figure


def ratios(axis: Any, rows: pd.DataFrame) -> None:
    """Bars with the range over the rounds, and what must be reached."""
    if not len(rows):
        axis.set_axis_off()
        return
    names = [name for name in TASK_NAMES if name in set(rows["task"])]
    sizes = [size for size in COLORS if size in set(rows["size"])]
    width = 0.8 / max(len(sizes), 1)
    labelled = False
    for k, size in enumerate(sizes):
        part = rows[rows["size"] == size].set_index("task")
        channels = int(part["channels"].iloc[0])
        measured = [(i, part.loc[name]) for i, name in enumerate(names) if name in part.index]
        places = [i + (k - (len(sizes) - 1) / 2) * width for i, _ in measured]
        ratio = [row["ratio"] for _, row in measured]
        spread = [
            [row["ratio"] - row["ratio_min"] for _, row in measured],
            [row["ratio_max"] - row["ratio"] for _, row in measured],
        ]
        axis.bar(
            places, ratio, width * 0.9, yerr=spread, capsize=2.5, color=COLORS[size],
            error_kw={"linewidth": 1}, label=f"{size} ({channels} channels)",
        )  # fmt: skip
        for place, (_, row) in zip(places, measured, strict=True):
            if pd.notna(row["must"]):
                axis.plot(
                    [place - width / 2, place + width / 2], [row["must"]] * 2, color="black",
                    linewidth=2.2, solid_capstyle="butt", label=None if labelled else "must reach",
                )  # fmt: skip
                labelled = True
            axis.annotate(
                f"{row['ratio']:.3g}", (place, label_height(row)), ha="center", va="bottom",
                fontsize=6.5, xytext=(0, 3), textcoords="offset points",
            )  # fmt: skip
    axis.axhline(1, color="grey", linewidth=1, linestyle=":")
    axis.set_yscale("log")
    ticks = [digit * 10.0**power for power in range(-2, 4) for digit in (1, 2, 5)]
    axis.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()
    top = max([1.0, *rows["ratio_max"], *rows["must"].dropna()])
    low = min([1.0, *rows["ratio_min"]])
    axis.set_ylim(0.8 * low, 4 * top)
    shown = [TASK_NAMES[n] for n in names]
    axis.set_xticks(range(len(names)), shown, fontsize=8)
    axis.set_ylabel("seconds of pytorch-ts / seconds of tsgen")
    axis.grid(alpha=0.3, axis="y")
    axis.legend(fontsize=8, loc="upper left", ncols=3)


def label_height(row: Any) -> float:
    """Above the bar, and above the line that must be reached if that is near."""
    near = pd.notna(row["must"]) and 0.75 < row["must"] / row["ratio_max"] < 1.5
    return max(row["ratio_max"], row["must"]) if near else row["ratio_max"]


def lines(axis: Any, x: pd.Series, rows: pd.DataFrame, unit: pd.Series | float) -> None:
    """Seconds of both sides and the floor, on log axes."""
    for column, (label, color, marker) in SIDES.items():
        y = rows[column] / unit
        axis.plot(x[y.notna()], y[y.notna()], marker=marker, color=color, label=label)
    y = rows["floor_s"] / unit
    if y.notna().any():
        axis.plot(x[y.notna()], y[y.notna()], "k--", label="floor (arithmetic at machine's rate)")
    if not len(x):
        axis.set_axis_off()
        return
    axis.set(xscale="log", yscale="log")
    ticks: list[float] = []
    for tick in sorted(set(x)):
        if not ticks or tick > 1.3 * ticks[-1]:  # others would be written over each other
            ticks.append(tick)
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks], fontsize=8)
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)


def growth(table: pd.DataFrame) -> Figure:
    """Seconds along each axis; a row of panels for each machine and task."""
    kinds = list(dict.fromkeys(zip(table["machine"], table["task"], strict=True)))
    figure = Figure(figsize=(13, 4 * len(kinds)), layout="constrained")
    axes = figure.subplots(len(kinds), len(AXES), squeeze=False)
    for (name, task), panels in zip(kinds, axes, strict=True):
        for (axis, label), panel in zip(AXES.items(), panels, strict=True):
            part = table[
                (table["machine"] == name) & (table["task"] == task) & (table["axis"] == axis)
            ].sort_values(axis)
            if not len(part):
                panel.set_axis_off()
                continue
            lines(panel, part[axis], part, 1.0)
            last = part.iloc[-1]
            fixed = [f"{last[other]:g} {said}" for other, said in AXES.items() if other != axis]
            panel.set_xlabel(f"{label} ({', '.join(fixed)})")
            panel.set_ylabel("seconds")
            panel.set_title(TASK_NAMES[task].replace("\n", " "), fontsize=9, loc="left")
    figure.suptitle("; ".join(dict.fromkeys(table["machine"])), fontsize=9)
    return figure
