"""The figures of a training report, as Matplotlib figures drawn without a display."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from ..imagery.band_names import red_green_blue
from ..labels.classes import ClassSchema
from .channels import IGNORED
from .evaluation import Sample
from .history import Row
from .metrics import PixelScores

TRAIN, VALID, INK, GRID = "#2f6db3", "#d9822b", "#333333", "#dddddd"

#: Colour of pixels without a class.
_NOTHING = (255, 255, 255)


def draw_curves(rows: Sequence[Row], best: int, name: str, title: str) -> Figure:
    """One measure over the epochs, training and validation; the best epoch is marked.

    Args:
        rows: The epochs.
        best: Epoch whose weights were kept.
        name: "loss", "jaccard" or "accuracy".
        title: Over the figure.
    """
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    epochs = [row["epoch"] for row in rows]
    for part, color in (("train", TRAIN), ("valid", VALID)):
        values = [row[f"{part}_{name}"] for row in rows]
        label = "training" if part == "train" else "validation"
        axes.plot(epochs, values, color=color, label=label, linewidth=2, marker="o", markersize=3.5)
    axes.axvline(best, color=INK, linewidth=1, linestyle=":", label=f"kept: epoch {best}")
    axes.set_title(title, color=INK)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color=GRID, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def draw_confusion(scores: PixelScores, names: Sequence[str]) -> Figure:
    """The confusion matrix: each row is a true class, its cells sum to 100 %."""
    sums = scores.confusion.sum(axis=1, keepdims=True)
    shares = np.divide(scores.confusion, sums, out=np.zeros(scores.confusion.shape), where=sums > 0)
    title = "Confusion matrix, % of each true class"
    figure, cells = draw_matrix(shares, "{:.0f}", 100 * shares, (names, names), ("true", "predicted"), title)
    figure.colorbar(cells, ax=cells.axes, shrink=0.75)
    return figure


def draw_matrix(
    shares: np.ndarray,
    form: str,
    values: np.ndarray,
    names: tuple[Sequence[str], Sequence[str]],
    labels: tuple[str, str],
    title: str,
) -> tuple[Figure, AxesImage]:
    """Cells shaded by their share of a row, each with its value where there is room.

    Args:
        shares: ``[rows, columns]``, 0 to 1.
        form: How a value is written.
        values: ``[rows, columns]``.
        names: Of the rows and of the columns.
        labels: What rows and columns are.
        title: Over it.
    """
    rows, columns = names
    side = max(4.0, 0.75 * len(rows) + 2.2)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    cells = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*shares.shape) if len(rows) <= 30 else ():
        color = "white" if shares[row, column] > 0.55 else INK
        text = form.format(values[row, column])
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylabel(labels[0])
    axes.set_xlabel(labels[1])
    axes.set_title(title, color=INK)
    return figure, cells


def draw_samples(
    samples: Sequence[Sample], classes: ClassSchema, band_names: Sequence[str], title: str
) -> Figure:
    """A sheet of chips: image, truth, prediction; one chip a row, two rows side by side."""
    pairs = 2 if len(samples) > 1 else 1
    rows = -(-len(samples) // pairs)
    figure = Figure(figsize=(5.4 * pairs, 1.9 * rows + 1.1), layout="constrained")
    grid = figure.subplots(rows, 3 * pairs, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, sample in enumerate(samples):
        row, column = divmod(number, pairs)
        _show_sample(grid[row][3 * column : 3 * column + 3], sample, classes, band_names)
    handles = [
        Patch(facecolor=np.array(entry.color) / 255, edgecolor=INK, linewidth=0.5, label=entry.name)
        for entry in classes
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False)
    figure.suptitle(title, color=INK)
    return figure


def _show_sample(
    axes: Sequence[Axes], sample: Sample, classes: ClassSchema, band_names: Sequence[str]
) -> None:
    pictures = (
        (picture(sample.image, band_names), sample.name),
        (paint(sample.truth, classes), "truth"),
        (paint(sample.prediction, classes), f"prediction, {100 * sample.accuracy:.0f} % right"),
    )
    for place, (pixels, caption) in zip(axes, pictures):
        place.imshow(pixels, interpolation="nearest")
        place.set_title(caption, fontsize=8, color=INK)


def picture(image: np.ndarray, band_names: Sequence[str]) -> np.ndarray:
    """An image ``[bands, h, w]`` as something to look at, ``[h, w, 3]`` uint8.

    8-bit imagery is shown as it is; other imagery is stretched from its 2nd to its 98th percentile.
    """
    bands = list(red_green_blue(band_names)) if len(image) >= 3 else [0, 0, 0]
    shown = image[bands].astype(np.float32)
    if image.dtype != np.uint8:
        known = shown[np.isfinite(shown)]
        low, high = np.percentile(known, (2, 98)) if known.size else (0, 1)
        shown = 255 * (np.nan_to_num(shown, nan=low) - low) / max(float(high - low), 1e-6)
    return shown.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def paint(channels: np.ndarray, classes: ClassSchema) -> np.ndarray:
    """Channels ``[h, w]`` in the colours of their classes, ``[h, w, 3]`` uint8."""
    palette = np.full((IGNORED + 1, 3), _NOTHING, np.uint8)
    for channel, entry in enumerate(classes):
        palette[channel] = entry.color
    return palette[channels]
