"""One HTML file that needs nothing else."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2.5rem auto; max-width: 68rem;
padding: 0 1.2rem; } h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem;
    margin-top: 2.2rem; }
p.lead { color: #555; margin-top: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; border-bottom: 2px solid
#999; } td.best { font-weight: 600; background: #eaf3ea; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; } figcaption { color: #555;
font-size: .9rem; } div.wide { overflow-x: auto; }
"""


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

    def heading(self, text: str) -> None:
        """Start a section."""
        self.parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self.parts.append(f"<p>{html.escape(text)}</p>")

    def table(self, rows: Sequence[Mapping[str, Any]], best: Sequence[str] = ()) -> None:
        """Add a table.

        Args:
            rows: with the same keys, which head the columns; floats get four significant digits.
            best: columns whose smallest number is marked.
        """
        lowest = {name: min(row[name] for row in rows) for name in best}
        head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
        lines = []
        for row in rows:
            cells = []
            for name, value in row.items():
                mark = ' class="best"' if name in lowest and value == lowest[name] else ""
                shown = f"{value:.4g}" if isinstance(value, float) else html.escape(str(value))
                cells.append(f"<td{mark}>{shown}</td>")
            lines.append(f"<tr>{''.join(cells)}</tr>")
        body = "".join(lines)
        self.parts.append(
            f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    def figure(self, figure: Figure, caption: str = "") -> None:
        """Add a figure, embedded as a PNG."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        data = base64.b64encode(buffer.getvalue()).decode()
        alt = html.escape(caption, quote=True)
        self.parts.append(
            f'<figure><img alt="{alt}" src="data:image/png;base64,{data}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )

    def write(self, path: str | Path) -> Path:
        """Write the page, making folders as needed."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        head = (
            "<meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
            f"<title>{html.escape(self.title)}</title>"
        )
        path.write_text(
            f"<!doctype html><html lang='en'><head>{head}<style>{_STYLE}</style></head><body>"
            f"{''.join(self.parts)}</body></html>",
            encoding="utf-8",
        )
        return path
