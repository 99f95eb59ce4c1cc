"""The figures of an object accuracy report, as Matplotlib figures drawn without a display."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..labels.classes import distinct_color
from .object_scores import Curve, ObjectScores

_INK, _GRID = "#333333", "#dddddd"

#: Classes shown in one figure; the legend would hide the curves of more.
_MOST = 12

#: Points of a curve beyond which more cannot be seen.
_POINTS = 2000


def draw_precision_recall(curves: Sequence[Curve], min_iou: float) -> Figure:
    """Precision over recall: the classes with most detections, and all together in black."""
    figure, axes = _axes("recall", "precision", f"Precision and recall at IoU {min_iou:g}")
    for curve, color, width in _styled(curves):
        recall, precision = _thinned(curve.recall, curve.precision)
        axes.plot([0, *recall], [precision[0], *precision], color=color, linewidth=width, label=curve.name)
    return _finished(figure, axes)


def draw_f1(curves: Sequence[Curve]) -> Figure:
    """F1 over the confidence from which detections are kept; the best point of all classes is marked."""
    figure, axes = _axes("smallest confidence kept", "F1", "F1 by confidence")
    for curve, color, width in _styled(curves):
        known = np.isfinite(curve.confidence)
        total = curve.precision + curve.recall
        f1 = np.divide(2 * curve.precision * curve.recall, total, out=np.zeros(len(total)), where=total > 0)
        # Detections of one confidence are kept together.
        last = np.flatnonzero(np.append(np.diff(curve.confidence[known]) != 0, True)) if known.any() else []
        confidence, f1 = curve.confidence[known][last], f1[known][last]
        if not len(f1):
            continue
        axes.plot(
            *_thinned(confidence, f1),
            color=color,
            linewidth=width,
            label=curve.name,
            marker="." if len(f1) < 100 else "",
        )
        if curve is curves[-1]:
            best = int(f1.argmax())
            axes.annotate(
                f"{f1[best]:.3f} at {confidence[best]:.3g}", (confidence[best], f1[best]),
                xytext=(0, 9), textcoords="offset points", ha="center", fontsize=9, color=_INK,
            )  # fmt: skip
    return _finished(figure, axes)


def draw_counts(rows: Sequence[ObjectScores]) -> Figure:
    """Hits, false detections and misses of each class, the largest classes."""
    shown = sorted(rows, key=lambda row: -(row.true_positives + row.false_negatives))[:30]
    figure = Figure(figsize=(8.27, max(2.4, 0.32 * len(shown) + 1.4)), layout="constrained")
    axes = figure.subplots()
    places, left = np.arange(len(shown)), np.zeros(len(shown))
    for label, color, counts in (
        ("true positives", "#238b45", [row.true_positives for row in shown]),
        ("false positives", "#d73027", [row.false_positives for row in shown]),
        ("misses", "#f5a000", [row.false_negatives for row in shown]),
    ):
        axes.barh(places, counts, left=left, color=color, label=label, height=0.7)
        left = left + counts
    axes.set_yticks(places, [row.name for row in shown])
    axes.invert_yaxis()
    axes.set_xlabel("objects")
    axes.set_title("What was found, by class", color=_INK)
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, ncols=3, loc="outside lower center")
    return figure


def _axes(x: str, y: str, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.27, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_ylim(0, 1.06)
    axes.set_title(title, color=_INK)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _finished(figure: Figure, axes: Axes) -> Figure:
    if axes.lines:
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _styled(curves: Sequence[Curve]) -> list[tuple[Curve, object, float]]:
    """The curves to show with colour and width; the last one is that of all classes."""
    largest = sorted(curves[:-1], key=lambda curve: -len(curve.recall))[:_MOST]
    shown = [curve for curve in curves[:-1] if any(curve is other for other in largest)]
    if len(shown) == 1:  # it is the curve of all classes
        shown = []
    styled = [
        (curve, tuple(part / 255 for part in distinct_color(place + 1)), 1.6)
        for place, curve in enumerate(shown)
    ]
    return [*styled, (curves[-1], _INK, 2.2)]


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(x) <= _POINTS:
        return x, y
    places = np.unique(np.linspace(0, len(x) - 1, _POINTS).astype(int))
    return x[places], y[places]
