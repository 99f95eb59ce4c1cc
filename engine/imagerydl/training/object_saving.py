"""Writes the model folder of a detector: definition, weights, package, log, report and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..events import Reporter
from ..models.architectures.registry import traits
from ..web_page import cards, fact_table, number
from .detector_onnx import write_detector_onnx
from .object_data import ObjectData
from .object_evaluation import ObjectEvaluation, ObjectSample
from .object_figures import draw_measures, draw_object_confusion, draw_object_samples, draw_precision_recall
from .report import class_table, epoch_table, metrics_page, save_figures
from .saving import Said, Trained, per_class_metrics, rounded, write_folder

#: Chips on which the ONNX form is compared with the original.
_COMPARED = 3


@dataclass(frozen=True)
class TrainedDetector(Trained):
    """A trained detector.

    Attributes:
        evaluation: On the validation chips.
        samples: Chips to show.
        worst: Chips with the most objects too many or too few.
    """

    data: ObjectData
    evaluation: ObjectEvaluation
    samples: list[ObjectSample]
    worst: list[ObjectSample]

    @property
    def normalised(self) -> np.ndarray:
        """The first chips to show as the network takes them."""
        height, width = self.size
        images = np.stack([sample.image[:, :height, :width] for sample in self.samples[:_COMPARED]])
        return self.start.input_range.normalisation.apply(images)


def write_detector(model: TrainedDetector, folder: Path, reporter: Reporter) -> None:
    """Write everything into ``folder``."""
    network = model.start.network
    write_folder(
        model,
        folder,
        _said(model),
        lambda path: write_detector_onnx(network, model.normalised, path, reporter),
        lambda page, figures: _write_report(model, page, figures),
    )


def _said(model: TrainedDetector) -> Said:
    scores, names, threshold = model.evaluation.scores, model.data.class_names, model.evaluation.threshold
    columns = zip(*(result.at(threshold) for result in scores.classes))
    return Said(
        "InstanceDetection" if traits(model.settings.model_type).gives_masks else "ObjectDetection",
        model.describe(),
        {
            "Threshold": threshold,
            "average_precision_score": {name: rounded(value) for name, value in zip(names, scores.ap50)},
            "mean_average_precision": {
                "iou_0.5": rounded(scores.map50),
                "iou_0.5_to_0.95": rounded(scores.map),
            },
            "per_class_metrics": per_class_metrics(names, dict(zip(("precision", "recall", "f1"), columns))),
        },
    )


def _write_report(model: TrainedDetector, path: Path, figures: Path) -> None:
    pictures = save_figures(_figures(model), figures)
    path.write_text(metrics_page(model.settings.name, _body(model, pictures)), encoding="utf-8")


def _figures(model: TrainedDetector) -> dict[str, Figure]:
    evaluation, rows, best = model.evaluation, model.rows, model.best
    figures = {
        "loss_graph": draw_measures(
            rows, best, {"train_loss": "training", "valid_loss": "validation"}, "Loss"
        ),
        "average_precision_graph": draw_measures(
            rows,
            best,
            {"valid_map50": "at an overlap of 0.5", "valid_map": "mean of 0.5 to 0.95"},
            "Mean average precision",
        ),
        "precision_recall": draw_precision_recall(evaluation.scores, model.classes),
        "confusion_matrix": draw_object_confusion(evaluation.scores.confusion, model.data.class_names),
    }
    for name, samples, title in (
        ("show_results", model.samples, "Validation chips, picked at random"),
        ("worst_results", model.worst, "Validation chips with the most objects too many or too few"),
    ):
        if samples:
            names = model.data.collection.band_names
            figures[name] = draw_object_samples(samples, model.classes, names, title)
    return figures


def _body(model: TrainedDetector, pictures: Mapping[str, str]) -> str:
    evaluation, scores = model.evaluation, model.evaluation.scores
    facts = {
        **model.facts,
        "Threshold": f"{evaluation.threshold:g}: the score with the best F1 on the validation chips",
        "Skipped": f"{len(model.data.problems)} chips and objects",
    }
    rows = [
        [
            number(result.ap50),
            number(float(result.precisions.mean())),
            *(number(value) for value in result.at(evaluation.threshold)),
            f"{result.truths:,}",
        ]
        for result in scores.classes
    ]
    columns = ("AP 0.5", "AP 0.5-0.95", "Precision", "Recall", "F1", "Validation objects")
    curves = "".join(f"<div>{pictures[name]}</div>" for name in pictures if name.endswith("_graph"))
    sheets = "".join(f"<p>{pictures[n]}</p>" for n in ("show_results", "worst_results") if n in pictures)
    numbers = {
        "mean AP at 0.5": number(scores.map50),
        "mean AP, 0.5 to 0.95": number(scores.map),
        "validation loss": number(evaluation.loss),
    }
    return f"""{cards(numbers)}
{fact_table(facts)}
<h2>Training</h2><div class="figures">{curves}</div>
<h2>Classes</h2>{class_table(model.classes, columns, rows)}
<h2>Precision and recall</h2>{pictures["precision_recall"]}
<h2>Confusion</h2>{pictures["confusion_matrix"]}
<h2>Sample predictions</h2>{sheets}
<h2>Epochs</h2><details><summary>{len(model.rows)} epochs</summary>{epoch_table(model.rows)}</details>"""
