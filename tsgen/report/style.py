"""How figures look: one palette, lines that also differ in dash and marker, legends that fit.

Nothing here touches matplotlib's global state (pyplot, rcParams): figures can be made in threads.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours ("Color Universal Design", 2008), which colour-blind readers can tell
apart, without their yellow, which white paper swallows."""
FORECAST, OBSERVED, TARGET, BAND = PALETTE[0], "#222222", "#555555", "#d9d9d9"
"""A forecast on its own, what happened, what should be, where chance alone may lead."""

_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^vPX*p"
WIDTH = 10.4
"""Inches of a figure as wide as the page, of which it shows 100 pixels an inch."""
SMALL, NORMAL = 8.5, 9.5
"""Font sizes in points."""


def line_styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, dash and marker of a line for each name: no two of 252 are alike.

    The first seven have colours of their own; all differ on a black and white print, too.
    """
    return {
        name: {
            "color": PALETTE[i % len(PALETTE)],
            "ls": _DASHES[i % len(_DASHES)],
            "marker": _MARKERS[i % len(_MARKERS)],
            "ms": 4.5,
            "lw": 1.5,
        }
        for i, name in enumerate(names)
    }


def shade(colour: str, share: float) -> tuple[float, float, float]:
    """A colour mixed with this share of white."""
    red, green, blue = (share + (1 - share) * part for part in to_rgb(colour))
    return red, green, blue


def shorten(text: object, most: int = 34) -> str:
    """One line of at most so many letters; what is too long loses its middle, not its end."""
    line = " ".join(str(text).split())
    if len(line) <= most:
        return line
    head = (most - 1) // 2
    return f"{line[:head]}…{line[head + 1 - most :]}"


def grid(
    count: int, columns: int, height: float, width: float = WIDTH
) -> tuple[Figure, list[Axes]]:
    """A figure with so many axes, ``columns`` beside each other, each ``height`` inches high."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(width, height * rows + 0.45), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def tidy(axis: Axes, title: object = "", x: str = "", y: str = "") -> None:
    """Title at the left, no box, small numbers; names are shown as they are, not as formulas."""
    axis.set_title(shorten(title), fontsize=NORMAL, loc="left", parse_math=False)
    axis.set_xlabel(x, fontsize=SMALL)
    axis.set_ylabel(y, fontsize=SMALL)
    axis.tick_params(labelsize=SMALL)
    axis.spines[["top", "right"]].set_visible(False)


def thousands(value: float) -> str:
    """A number on an axis: 12,500 or 0.25, and 3e+09 beyond a thousand millions."""
    return f"{value:.3g}" if abs(value) >= 1e9 or 0 < abs(value) < 1e-6 else f"{value:,.10g}"


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """One legend above the axes, in as many columns as the figure's width holds."""
    if not labels:
        return
    # matplotlib hides labels that start with an underscore
    names = [("\u200b" if label.startswith("_") else "") + shorten(label) for label in labels]
    letters = figure.get_figwidth() * 72 / (0.62 * SMALL)
    columns = max(1, int(letters / (max(map(len, names)) + 7)))
    box = figure.legend(
        handles,
        names,
        loc="outside upper left",
        ncols=min(columns, len(names)),
        fontsize=SMALL,
        frameon=False,
        handlelength=3.2,
    )
    for text in box.get_texts():
        text.set_parse_math(False)
