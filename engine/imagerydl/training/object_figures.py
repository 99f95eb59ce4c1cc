"""The figures of a detector's report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from ..labels.classes import ClassSchema
from .detection_metrics import DetectionScores, ImageObjects
from .figures import GRID, INK, TRAIN, VALID, draw_matrix, picture
from .history import Row
from .object_evaluation import ObjectSample


def draw_measures(rows: Sequence[Row], best: int, names: dict[str, str], title: str) -> Figure:
    """Measures over the epochs; the best epoch is marked.

    Args:
        rows: The epochs.
        best: Epoch whose weights were kept.
        names: Label of each measure, by its name in the log.
        title: Over the figure.
    """
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    epochs = [row["epoch"] for row in rows]
    for (name, label), color in zip(names.items(), (TRAIN, VALID)):
        axes.plot(
            epochs, [row[name] for row in rows], color=color, label=label, linewidth=2, marker="o", ms=3.5
        )
    axes.axvline(best, color=INK, linewidth=1, linestyle=":", label=f"kept: epoch {best}")
    axes.set_title(title, color=INK)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color=GRID, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def draw_precision_recall(scores: DetectionScores, classes: ClassSchema) -> Figure:
    """Precision over recall of each class at an overlap of 0.5."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.subplots()
    for entry, result in zip(classes, scores.classes):
        if result.truths:
            recall = np.concatenate([[0.0], result.recall_curve])
            envelope = np.maximum.accumulate(result.precision_curve[::-1])[::-1]
            precision = np.concatenate([envelope[:1] if len(envelope) else [0.0], envelope])
            label = f"{entry.name}: AP {result.ap50:.3f}"
            axes.plot(recall, precision, color=np.array(entry.color) / 255, linewidth=2, label=label)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title("Precision and recall at an overlap of 0.5", color=INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def draw_object_confusion(confusion: np.ndarray, names: Sequence[str]) -> Figure:
    """Numbers of objects: rows what is there, columns what is found; the last ones are nothing."""
    rows, columns = [*names, "nothing there"], [*names, "missed"]
    sums = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, sums, out=np.zeros(confusion.shape), where=sums > 0)
    title = "Objects, truth against found"
    return draw_matrix(shares, "{}", confusion, (rows, columns), ("true", "found"), title)[0]


def draw_object_samples(
    samples: Sequence[ObjectSample], classes: ClassSchema, band_names: Sequence[str], title: str
) -> Figure:
    """A sheet of chips: with the true boxes, and with those found; one chip a row, two rows side by side."""
    pairs = 2 if len(samples) > 1 else 1
    rows = -(-len(samples) // pairs)
    figure = Figure(figsize=(6.4 * pairs, 3.1 * rows + 1.0), layout="constrained")
    grid = figure.subplots(rows, 2 * pairs, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    colors = [np.array(entry.color) / 255 for entry in classes]
    for number, sample in enumerate(samples):
        row, column = divmod(number, pairs)
        shown = picture(sample.image, band_names)
        for axes, objects, caption in (
            (grid[row][2 * column], sample.truth, f"{sample.name}: truth"),
            (grid[row][2 * column + 1], sample.found, f"found: {len(sample.found.boxes)}"),
        ):
            axes.imshow(shown, interpolation="nearest")
            axes.set_title(caption, fontsize=8, color=INK)
            _outline(axes, objects, colors)
    handles = [Patch(facecolor="none", edgecolor=c, label=entry.name) for c, entry in zip(colors, classes)]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False)
    figure.suptitle(title, color=INK)
    return figure


def _outline(axes: object, objects: ImageObjects, colors: Sequence[np.ndarray]) -> None:
    for (left, top, right, bottom), label in zip(objects.boxes.tolist(), objects.labels.astype(int).tolist()):
        corner = (left - 0.5, top - 0.5)  # pixel centres are whole numbers in a picture
        axes.add_patch(
            Rectangle(corner, right - left, bottom - top, fill=False, edgecolor=colors[label], linewidth=1.2)
        )
