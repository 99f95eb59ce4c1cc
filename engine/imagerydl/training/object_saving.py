"""Writes the model folder of a detector: definition, weights, package, log, report and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from matplotlib.figure import Figure

from ..events import Reporter
from ..models.architectures.registry import traits
from ..models.definition import write_definition
from ..models.package import write_package
from .detector_onnx import write_detector_onnx
from .history import write_log
from .object_data import ObjectData
from .object_evaluation import ObjectEvaluation, ObjectSample
from .object_figures import draw_measures, draw_object_confusion, draw_object_samples, draw_precision_recall
from .report import cards, class_table, epoch_table, fact_rows, number, page, save_figures
from .saving import CHARACTERISTICS, LOG_FILE, REPORT_FILE, Trained, common_definition, write_weights

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
    """Write everything into ``folder``; files carry the name of the model."""
    folder.mkdir()
    name = model.settings.name
    weights, definition = folder / f"{name}.safetensors", folder / f"{name}.emd"
    write_weights(model.start.network, weights)
    onnx = write_detector_onnx(model.start.network, model.normalised, folder / f"{name}.onnx", reporter)
    write_definition(_definition(model, weights, onnx), definition)
    write_log(model.rows, folder / LOG_FILE)
    pictures = save_figures(_figures(model), folder / CHARACTERISTICS)
    (folder / REPORT_FILE).write_text(page(name, _body(model, pictures)), encoding="utf-8")
    members = [definition, weights, *([onnx] if onnx else []), folder / REPORT_FILE, folder / CHARACTERISTICS]
    write_package(members, folder / f"{name}.dlpk")


def _definition(model: TrainedDetector, weights: Path, onnx: Optional[Path]) -> dict[str, Any]:
    scores, names = model.evaluation.scores, model.data.class_names
    kind = "InstanceDetection" if traits(model.settings.model_type).gives_masks else "ObjectDetection"
    precisions = {name: _rounded(value) for name, value in zip(names, scores.ap50)}
    measures = {
        name: dict(zip(("precision", "recall", "f1"), map(_rounded, result.at(model.evaluation.threshold))))
        for name, result in zip(names, scores.classes)
    }
    return {
        **common_definition(model, kind, weights, onnx, _description(model)),
        "SupportsVariableTileSize": model.start.network.tile_size is None,
        "Threshold": model.evaluation.threshold,
        "average_precision_score": precisions,
        "mean_average_precision": {
            "iou_0.5": _rounded(scores.map50),
            "iou_0.5_to_0.95": _rounded(scores.map),
        },
        "per_class_metrics": json.dumps(measures),  # a JSON text inside the JSON, as arcgis.learn writes it
    }


def _description(model: TrainedDetector) -> str:
    train, valid = model.chips
    return (
        f"{model.settings.model_type}, backbone {model.start.parameters['backbone']}, trained on {train} "
        f"chips and validated on {valid}. Classes: {', '.join(model.data.class_names)}."
    )


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
    train, valid = model.chips
    bands, height, width = model.data.shape
    facts = {
        "Model": f"{model.settings.model_type}, backbone {model.start.parameters['backbone']}",
        "Chips": f"{train} for training, {valid} for validation, {width} x {height} pixels, {bands} bands",
        "Training": f"{len(model.rows)} epochs, best epoch {model.best}, batch {model.batch_size}, learning "
        f"rate {model.learning_rate:.2g}, augmentation {model.settings.augmentation}",
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
        "mean AP at 0.5": scores.map50,
        "mean AP, 0.5 to 0.95": scores.map,
        "validation loss": evaluation.loss,
    }
    return f"""{cards(numbers)}
<table>{fact_rows(facts)}</table>
<h2>Training</h2><div class="figures">{curves}</div>
<h2>Classes</h2>{class_table(model.classes, columns, rows)}
<h2>Precision and recall</h2>{pictures["precision_recall"]}
<h2>Confusion</h2>{pictures["confusion_matrix"]}
<h2>Sample predictions</h2>{sheets}
<h2>Epochs</h2><details><summary>{len(model.rows)} epochs</summary>{epoch_table(model.rows)}</details>"""


def _rounded(value: float) -> Any:
    return None if math.isnan(value) else round(float(value), 4)
