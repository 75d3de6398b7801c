"""One HTML file that needs nothing else."""

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, SupportsFloat

from matplotlib.figure import Figure

from tsgen.core.atomic import replacing

Best = Literal["lowest", "highest"] | float
"""Which value of a column is the best: the lowest, the highest or the nearest to a number."""

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Liberation Sans", Arial, sans-serif; color: #222; background:
#fff; margin: 2rem auto; max-width: 65rem; padding: 0 1.2rem; overflow-wrap: break-word; }
h1 { font-size: 1.65rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p, dl { max-width: 50rem; } p.lead { color: #555; margin-top: 0; }
dt { font-weight: 600; float: left; clear: left; width: 9rem; } dd { margin: 0 0 .5rem 9.5rem; }
table { border-spacing: 0; font-variant-numeric: tabular-nums; font-size: .84rem; }
caption { text-align: left; color: #555; padding-bottom: .3rem; }
th, td { padding: .28rem .45rem; text-align: right; border-bottom: 1px solid #ddd; }
th { font-weight: 600; vertical-align: bottom; border-bottom: 2px solid #888; }
td { white-space: nowrap; } td.text, th.text { text-align: left; }
td.long { white-space: normal; min-width: 8rem; max-width: 36rem; overflow-wrap: anywhere; }
th:first-child, td:first-child { position: sticky; left: 0; background: #fff; padding-left: 0; }
td.best { font-weight: 700; background: #e3eef7; }
div.wide { overflow-x: auto; margin: .8rem 0; } figure { margin: 1rem 0 1.6rem; }
img { display: block; max-width: 100%; height: auto; }
figcaption { color: #555; font-size: .93rem; max-width: 50rem; }
@media (max-width: 45rem) { body { margin: 1rem auto; padding: 0 .8rem; }
  img.broad { max-width: none; width: 46rem; } th, td { padding: .25rem .5rem; }
  dt { float: none; } dd { margin-left: 0; } }
@media print { :root { font-size: 80%; } body { font-size: 10pt; max-width: none; margin: 0; }
  table { font-size: 8pt; }
  div.wide { overflow: visible; } th, td { padding: .15rem .35rem; } h2, h3 { break-after: avoid; }
  figure, tr { break-inside: avoid; } td.best { text-decoration: underline; } }
"""
_NONE = "–"
_DPI = 140
_FITS, _LONG = 26, ' class="text long"'


class Page:
    """Collects text, tables and figures and writes them as one self-contained HTML page.

    Args:
        title: heading.
        lead: a sentence under it.
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        self.parts = [
            f"<h1>{html.escape(title)}</h1>",
            f'<p class="lead">{html.escape(lead)}</p>' if lead else "",
        ]

    def heading(self, text: str, level: Literal[2, 3] = 2) -> None:
        """Start a section, or a part of one."""
        self.parts.append(f"<h{level}>{html.escape(text)}</h{level}>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self.parts.append(f"<p>{_prose(text)}</p>")

    def terms(self, meanings: Mapping[str, str]) -> None:
        """Add a list of terms and what they mean."""
        items = [
            f"<dt>{html.escape(term)}</dt><dd>{_prose(meaning)}</dd>"
            for term, meaning in meanings.items()
        ]
        self.parts.append(f"<dl>{''.join(items)}</dl>")

    def table(
        self,
        rows: Sequence[Mapping[str, Any]],
        best: Sequence[str] | Mapping[str, Best] = (),
        *,
        formats: Mapping[str, str] | None = None,
        caption: str = "",
    ) -> None:
        """Add a table.

        Args:
            rows: whose keys head the columns; floats of a column have equally many decimals, four
                digits of the middle one. What is missing, NaN or infinite is a dash.
            best: columns whose best value is marked: their names if it is the lowest, else a
                mapping to "lowest", "highest" or a number that it should be near. Values that
                look the same are marked alike; a single value is not.
            formats: of floats of some columns, such as ".1%".
            caption: above the table.

        Raises:
            ValueError: without rows, or for columns that are not there.
        """
        if not rows:
            raise ValueError("a table needs at least one row")
        columns = list(dict.fromkeys(name for row in rows for name in row))
        wanted: dict[str, Best] = {name: "lowest" for name in best}
        wanted |= best if isinstance(best, Mapping) else {}
        unknown = [name for name in (*wanted, *(formats or {})) if name not in columns]
        if unknown:
            raise ValueError(f"columns {unknown} are not in the table; it has {columns}")
        kinds, cells = [], []
        for name in columns:
            values = [row.get(name) for row in rows]
            form = (formats or {}).get(name)
            shown = [number(value, form or decimals(values), form is None) for value in values]
            kind = "" if any(_is_number(value) for value in values) else ' class="text"'
            marks = _marks(values, shown, wanted[name]) if name in wanted else set()
            looks = [
                ' class="best"' if i in marks else _LONG if kind and len(text) > _FITS else kind
                for i, text in enumerate(shown)
            ]
            kinds.append(kind)
            cells.append(
                [
                    f"<td{look}>{html.escape(text)}</td>"
                    for look, text in zip(looks, shown, strict=True)
                ]
            )
        head = "".join(
            f'<th scope="col"{kind}>{html.escape(name)}</th>'
            for name, kind in zip(columns, kinds, strict=True)
        )
        body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True))
        title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
        self.parts.append(
            f'<div class="wide" tabindex="0"><table>{title}<thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    def figure(self, figure: Figure, caption: str = "", alt: str = "") -> None:
        """Add a figure, embedded as a PNG.

        Args:
            figure: shown with 100 pixels an inch, or as wide as the page.
            caption: below it.
            alt: what it shows, for those who cannot see it; the caption if not given.
        """
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI)
        data = base64.b64encode(buffer.getvalue()).decode()
        width = round(100 * figure.get_figwidth())
        broad = ' class="broad"' if width > 700 else ""
        self.parts.append(
            f'<figure><div class="wide" tabindex="0"><img{broad} width="{width}" '
            f'alt="{html.escape(alt or caption)}" src="data:image/png;base64,{data}"></div>'
            f"<figcaption>{_prose(caption)}</figcaption></figure>"
        )

    def write(self, path: str | Path) -> Path:
        """Write the page, making folders as needed."""
        path = Path(path)
        head = (
            "<meta charset='utf-8'>"
            "<meta name='viewport' content='width=device-width, initial-scale=1'>"
            f"<title>{html.escape(self.title)}</title>"
        )
        with replacing(path) as part:
            part.write_text(
                f"<!doctype html><html lang='en'><head>{head}<style>{_STYLE}</style></head><body>"
                f"{''.join(self.parts)}</body></html>",
                encoding="utf-8",
            )
        return path


def number(value: Any, form: str = ".4g", small: bool = True) -> str:
    """A value as text: floats by their format, nothing and what is not finite as a dash.

    Args:
        value: of any type.
        form: of floats.
        small: whether what is too small for the format is shown with an exponent, not as 0.
    """
    if value is None or (isinstance(value, str) and not value):
        return _NONE
    if not _is_number(value) or isinstance(value, int):
        return str(value)
    value = float(value)
    if not math.isfinite(value):
        return _NONE
    shown = format(value, form)
    if form.endswith("%"):
        return f"{shown[:-1]} %"
    return f"{value:.3g}" if (small and value and not float(shown)) or abs(value) >= 1e7 else shown


def _prose(text: str) -> str:
    """Escaped, and no line ends before a per cent sign."""
    return html.escape(text).replace(" %", "&nbsp;%")


def _is_number(value: Any) -> bool:
    return isinstance(value, SupportsFloat) and not isinstance(value, bool | str)


def _finite(values: Iterable[Any]) -> list[float]:
    return [float(v) for v in values if _is_number(v) and math.isfinite(float(v))]


def decimals(values: Iterable[Any], digits: int = 4) -> str:
    """Format with so many digits of the middle one of a column's sizes, six decimals at most."""
    sizes = sorted(abs(v) for v in _finite(values) if v)
    if not sizes:
        return ".4g"
    leading = math.floor(math.log10(sizes[(len(sizes) - 1) // 2]))
    return f".{min(max(digits - 1 - leading, 0), 6)}f"


def _marks(values: Sequence[Any], shown: Sequence[str], best: Best) -> set[int]:
    """Which rows look like the best one."""
    finite = [i for i, v in enumerate(values) if _finite([v])]
    if len(finite) < 2:
        return set()

    def loss(i: int) -> float:
        value = float(values[i])
        if best == "lowest":
            return value
        return -value if best == "highest" else abs(value - float(best))

    winner = shown[min(finite, key=loss)]
    return {i for i in finite if shown[i] == winner}
