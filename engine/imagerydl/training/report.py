"""``model_metrics.html``: one page that says how good a model is, with nothing outside it."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import nn

from ..labels.classes import ClassSchema
from .evaluation import Evaluation, Sample
from .figures import draw_confusion, draw_curves, draw_samples
from .history import Row

_DPI = 110

_STYLE = """
body{font:15px/1.5 system-ui,"Segoe UI",sans-serif;color:#222;max-width:1080px;margin:2rem auto}
body{padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.3rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #ddd}
table{border-collapse:collapse;margin:.8rem 0}th,td{padding:.28rem .8rem;border-bottom:1px solid #e6e6e6}
th{text-align:left;font-weight:600;background:#f6f7f9}td.n{text-align:right;font-variant-numeric:tabular-nums}
.cards,.figures{display:flex;gap:1rem;flex-wrap:wrap}.cards{margin:1rem 0}
.card{background:#f3f6fa;border-radius:8px;padding:.7rem 1.2rem;min-width:8rem}
.card b{display:block;font-size:1.5rem}
img{max-width:100%;height:auto}.swatch{display:inline-block;width:.9em;height:.9em;border:1px solid #888;
border-radius:2px;margin-right:.5em;vertical-align:-.08em}summary{cursor:pointer}
"""


@dataclass(frozen=True)
class Report:
    """What the report shows.

    Attributes:
        title: Name of the model.
        facts: Short facts by their label.
        classes: One per output channel.
        rows: The epochs.
        best: Epoch whose weights were kept.
        evaluation: On the validation chips.
        network: For the table of layers.
        shape: (bands, height, width) the layers' shapes are given for.
        samples: Chips to show.
        worst: The least successful ones.
        band_names: For the colours of the chips.
    """

    title: str
    facts: Mapping[str, str]
    classes: ClassSchema
    rows: Sequence[Row]
    best: int
    evaluation: Evaluation
    network: nn.Module
    shape: tuple[int, int, int]
    samples: Sequence[Sample]
    worst: Sequence[Sample]
    band_names: Sequence[str]


@dataclass(frozen=True)
class Layer:
    """One layer of a network: its name, kind, output shape without the batch, and parameters."""

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int


def write_report(report: Report, path: Path, figures_folder: Path) -> None:
    """Write the page, and its figures as PNG files into ``figures_folder``."""
    pictures = save_figures(_figures(report), figures_folder)
    path.write_text(_page(report, pictures), encoding="utf-8")


def list_layers(network: nn.Module, shape: tuple[int, int, int]) -> list[Layer]:
    """The layers that a chip of ``shape`` passes, in the order it passes them."""
    layers: list[Layer] = []
    names = {module: name for name, module in network.named_modules()}

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            own = sum(parameter.numel() for parameter in module.parameters())
            layers.append(Layer(names[module], type(module).__name__, tuple(output.shape[1:]), own))

    hooks = [module.register_forward_hook(note) for module in network.modules() if not any(module.children())]
    was_training, device = network.training, next(network.parameters()).device
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros((1, *shape), device=device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return layers


def _figures(report: Report) -> dict[str, Figure]:
    names = [entry.name for entry in report.classes]
    figures = {
        "loss_graph": draw_curves(report.rows, report.best, "loss", "Loss"),
        "jaccard_graph": draw_curves(report.rows, report.best, "jaccard", "Jaccard index"),
        "accuracy_graph": draw_curves(report.rows, report.best, "accuracy", "Accuracy"),
        "confusion_matrix": draw_confusion(report.evaluation.scores, names),
    }
    for name, samples, title in (
        ("show_results", report.samples, "Validation chips, picked at random"),
        ("worst_results", report.worst, "Validation chips with the fewest right pixels"),
    ):
        if samples:
            figures[name] = draw_samples(samples, report.classes, report.band_names, title)
    return figures


def _page(report: Report, pictures: Mapping[str, str]) -> str:
    curves = "".join(f"<div>{pictures[name]}</div>" for name in pictures if name.endswith("_graph"))
    sheets = "".join(
        f"<p>{pictures[name]}</p>" for name in ("show_results", "worst_results") if name in pictures
    )
    facts = fact_rows(report.facts)
    body = f"""{_cards(report)}
<table>{facts}</table>
<h2>Training</h2><div class="figures">{curves}</div>
<h2>Classes</h2>{_class_table(report)}
<h2>Confusion</h2>{pictures["confusion_matrix"]}
<h2>Sample predictions</h2>{sheets}
<h2>Epochs</h2><details><summary>{len(report.rows)} epochs</summary>{epoch_table(report.rows)}</details>
<h2>Network</h2>{_layer_table(report)}"""
    return page(report.title, body)


def page(title: str, body: str) -> str:
    """A page with the style of all reports, around ``body``."""
    safe = html.escape(title)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{safe}: model metrics</title>
<style>{_STYLE}</style></head><body><h1>{safe}</h1>
{body}
</body></html>
"""


def save_figures(figures: Mapping[str, Figure], folder: Path) -> dict[str, str]:
    """Write figures as PNG files into ``folder``; an ``<img>`` that holds each, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
        (folder / f"{name}.png").write_bytes(buffer.getvalue())
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        pictures[name] = f'<img alt="{name}" src="data:image/png;base64,{data}">'
    return pictures


def fact_rows(facts: Mapping[str, str]) -> str:
    """Rows of a table of short facts."""
    return "".join(
        f"<tr><th>{html.escape(label)}</th><td>{html.escape(text)}</td></tr>" for label, text in facts.items()
    )


def _cards(report: Report) -> str:
    evaluation = report.evaluation
    numbers = {
        "accuracy": evaluation.scores.accuracy,
        "Jaccard index": evaluation.jaccard,
        "mean IoU": evaluation.scores.mean_iou,
        "validation loss": evaluation.loss,
    }
    return cards(numbers)


def cards(numbers: Mapping[str, float]) -> str:
    """The numbers that matter most, large."""
    cells = "".join(
        f'<div class="card"><b>{number(value)}</b>{name}</div>' for name, value in numbers.items()
    )
    return f'<div class="cards">{cells}</div>'


def class_table(classes: ClassSchema, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a row of texts for each class."""
    head = "".join(f"<th>{name}</th>" for name in ("Class", "Value", *columns))
    body = []
    for entry, texts in zip(classes, rows):
        swatch = '<span class="swatch" style="background:rgb({},{},{})"></span>'.format(*entry.color)
        cells = "".join(_cell(text) for text in (str(entry.value), *texts))
        body.append(f"<tr><td>{swatch}{html.escape(entry.name)}</td>{cells}</tr>")
    return f"<table><tr>{head}</tr>{''.join(body)}</table>"


def _class_table(report: Report) -> str:
    scores = report.evaluation.scores
    pixels = scores.confusion.sum(axis=1)
    columns = ("IoU", "Precision", "Recall", "F1", "Validation pixels")
    measures = (scores.iou, scores.precision, scores.recall, scores.f1)
    rows = [
        [*(number(float(values[i])) for values in measures), f"{int(pixels[i]):,}"]
        for i in range(len(report.classes))
    ]
    return class_table(report.classes, columns, rows)


def epoch_table(rows: Sequence[Row]) -> str:
    """A table with a row for each epoch."""
    names = list(rows[0])
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in names)
    body = "".join("<tr>" + "".join(_cell(f"{row[name]:.4g}") for name in names) + "</tr>" for row in rows)
    return f'<div style="overflow-x:auto"><table><tr>{head}</tr>{body}</table></div>'


def _layer_table(report: Report) -> str:
    layers = list_layers(report.network, report.shape)
    total = sum(parameter.numel() for parameter in report.network.parameters())
    body = "".join(
        f"<tr><td>{html.escape(layer.name)}</td><td>{layer.kind}</td>"
        f"{_cell(' x '.join(str(side) for side in layer.output))}{_cell(f'{layer.parameters:,}')}</tr>"
        for layer in layers
    )
    bands, height, width = report.shape
    return (
        f"<p>{total:,} parameters in {len(layers)} layers; "
        f"shapes for an input of {bands} x {height} x {width}.</p>"
        "<details><summary>Layers</summary><table><tr><th>Layer</th><th>Kind</th><th>Output</th>"
        f"<th>Parameters</th></tr>{body}</table></details>"
    )


def _cell(text: str) -> str:
    return f'<td class="n">{text}</td>'


def number(value: float) -> str:
    """Four digits; a dash where there is no number."""
    return "–" if math.isnan(value) else f"{value:.4f}"
