"""Writes the model folder of a pixel classifier, with its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..events import Reporter
from .dataset import TrainingData
from .evaluation import Evaluation, Sample
from .report import Report, write_report
from .saving import Said, Trained, per_class_metrics, write_folder, write_onnx


@dataclass(frozen=True)
class TrainedModel(Trained):
    """A trained pixel classifier.

    Attributes:
        evaluation: On the validation chips.
        samples: Chips to show.
        worst: The least successful chips.
    """

    data: TrainingData
    evaluation: Evaluation
    samples: list[Sample]
    worst: list[Sample]


def write_model(model: TrainedModel, folder: Path, reporter: Reporter) -> None:
    """Write everything into ``folder``."""
    network, bands = model.start.network, model.data.collection.band_count
    write_folder(
        model,
        folder,
        _said(model),
        lambda path: write_onnx(network, bands, model.size, path, reporter),
        lambda page, figures: write_report(_report(model), page, figures),
    )


def _said(model: TrainedModel) -> Said:
    evaluation, scores = model.evaluation, model.evaluation.scores
    measures = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1, "iou": scores.iou}
    return Said(
        "ImageClassification",
        model.describe(),
        {
            "accuracy": f"{scores.accuracy:.4e}",
            "jaccard": f"{evaluation.jaccard:.4e}",
            "mean_iou": f"{scores.mean_iou:.4e}",
            "per_class_metrics": per_class_metrics(model.data.class_names, measures),
        },
    )


def _report(model: TrainedModel) -> Report:
    return Report(
        title=model.settings.name,
        facts={**model.facts, "Skipped chips": str(len(model.data.skipped))},
        classes=model.data.channels.classes,
        rows=model.rows,
        best=model.best,
        evaluation=model.evaluation,
        network=model.start.network,
        shape=(model.data.shape[0], *model.size),
        samples=model.samples,
        worst=model.worst,
        band_names=model.data.collection.band_names,
    )
