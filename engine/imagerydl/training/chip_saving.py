"""Writes the model folder of a classifier of chips, with its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..events import Reporter
from ..labels.classes import ClassSchema
from ..web_page import cards, fact_table, number
from .chip_data import ChipData
from .chip_task import ChipScores
from .figures import INK, draw_confusion, picture
from .object_figures import draw_measures
from .report import class_table, epoch_table, metrics_page, save_figures
from .saving import Said, Trained, per_class_metrics, write_folder, write_onnx


@dataclass(frozen=True)
class ChipSample:
    """A validation chip beside what the network says of it.

    Attributes:
        image: ``[bands, h, w]``, raw pixels.
        truth: Names of its classes.
        said: Names of the classes it is said to be of.
    """

    image: np.ndarray
    truth: str
    said: str


@dataclass(frozen=True)
class TrainedClassifier(Trained):
    """A trained classifier of chips.

    Attributes:
        scores: On the validation chips.
        loss: Mean loss of the validation chips.
        samples: Chips to show.
        wrong: Chips that it gets wrong.
    """

    data: ChipData
    scores: ChipScores
    loss: float
    samples: list[ChipSample]
    wrong: list[ChipSample]


def write_classifier(model: TrainedClassifier, folder: Path, reporter: Reporter) -> None:
    """Write everything into ``folder``."""
    network, bands = model.start.network, model.data.shape[0]
    write_folder(
        model,
        folder,
        _said(model),
        lambda path: write_onnx(network, bands, model.size, path, reporter),
        lambda page, figures: _write_report(model, page, figures),
    )


def _said(model: TrainedClassifier) -> Said:
    scores, exported = model.scores, model.data.collection.definition
    measures = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}
    return Said(
        "ObjectClassification",
        model.describe(", several classes a chip" if model.data.multi_label else ""),
        {
            # How chips were cut says how objects have to be cut out later.
            "CropSizeFixed": 0 if model.data.resize else 1,
            "BlackenAroundFeature": 1 if exported.get("BlackenAroundFeature") is True else 0,
            "accuracy": f"{scores.accuracy:.4e}",
            "per_class_metrics": per_class_metrics(model.data.class_names, measures),
        },
    )


def _write_report(model: TrainedClassifier, path: Path, figures: Path) -> None:
    pictures = save_figures(_figures(model), figures)
    path.write_text(metrics_page(model.settings.name, _body(model, pictures)), encoding="utf-8")


def _figures(model: TrainedClassifier) -> dict[str, Figure]:
    rows, best, scores = model.rows, model.best, model.scores
    figures = {
        "loss_graph": draw_measures(
            rows, best, {"train_loss": "training", "valid_loss": "validation"}, "Loss"
        ),
        "accuracy_graph": draw_measures(
            rows, best, {"valid_accuracy": "accuracy", "valid_f1": "mean F1"}, "Validation chips"
        ),
    }
    if scores.confusion is not None:
        figures["confusion_matrix"] = draw_confusion(scores, model.data.class_names)
    for name, samples, title in (
        ("show_results", model.samples, "Validation chips, picked at random"),
        ("worst_results", model.wrong, "Validation chips that are wrong"),
    ):
        if samples:
            figures[name] = draw_chips(samples, model.data.collection.band_names, title)
    return figures


def draw_chips(samples: Sequence[ChipSample], band_names: Sequence[str], title: str) -> Figure:
    """A sheet of chips with what they show and what they are said to show."""
    columns = min(6, len(samples))
    rows = -(-len(samples) // columns)
    figure = Figure(figsize=(1.9 * columns + 0.4, 2.3 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, sample in zip(grid.flat, samples):
        axes.imshow(picture(sample.image, band_names), interpolation="nearest")
        color = INK if sample.truth == sample.said else "#b3261e"
        axes.set_title(f"{sample.truth}\nsaid: {sample.said}", fontsize=8, color=color)
    figure.suptitle(title, color=INK)
    return figure


def _body(model: TrainedClassifier, pictures: Mapping[str, str]) -> str:
    scores, classes = model.scores, model.classes
    facts = {**model.facts, "Skipped": f"{len(model.data.problems)} chips"}
    numbers = {
        "accuracy": number(scores.accuracy),
        "mean F1": number(model.rows[model.best - 1]["valid_f1"]),
        "validation loss": number(model.loss),
    }
    curves = "".join(f"<div>{pictures[name]}</div>" for name in pictures if name.endswith("_graph"))
    sheets = "".join(f"<p>{pictures[n]}</p>" for n in ("show_results", "worst_results") if n in pictures)
    confusion = f"<h2>Confusion</h2>{pictures['confusion_matrix']}" if "confusion_matrix" in pictures else ""
    return f"""{cards(numbers)}
{fact_table(facts)}
<h2>Training</h2><div class="figures">{curves}</div>
<h2>Classes</h2>{_classes(classes, scores)}{confusion}
<h2>Sample predictions</h2>{sheets}
<h2>Epochs</h2><details><summary>{len(model.rows)} epochs</summary>{epoch_table(model.rows)}</details>"""


def _classes(classes: ClassSchema, scores: ChipScores) -> str:
    rows = [
        [*(number(float(value)) for value in values), f"{int(count):,}"]
        for *values, count in zip(scores.precision, scores.recall, scores.f1, scores.true)
    ]
    return class_table(classes, ("Precision", "Recall", "F1", "Validation chips"), rows)
