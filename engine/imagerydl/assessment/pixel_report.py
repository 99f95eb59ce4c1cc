"""Tables and report of pixel accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..imagery.grid import Grid
from ..web_page import number
from .area_estimates import NORMAL_95, Estimates
from .confusion import ConfusionMatrix
from .report import Report, Section

Name = Callable[[int], str]
_INK = "#333333"

#: Classes up to which a figure of the matrix has numbers in its cells.
_READABLE = 30


def confusion_table(matrix: ConfusionMatrix) -> dict[str, list[Any]]:
    """The confusion matrix as ArcGIS lays it out: rows classified, columns reference.

    The row P_Accuracy holds producer's accuracies and, under U_Accuracy, the overall accuracy; the row
    Kappa holds kappa. IoU and F1 of each class follow; cells without a meaning are empty.
    """
    names = [f"c_{value}" for value in matrix.values]
    count = len(names)
    table: dict[str, list[Any]] = {"ClassValue": [*names, "Total", "P_Accuracy", "Kappa"]}
    producers = matrix.producers_accuracy
    for place, name in enumerate(names):
        cells = [float(n) for n in matrix.counts[:, place]]
        table[name] = [*cells, float(matrix.reference[place]), float(producers[place]), None]
    table["Total"] = [*map(float, matrix.classified), float(matrix.total), None, None]
    table["U_Accuracy"] = [*map(float, matrix.users_accuracy), None, matrix.accuracy, None]
    table["Kappa"] = [None] * (count + 2) + [matrix.kappa]
    table["IoU"] = [*map(float, matrix.iou), None, None, None]
    table["F1"] = [*map(float, matrix.f1), None, None, None]
    return table


def _pixel_area(grid: Grid) -> tuple[float, str]:
    """Area of a pixel, and its unit: hectares where the system is in metres or feet, else pixels."""
    if grid.crs is None or not grid.crs.is_projected:
        return 1.0, "pixels"
    metres = grid.crs.linear_units_factor[1]
    return abs(grid.transform.determinant) * metres**2 / 10_000, "ha"


def area_table(
    matrix: ConfusionMatrix, estimates: Estimates, mapped: np.ndarray, grid: Grid, name: Name
) -> dict[str, list[Any]]:
    """Areas and accuracies of each class with the half widths of their 95 % intervals; last, of all."""
    pixel, unit = _pixel_area(grid)
    whole = float(mapped.sum()) * estimates.covered * pixel

    def cells(values: np.ndarray, scale: float, last: float) -> list[float]:
        return [*(np.asarray(values, dtype=float) * scale).tolist(), last]

    nothing = float("nan")
    return {
        "ClassValue": [*(f"c_{value}" for value in matrix.values), "All"],
        "Class": [*(name(value) for value in matrix.values), "All classes"],
        "Unit": [unit] * (len(matrix.values) + 1),
        "Mapped_Area": cells(mapped, pixel, float(mapped.sum()) * pixel),
        "Area": cells(estimates.area, whole, whole),
        "Area_CI95": cells(estimates.area_error, whole * NORMAL_95, nothing),
        "U_Accuracy": cells(estimates.users, 1, nothing),
        "U_CI95": cells(estimates.users_error, NORMAL_95, nothing),
        "P_Accuracy": cells(estimates.producers, 1, nothing),
        "P_CI95": cells(estimates.producers_error, NORMAL_95, nothing),
        "Accuracy": [*[nothing] * len(matrix.values), estimates.accuracy],
        "Acc_CI95": [*[nothing] * len(matrix.values), estimates.accuracy_error * NORMAL_95],
    }


def make_report(
    facts: Mapping[str, str],
    matrix: ConfusionMatrix,
    estimates: Estimates,
    areas: Mapping[str, Sequence[Any]],
    name: Name,
    notes: Sequence[str],
) -> Report:
    """The report of a comparison."""
    iou = matrix.iou[np.isfinite(matrix.iou)]
    sections = [
        _class_section(matrix, name),
        _matrix_section(matrix, name),
        _area_section(matrix, estimates, areas, name),
    ]
    return Report(
        "Pixel classification accuracy",
        facts,
        {
            "overall accuracy": number(matrix.accuracy),
            "kappa": number(matrix.kappa),
            "mean IoU": number(float(iou.mean()) if iou.size else float("nan")),
            "area-adjusted accuracy": number(estimates.accuracy),
        },
        sections,
        notes,
    )


def _class_section(matrix: ConfusionMatrix, name: Name) -> Section:
    measures = (matrix.users_accuracy, matrix.producers_accuracy, matrix.f1, matrix.iou)
    rows = [
        [
            name(value), str(value), *(number(float(measure[place])) for measure in measures),
            f"{int(matrix.classified[place]):,}", f"{int(matrix.reference[place]):,}",
        ]
        for place, value in enumerate(matrix.values)
    ]  # fmt: skip
    return Section(
        "Classes",
        "User's accuracy (precision) is the share of the pixels classified as a class that truly are it; "
        "producer's accuracy (recall) is the share of the pixels of a class that are classified as it. IoU "
        "is the number of pixels in both divided by the number in either.",
        ("Class", "Value", "User's", "Producer's", "F1", "IoU", "Classified", "Reference"),
        rows,
    )


def _matrix_section(matrix: ConfusionMatrix, name: Name) -> Section:
    head = ["Classified", *(name(value) for value in matrix.values), "Total"]
    rows = [
        [name(value), *(f"{int(n):,}" for n in matrix.counts[place]), f"{int(matrix.classified[place]):,}"]
        for place, value in enumerate(matrix.values)
    ]
    rows.append(["Total", *(f"{int(n):,}" for n in matrix.reference), f"{matrix.total:,}"])
    text = "Rows are what the class raster says, columns what the reference says, in pixels."
    figure = _draw_matrix(matrix, [name(value) for value in matrix.values])
    if len(matrix.values) > _READABLE:
        return Section("Confusion matrix", text + " The table is in the file of the matrix.", figure=figure)
    return Section("Confusion matrix", text, head, rows, figure)


def _area_section(
    matrix: ConfusionMatrix, estimates: Estimates, areas: Mapping[str, Sequence[Any]], name: Name
) -> Section:
    def pair(value: float, half: float, digits: int) -> str:
        return "–" if value != value else f"{value:,.{digits}f} ± {number(half, digits)}"

    rows = [
        [
            name(value), f"{areas['Mapped_Area'][k]:,.2f}",
            pair(areas["Area"][k], areas["Area_CI95"][k], 2),
            pair(areas["U_Accuracy"][k], areas["U_CI95"][k], 3),
            pair(areas["P_Accuracy"][k], areas["P_CI95"][k], 3),
        ]
        for k, value in enumerate(matrix.values)
    ]  # fmt: skip
    unit = areas["Unit"][0]
    overall = pair(estimates.accuracy, estimates.accuracy_error * NORMAL_95, 4)
    return Section(
        "Area-adjusted estimates",
        "What the areas and accuracies of the whole map are, estimated from the compared pixels as a "
        "random sample of each mapped class, with 95 % confidence intervals (Olofsson et al. 2014). The "
        "intervals hold where the pixels or points were drawn at random; those of neighbouring pixels, such "
        f"as all pixels of a few polygons, are too narrow. Overall accuracy: {overall}.",
        ("Class", f"Mapped ({unit})", f"Estimated ({unit})", "User's", "Producer's"),
        rows,
    )


def _draw_matrix(matrix: ConfusionMatrix, names: Sequence[str]) -> Figure:
    """The matrix in shares of each reference class."""
    count = len(names)
    side = float(np.clip(0.6 * count + 2.4, 4.5, 11))
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    axes = figure.subplots()
    sums = matrix.reference[None, :]
    shares = np.divide(matrix.counts, sums, out=np.zeros(matrix.counts.shape), where=sums > 0)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= _READABLE:
        for row, column in np.argwhere(matrix.counts >= 0).tolist():
            share = shares[row, column]
            color = "white" if share > 0.55 else _INK
            axes.text(
                column, row, f"{100 * share:.0f}", ha="center", va="center", color=color,
                fontsize=float(np.clip(120 / count, 5, 9)),
            )  # fmt: skip
        axes.set_xticks(range(count), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(count), names)
    axes.set_xlabel("reference")
    axes.set_ylabel("classified")
    axes.set_title("Confusion matrix, % of each reference class", color=_INK, fontsize=11)
    figure.colorbar(image, ax=axes, shrink=0.75)
    return figure
