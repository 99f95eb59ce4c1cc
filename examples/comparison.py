"""A class raster against the truth: numbers, and a picture to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: value -> (name, colour)
Legend = dict[int, tuple[str, tuple[int, int, int]]]


@dataclass(frozen=True)
class Comparison:
    """A picture, what is on it, and what a model sees on it.

    Attributes:
        picture: uint8 ``[height, width, 3]``.
        truth: Class values ``[height, width]``.
        predicted: Class values ``[height, width]``.
        legend: Names and colours of the classes.
        ignored: Values of ``truth`` that are not counted.
    """

    picture: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    legend: Legend
    ignored: tuple[int, ...] = ()

    def confusion(self) -> np.ndarray:
        """Pixels by true class (row) and predicted class (column, the last: none of the classes)."""
        values = np.array(sorted(self.legend))
        counted = ~np.isin(self.truth, self.ignored)
        rows = np.searchsorted(values, self.truth[counted])
        predicted = self.predicted[counted]
        columns = np.clip(np.searchsorted(values, predicted), 0, len(values) - 1)
        columns = np.where(values[columns] == predicted, columns, len(values))
        cells = rows * (len(values) + 1) + columns
        return np.bincount(cells, minlength=len(values) * (len(values) + 1)).reshape(len(values), -1)

    @property
    def accuracy(self) -> float:
        """Share of the counted pixels that have the right class."""
        confusion = self.confusion()
        return float(np.trace(confusion) / confusion.sum())

    def intersection_over_union(self) -> dict[int, float]:
        """By class value, for the classes that occur in the truth."""
        confusion = self.confusion()
        scores = {}
        for index, value in enumerate(sorted(self.legend)):
            in_truth, hit = confusion[index].sum(), confusion[index, index]
            if in_truth:
                scores[value] = float(hit / (in_truth + confusion[:, index].sum() - hit))
        return scores

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur in the truth."""
        return float(np.mean(list(self.intersection_over_union().values())))

    def table(self) -> str:
        """The numbers as text."""
        width = max(len("overall accuracy"), *(len(name) for name, _ in self.legend.values()))
        lines = [
            f"  {'overall accuracy':{width + 2}}{self.accuracy:.4f}",
            f"  {'mean IoU':{width + 2}}{self.mean_iou:.4f}",
        ]
        for value, score in self.intersection_over_union().items():
            lines.append(f"    {self.legend[value][0]:{width}}{score:.4f}")
        return "\n".join(lines)


def coloured(classes: np.ndarray, legend: Legend) -> np.ndarray:
    """Class values as a picture, uint8 ``[height, width, 3]``; black where there is no class."""
    colours = np.zeros((int(max(classes.max(), *legend)) + 1, 3), np.uint8)
    for value, (_, colour) in legend.items():
        colours[value] = colour
    return colours[classes]


def draw(comparison: Comparison, path: Path) -> None:
    """Picture, truth and prediction side by side, with legend and scores, as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    height, width = comparison.truth.shape
    panels = {
        "Image": comparison.picture,
        "Truth": coloured(comparison.truth, comparison.legend),
        "Classified": coloured(comparison.predicted, comparison.legend),
    }
    figure, axes = pyplot.subplots(
        1, 3, figsize=(15, 5 * height / width + 0.95), layout="constrained", facecolor="white"
    )
    for axis, (title, picture) in zip(axes, panels.items()):
        axis.imshow(picture, interpolation="antialiased")
        axis.set_title(title, fontsize=13, fontweight="bold", loc="left")
        axis.set_axis_off()
    axes[2].set_title(
        f"accuracy {comparison.accuracy:.1%}, mean IoU {comparison.mean_iou:.2f}", fontsize=11, loc="right"
    )
    handles = [
        Patch(facecolor=np.divide(colour, 255), edgecolor="#555555", linewidth=0.5, label=name)
        for name, colour in comparison.legend.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
