"""An accuracy report: one description, written as a web page or as a PDF."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Union

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .. import outputs
from ..web_page import cards, fact_table, image, page, png

#: Extensions a report may have.
REPORT_EXTENSIONS = ("pdf", "html")

_INK, _SHADE, _LINE = "#333333", "#f3f6fa", "#dddddd"

#: A4, in inches.
_PAGE = (8.27, 11.69)
_LEFT, _TOP, _BOTTOM = 0.08, 0.94, 0.06
_ROWS_A_PAGE = 34


@dataclass(frozen=True)
class Section:
    """A part of a report: text, a table, a figure, in this order.

    Attributes:
        title: Over it.
        text: One paragraph.
        head: Names of the table's columns.
        rows: Its cells, as texts; the first column is a name.
        figure: A figure.
    """

    title: str
    text: str = ""
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figure: Optional[Figure] = None


@dataclass(frozen=True)
class Report:
    """What a report tells.

    Attributes:
        title: Over it.
        facts: Short facts by their label.
        cards: The numbers that matter most, by their name.
        sections: The rest.
        notes: What was left out or assumed.
    """

    title: str
    facts: Mapping[str, str]
    cards: Mapping[str, str]
    sections: Sequence[Section]
    notes: Sequence[str] = field(default_factory=tuple)


def write_report(report: Report, path: Union[str, Path], overwrite: bool = False) -> None:
    """Write ``report`` as PDF or HTML, by the extension of ``path``; nothing lies outside the file.

    Raises:
        OutputError: If the file exists and may not be replaced, or cannot be written.
    """
    with outputs.staged(path, overwrite) as staging:
        if Path(path).suffix.lower() == ".pdf":
            _write_pdf(report, staging)
        else:
            staging.write_text(_page(report), encoding="utf-8")


def _page(report: Report) -> str:
    sections = "".join(_section(section) for section in report.sections)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in report.notes)
    notes = f"<h2>Notes</h2><ul>{notes}</ul>" if notes else ""
    parts = (cards(report.cards), fact_table(report.facts), sections, notes)
    return page(report.title, report.title, "\n".join(parts))


def _section(section: Section) -> str:
    text = f"<h2>{html.escape(section.title)}</h2>"
    if section.text:
        text += f"<p>{html.escape(section.text)}</p>"
    if section.rows:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in section.head)
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td{' class=n' if place else ''}>{html.escape(cell)}</td>" for place, cell in enumerate(row)
            )
            + "</tr>"
            for row in section.rows
        )
        text += f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'
    if section.figure is not None:
        text += f"<p>{image(section.title, png(section.figure))}</p>"
    return text


def _write_pdf(report: Report, path: Path) -> None:
    # Without a date two runs of the same data give the same file.
    with PdfPages(path, metadata={"Title": report.title, "CreationDate": None}) as pages:
        _first_page(report, pages)
        for section in report.sections:
            _table_pages(section, pages)
            if section.figure is not None:
                pages.savefig(section.figure)


def _first_page(report: Report, pages: PdfPages) -> None:
    page = Figure(figsize=_PAGE)
    page.text(_LEFT, _TOP, report.title, fontsize=17, weight="bold", color=_INK)
    y = _TOP - 0.045
    width = (1 - 2 * _LEFT) / max(1, min(4, len(report.cards)))
    for place, (name, value) in enumerate(report.cards.items()):
        row, column = divmod(place, 4)
        x, top = _LEFT + column * width, y - row * 0.07
        page.text(x + 0.012, top - 0.028, value, fontsize=15, weight="bold", color=_INK)
        page.text(x + 0.012, top - 0.047, name, fontsize=8.5, color=_INK)
        page.add_artist(_panel(x, top - 0.057, width - 0.012, 0.058))
    y -= 0.07 * -(-len(report.cards) // 4) + 0.02
    for label, text in report.facts.items():
        page.text(_LEFT, y, label, fontsize=9, weight="bold", color=_INK, va="top")
        lines = _wrapped(text, 68)
        page.text(_LEFT + 0.2, y, "\n".join(lines), fontsize=9, color=_INK, va="top", linespacing=1.35)
        y -= 0.017 * len(lines) + 0.006
    if report.notes:
        y -= 0.02
        page.text(_LEFT, y, "Notes", fontsize=12, weight="bold", color=_INK, va="top")
        y -= 0.028
        for note in report.notes:
            lines = _wrapped(note, 98)
            page.text(_LEFT, y, "\n".join(lines), fontsize=9, color=_INK, va="top", linespacing=1.35)
            y -= 0.017 * len(lines) + 0.006
    pages.savefig(page)


def _panel(x: float, y: float, width: float, height: float) -> Rectangle:
    """A shaded rectangle in parts of the page, behind everything else."""
    return Rectangle((x, y), width, height, facecolor=_SHADE, edgecolor="none", zorder=-1)


def _table_pages(section: Section, pages: PdfPages) -> None:
    """The text and table of a section on as many pages as they need."""
    if not section.rows and not section.text:
        return
    starts = range(0, max(1, len(section.rows)), _ROWS_A_PAGE)
    for start in starts:
        rows = section.rows[start : start + _ROWS_A_PAGE]
        # Wide tables lie on their side.
        wide = len(section.head) > 8
        size = _PAGE[::-1] if wide else _PAGE
        page = Figure(figsize=size)
        more = " (continued)" if start else ""
        page.text(_LEFT, _TOP, section.title + more, fontsize=13, weight="bold", color=_INK)
        y = _TOP - 0.03
        if section.text and not start:
            lines = _wrapped(section.text, 150 if wide else 105)
            page.text(_LEFT, y, "\n".join(lines), fontsize=9, color=_INK, va="top", linespacing=1.35)
            y -= 0.2 / size[1] * len(lines) + 0.02
        if rows:
            _draw_table(page, section.head, rows, y, size)
        pages.savefig(page)


def _draw_table(
    page: Figure, head: Sequence[str], rows: Sequence[Sequence[str]], top: float, size: tuple[float, float]
) -> None:
    """Draw a table below ``top``; its columns are as wide as their longest cells."""
    lengths = [max(len(name), *(len(row[place]) for row in rows)) + 4 for place, name in enumerate(head)]
    room = (1 - 2 * _LEFT) * size[0]
    font = min(9.0, room * 72 / (0.6 * sum(lengths)))
    widths = [0.6 * font / 72 * length / size[0] for length in lengths]
    step = min(1.9 * font / 72 / size[1], (top - _BOTTOM) / (len(rows) + 1))
    page.add_artist(_panel(_LEFT, top - step, sum(widths), step))
    for line, row in enumerate([head, *rows]):
        x = _LEFT
        for place, (cell, width) in enumerate(zip(row, widths)):
            where = x + (0.005 if place == 0 else width - 0.005)
            page.text(
                where, top - (line + 0.68) * step, cell,
                fontsize=font, color=_INK, ha="left" if place == 0 else "right",
                weight="bold" if line == 0 else "normal",
            )  # fmt: skip
            x += width


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width) or [""]
