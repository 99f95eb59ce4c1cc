"""A Compute Accuracy for Object Detection job: detections against ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import outputs
from ..average_precision import OVERLAPS
from ..events import Reporter
from ..web_page import number
from .marked_features import write_marked
from .matching import find_candidates
from .object_figures import draw_counts, draw_f1, draw_precision_recall
from .object_layers import (
    Fields,
    Mask,
    Objects,
    bring_together,
    comparable,
    number_classes,
    read_detections,
    read_truth,
)
from .object_scores import Curve, ObjectScores, curves, score_objects
from .report import Report, Section, write_report
from .tables import write_table

if TYPE_CHECKING:
    from ..jobs import Job

OUTPUT_KEYS = ("OUT_ACCURACY_TABLE", "OUT_ACCURACY_REPORT", "OUT_MARKED_FEATURES")

_EXPLANATION = (
    "A detection is a true positive (TP) where it overlaps a true object of its class, not yet found by a "
    "surer detection, with an intersection over union of at least {min_iou:g}; else it is a false positive "
    "(FP). An object that no detection finds is a false negative (FN). AP is the area under the "
    "precision-recall curve at this overlap, read at 101 recalls; COCO mAP is its mean over the overlaps "
    "0.50, 0.55 to 0.95. AP of all classes is the mean of those with true objects."
)


def run_object_accuracy(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run a job of the tool Compute Accuracy for Object Detection; returns its outputs and results."""
    overwrite, min_iou = job["OVERWRITE"], job["MIN_IOU"]
    for key in OUTPUT_KEYS:
        if job[key]:
            outputs.ensure_free(job[key], overwrite)
    notes: list[str] = []

    def say(text: str) -> None:
        notes.append(text)
        reporter.warning(text)

    reporter.progress("Reading", 0, 1)
    found, truth = _read(job, say)
    reporter.progress("Matching", 0, 1, span=(0.4, 0.8))
    names, *numbers = number_classes(found, truth)
    classes = (numbers[0], numbers[1])
    candidates = find_candidates(
        *comparable(found, truth, reporter.message),
        classes,
        found.confidences,
        min(min_iou, float(OVERLAPS[0])),
        reporter.check_cancelled,
    )
    rows, matched = score_objects(candidates, classes, names, min_iou, found.confidences is not None)
    reporter.progress("Writing", 0, 1, span=(0.8, 1.0))
    write_table(job["OUT_ACCURACY_TABLE"], _table(rows, min_iou), overwrite)
    if job["OUT_MARKED_FEATURES"]:
        with outputs.staged(job["OUT_MARKED_FEATURES"], overwrite) as path:
            write_marked(path, found, truth, candidates, matched)
    if job["OUT_ACCURACY_REPORT"]:
        lines = curves(candidates, classes, names, matched, found.confidences)
        report = _report(job, found, truth, rows, lines, notes)
        write_report(report, job["OUT_ACCURACY_REPORT"], overwrite)
    total = rows[-1]
    reporter.message(
        f"{total.true_positives} of {len(truth)} objects found, {total.false_positives} false detections: "
        f"precision {number(total.precision)}, recall {number(total.recall)}, F1 {number(total.f1)}, "
        f"COCO mAP {number(total.coco_map)}."
    )
    return {**{key: job[key] for key in OUTPUT_KEYS}, **_results(total)}


def _read(job: Job, say: Any) -> tuple[Objects, Objects]:
    """Detections and ground truth in one system, inside the mask."""
    fields = [
        Fields(
            job[f"{layer}_CLASS_VALUE_FIELD"],
            f"{layer}_CLASS_VALUE_FIELD",
            job[f"{layer}_IMAGE_FIELD"],
            f"{layer}_IMAGE_FIELD",
        )
        for layer in ("DETECTED", "GROUND_TRUTH")
    ]
    found = read_detections(job["DETECTED_FEATURES"], fields[0], job["CONFIDENCE_SCORE_FIELD"], say)
    truth = read_truth(job["GROUND_TRUTH_FEATURES"], fields[1], say)
    truth = bring_together(found, truth, any(layer.classes for layer in fields), say)
    if job["MASK_FEATURES"]:
        mask = Mask(job["MASK_FEATURES"], found, say)
        inside = mask.inside(found), mask.inside(truth)
        say(
            f"Inside the mask lie {len(inside[0])} of {len(found)} detections and {len(inside[1])} of "
            f"{len(truth)} true objects; the others are not judged."
        )
        found, truth = inside
    return found, truth


def _table(rows: Sequence[ObjectScores], min_iou: float) -> dict[str, list[Any]]:
    return {
        "Class": [row.name for row in rows],
        "IoU": [min_iou] * len(rows),
        "Precision": [row.precision for row in rows],
        "Recall": [row.recall for row in rows],
        "F1_Score": [_f1(row) for row in rows],
        "AP": [row.average_precision for row in rows],
        "COCO_mAP": [row.coco_map for row in rows],
        "True_Positive": [row.true_positives for row in rows],
        "False_Positive": [row.false_positives for row in rows],
        "False_Negative": [row.false_negatives for row in rows],
    }


def _f1(row: ObjectScores) -> float:
    judged = row.true_positives + row.false_positives + row.false_negatives
    return row.f1 if judged else float("nan")


def _results(total: ObjectScores) -> dict[str, Any]:
    values = {
        "PRECISION": total.precision,
        "RECALL": total.recall,
        "F1_SCORE": _f1(total),
        "AVERAGE_PRECISION": total.average_precision,
        "COCO_MAP": total.coco_map,
        "TRUE_POSITIVES": total.true_positives,
        "FALSE_POSITIVES": total.false_positives,
        "FALSE_NEGATIVES": total.false_negatives,
    }
    return {key: None if value != value else value for key, value in values.items()}


def _report(
    job: Job,
    found: Objects,
    truth: Objects,
    rows: Sequence[ObjectScores],
    lines: Sequence[Curve],
    notes: Sequence[str],
) -> Report:
    total, min_iou = rows[-1], job["MIN_IOU"]
    cells = [
        [
            row.name, number(row.precision), number(row.recall), number(_f1(row)),
            number(row.average_precision), number(row.coco_map), str(row.true_positives),
            str(row.false_positives), str(row.false_negatives),
        ]
        for row in rows
    ]  # fmt: skip
    head = ("Class", "Precision", "Recall", "F1", "AP", "COCO mAP", "TP", "FP", "FN")
    sections = [
        Section(
            "Classes",
            _EXPLANATION.format(min_iou=min_iou),
            head,
            cells,
            draw_counts(rows[:-1] if len(rows) > 2 else rows[-1:]),
        )
    ]
    if lines:
        sections.append(Section("Precision and recall", figure=draw_precision_recall(lines, min_iou)))
        sections.append(Section("F1 by confidence", figure=draw_f1(lines)))
    return Report(
        "Object detection accuracy",
        {
            "Detections": f"{found.name} ({len(found):,} judged)",
            "Ground truth": f"{truth.name} ({len(truth):,} judged)",
            "Mask": job["MASK_FEATURES"] or "none",
            "Smallest overlap": f"{min_iou:g} intersection over union",
        },
        {
            "precision": number(total.precision),
            "recall": number(total.recall),
            "F1": number(_f1(total)),
            "COCO mAP": number(total.coco_map),
        },
        sections,
        notes,
    )
