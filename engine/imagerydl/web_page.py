"""Parts of reports that are one web page with nothing outside it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 110

_STYLE = """
body{font:15px/1.5 system-ui,"Segoe UI",sans-serif;color:#222;max-width:1080px;margin:2rem auto}
body{padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.3rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #ddd}
table{border-collapse:collapse;margin:.8rem 0}th,td{padding:.28rem .8rem;border-bottom:1px solid #e6e6e6}
th{text-align:left;font-weight:600;background:#f6f7f9}td.n{text-align:right;font-variant-numeric:tabular-nums}
.cards,.figures{display:flex;gap:1rem;flex-wrap:wrap}.cards{margin:1rem 0}.wide{overflow-x:auto}
.card{background:#f3f6fa;border-radius:8px;padding:.7rem 1.2rem;min-width:8rem}
.card b{display:block;font-size:1.5rem}
img{max-width:100%;height:auto}.swatch{display:inline-block;width:.9em;height:.9em;border:1px solid #888;
border-radius:2px;margin-right:.5em;vertical-align:-.08em}summary{cursor:pointer}
"""


def page(title: str, heading: str, body: str) -> str:
    """The page.

    Args:
        title: Of the browser's window.
        heading: Over the page.
        body: HTML.
    """
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>{_STYLE}</style></head><body><h1>{html.escape(heading)}</h1>
{body}
</body></html>
"""


def cards(numbers: Mapping[str, str]) -> str:
    """The numbers that matter most, large, by their name."""
    cells = "".join(
        f'<div class="card"><b>{html.escape(text)}</b>{html.escape(name)}</div>'
        for name, text in numbers.items()
    )
    return f'<div class="cards">{cells}</div>'


def fact_table(facts: Mapping[str, str]) -> str:
    """Short facts by their label."""
    rows = "".join(
        f"<tr><th>{html.escape(label)}</th><td>{html.escape(text)}</td></tr>" for label, text in facts.items()
    )
    return f"<table>{rows}</table>"


def png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
    return buffer.getvalue()


def image(name: str, content: bytes) -> str:
    """A PNG file as a part of the page."""
    data = base64.b64encode(content).decode("ascii")
    return f'<img alt="{html.escape(name)}" src="data:image/png;base64,{data}">'


def number(value: float, digits: int = 4) -> str:
    """A measure as a text; a dash where there is none."""
    return "–" if value != value else f"{value:.{digits}f}"
