"""``model_metrics.html``: one page that says how good a model is, with nothing outside it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import nn

from ..labels.classes import ClassSchema
from ..web_page import cards, fact_table, image, number, page, png
from .evaluation import Evaluation, Sample
from .figures import draw_confusion, draw_curves, draw_samples
from .history import Row


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
    path.write_text(metrics_page(report.title, _body(report, pictures)), encoding="utf-8")


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


def _body(report: Report, pictures: Mapping[str, str]) -> str:
    curves = "".join(f"<div>{pictures[name]}</div>" for name in pictures if name.endswith("_graph"))
    sheets = "".join(
        f"<p>{pictures[name]}</p>" for name in ("show_results", "worst_results") if name in pictures
    )
    return f"""{_cards(report)}
{fact_table(report.facts)}
<h2>Training</h2><div class="figures">{curves}</div>
<h2>Classes</h2>{_class_table(report)}
<h2>Confusion</h2>{pictures["confusion_matrix"]}
<h2>Sample predictions</h2>{sheets}
<h2>Epochs</h2><details><summary>{len(report.rows)} epochs</summary>{epoch_table(report.rows)}</details>
<h2>Network</h2>{_layer_table(report)}"""


def metrics_page(title: str, body: str) -> str:
    """The page of a model called ``title``."""
    return page(f"{title}: model metrics", title, body)


def save_figures(figures: Mapping[str, Figure], folder: Path) -> dict[str, str]:
    """Write figures as PNG files into ``folder``; an ``<img>`` that holds each, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for name, figure in figures.items():
        content = png(figure)
        (folder / f"{name}.png").write_bytes(content)
        pictures[name] = image(name, content)
    return pictures


def _cards(report: Report) -> str:
    evaluation = report.evaluation
    numbers = {
        "accuracy": evaluation.scores.accuracy,
        "Jaccard index": evaluation.jaccard,
        "mean IoU": evaluation.scores.mean_iou,
        "validation loss": evaluation.loss,
    }
    return cards({name: number(value) for name, value in numbers.items()})


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
