"""What is known of a model, laid out for people: plain text and HTML. Standard library only."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from ..labels.classes import ClassEntry, Color
from .arguments import CHOICE, ModelArgument

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;"
    "padding:.25rem .8rem .25rem 0;border-bottom:1px solid #ddd}th{font-weight:600;white-space:nowrap}"
    ".swatch{display:inline-block;width:1em;height:1em;border:1px solid #999;vertical-align:-.15em}"
    ".problems{border-left:4px solid #c0392b;padding-left:.8rem}"
)


@dataclass(frozen=True)
class ModelCard:
    """A model in words.

    Attributes:
        title: What it is called.
        description: What its author says of it.
        facts: Names and values, in the order to show.
        classes: Its classes.
        arguments: What it declares.
        code: On code that comes with it; empty where there is none.
        problems: Why it does not run, each with its fix.
    """

    title: str
    description: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    classes: tuple[ClassEntry, ...] = ()
    arguments: tuple[ModelArgument, ...] = ()
    code: str = ""
    problems: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Plain text for a font of one width; the first line is the title."""
        return "\n".join(self._lines()) + "\n"

    def to_html(self) -> str:
        """A page that needs nothing but itself."""
        title = html.escape(self.title)
        parts = [
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f"<style>{_STYLE}</style></head><body><h1>{title}</h1>",
        ]
        if self.description:
            parts.append(f"<p>{_with_breaks(self.description)}</p>")
        if self.problems:
            items = "".join(f"<li>{_with_breaks(problem)}</li>" for problem in self.problems)
            parts.append(f'<h2>Why it does not run here</h2><ul class="problems">{items}</ul>')
        parts.append(_table((), [(f"<b>{html.escape(name)}</b>", _with_breaks(v)) for name, v in self.facts]))
        if self.classes:
            rows = [
                (str(entry.value), html.escape(entry.name), _swatch(entry.color)) for entry in self.classes
            ]
            parts.append("<h2>Classes</h2>" + _table(("Value", "Name", "Colour"), rows))
        if self.arguments:
            rows = [
                (html.escape(a.name), html.escape(_taken(a)), html.escape(_meaning(a)))
                for a in self.arguments
            ]
            parts.append("<h2>Arguments</h2>" + _table(("Name", "Takes", "What it does"), rows))
        if self.code:
            parts.append(f"<h2>Code</h2><p>{_with_breaks(self.code)}</p>")
        return "\n".join([*parts, "</body></html>"]) + "\n"

    def _lines(self) -> Iterator[str]:
        yield self.title
        if self.description:
            yield self.description
        if self.problems:
            yield from ("", "Why it does not run here")
            yield from (f"  - {problem}" for problem in self.problems)
        if self.facts:
            yield ""
            width = max(len(name) for name, _ in self.facts)
            for name, value in self.facts:
                yield f"{name:<{width}}  {value}"
        if self.classes:
            yield from ("", "Classes")
            width = max(len(str(entry.value)) for entry in self.classes)
            for entry in self.classes:
                color = f"  {_hex(entry.color)}" if entry.color else ""
                yield f"  {entry.value:>{width}}  {entry.name}{color}"
        if self.arguments:
            yield from ("", "Arguments")
            for argument in self.arguments:
                meaning = _meaning(argument)
                yield f"  {argument.name} ({_taken(argument)})" + (f": {meaning}" if meaning else "")
        if self.code:
            yield from ("", "Code", f"  {self.code}")


def _taken(argument: ModelArgument) -> str:
    """Kind, limits and default of an argument."""
    parts = [" or ".join(argument.choices) if argument.kind == CHOICE else argument.kind]
    if argument.minimum is not None and argument.maximum is not None:
        parts.append(f"{argument.minimum:g} to {argument.maximum:g}")
    elif argument.minimum is not None:
        parts.append(f"at least {argument.minimum:g}")
    elif argument.maximum is not None:
        parts.append(f"at most {argument.maximum:g}")
    if argument.default:
        parts.append(f"{argument.default} unless given")
    elif argument.required:
        parts.append("must be given")
    return ", ".join(parts)


def _meaning(argument: ModelArgument) -> str:
    return ". ".join(text.rstrip(".") for text in (argument.label, argument.help) if text)


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _swatch(color: Optional[Color]) -> str:
    if color is None:
        return ""
    return f'<span class="swatch" style="background:{_hex(color)}"></span> {_hex(color)}'


def _with_breaks(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Cells are HTML already."""
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"
