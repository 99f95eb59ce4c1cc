"""A Compute Accuracy for Pixel Classification job: a class raster against reference data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import pyogrio
import shapely
from rasterio.windows import Window

from .. import outputs
from ..errors import DataError, ParameterError
from ..events import Reporter
from ..imagery.source import RasterSource, open_source
from ..imagery.styling import write_style
from ..imagery.transforms import apply
from ..imagery.writing import RasterWriter
from ..labels.classes import lenient_schema
from ..labels.rasters import strips
from ..labels.source import is_raster
from .area_estimates import Estimates, estimate
from .confusion import ConfusionMatrix, PairCounter, class_values
from .drawing import Draw, allocate
from .error_map import NOT_JUDGED, ErrorCodes
from .pixel_report import area_table, confusion_table, make_report
from .reference import FIELD_KEY, PolygonReference, RasterReference, Reference, Vectors, values_at
from .report import write_report
from .tables import write_table

if TYPE_CHECKING:
    from ..jobs import Job

OUTPUT_KEYS = (
    "OUT_CONFUSION_MATRIX", "OUT_ACCURACY_REPORT", "OUT_AREA_ESTIMATES", "OUT_ERROR_MAP", "OUT_SAMPLE_POINTS",
)  # fmt: skip


def run_pixel_accuracy(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run a job of the tool Compute Accuracy for Pixel Classification; returns its outputs and results."""
    overwrite = job["OVERWRITE"]
    for key in OUTPUT_KEYS:
        if job[key]:
            outputs.ensure_free(job[key], overwrite)
    notes: list[str] = []

    def say(text: str) -> None:
        notes.append(text)
        reporter.warning(text)

    with ExitStack() as stack:
        source = stack.enter_context(open_source(job["IN_RASTER"]))
        if source.count != 1:
            raise DataError(
                f"{source.name} has {source.count} bands.", "Give a class raster: one band of class values."
            )
        ignored = parse_values(job["IGNORE_CLASS_VALUES"])
        comparison = _Comparison(job, source, ignored, reporter, say, stack)
        matrix, mapped = comparison.count()
        estimates = estimate(matrix.counts, mapped)
        if estimates.covered < 1:
            say(
                f"Classes on {100 * (1 - estimates.covered):.3g} % of the map have no reference: "
                "the area estimates are for the rest."
            )
        name = comparison.name_of
        write_table(job["OUT_CONFUSION_MATRIX"], confusion_table(matrix), overwrite)
        table = area_table(matrix, estimates, mapped, source.grid, name)
        if job["OUT_AREA_ESTIMATES"]:
            write_table(job["OUT_AREA_ESTIMATES"], table, overwrite)
        if job["OUT_SAMPLE_POINTS"]:
            comparison.write_points(job["OUT_SAMPLE_POINTS"], overwrite)
        if job["OUT_ERROR_MAP"]:
            comparison.write_error_map(job["OUT_ERROR_MAP"], overwrite)
        if job["OUT_ACCURACY_REPORT"]:
            facts = {
                "Class raster": source.name,
                "Reference": comparison.reference_name,
                "Compared": comparison.described(matrix),
            }
            report = make_report(facts, matrix, estimates, table, name, notes)
            write_report(report, job["OUT_ACCURACY_REPORT"], overwrite)
    reporter.message(
        f"{matrix.total} pixels compared: accuracy {matrix.accuracy:.4f}, kappa {matrix.kappa:.4f}, "
        f"mean IoU {_mean(matrix.iou):.4f}."
    )
    return {**{key: job[key] for key in OUTPUT_KEYS}, **_results(matrix, estimates)}


def parse_values(text: Optional[str]) -> frozenset[int]:
    """Class values separated by blanks, commas or semicolons.

    Raises:
        ParameterError: For anything but whole numbers.
    """
    parts = str(text or "").replace(",", " ").replace(";", " ").split()
    try:
        return frozenset(int(part) for part in parts)
    except ValueError:
        raise ParameterError(
            f"IGNORE_CLASS_VALUES cannot be {text!r}.", "Give class values, as in 0;255."
        ) from None


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _results(matrix: ConfusionMatrix, estimates: Estimates) -> dict[str, Any]:
    values = {
        "ACCURACY": matrix.accuracy,
        "KAPPA": matrix.kappa,
        "MEAN_IOU": _mean(matrix.iou),
        "MEAN_F1": _mean(matrix.f1),
        "AREA_ADJUSTED_ACCURACY": estimates.accuracy,
        "COMPARED_PIXELS": matrix.total,
    }
    return {key: None if value != value else value for key, value in values.items()}


class _Comparison:
    """A class raster and what it is compared with."""

    def __init__(
        self,
        job: Job,
        source: RasterSource,
        ignored: frozenset[int],
        reporter: Reporter,
        say: Callable[[str], None],
        stack: ExitStack,
    ) -> None:
        self._source, self._ignored, self._reporter, self._say = source, ignored, reporter, say
        self._sampling, self._count = job["SAMPLING"], job["NUM_RANDOM_POINTS"]
        self._seed = job["SEED"]
        self._vectors: Optional[Vectors] = None
        self._reference: Optional[Reference] = None
        # Column, row, classified value, reference value of each sample pixel.
        self._samples: Optional[np.ndarray] = None
        self._all = ConfusionMatrix((), np.zeros((0, 0), dtype=np.int64))
        self._names: dict[int, str] = dict(source.categories or {})
        self._open(job["IN_GROUND_TRUTH_DATA"], job[FIELD_KEY], job["OUT_ERROR_MAP"])
        if self._reference is not None:
            stack.enter_context(closing(self._reference))
            self._names = {**self._reference.names, **self._names}
        if job["OUT_SAMPLE_POINTS"] and self._reference is not None and self._sampling == "ALL_PIXELS":
            raise ParameterError(
                "OUT_SAMPLE_POINTS needs a sample.", "Choose a sampling, or leave OUT_SAMPLE_POINTS out."
            )

    def _open(self, path: str, field: Optional[str], error_map: Optional[str]) -> None:
        if is_raster(path):
            self._reference = RasterReference(path, self._source.grid, self._source.name, self._say)
            return
        vectors = Vectors(path, field, self._source.categories or {}, self._say)
        if vectors.has_areas:
            self._reference = PolygonReference(vectors, self._source.grid, self._say)
            return
        self._vectors = vectors
        if self._sampling != "ALL_PIXELS":
            raise ParameterError(
                f"SAMPLING is {self._sampling} and {vectors.file.name} holds points, which are a sample.",
                "Leave SAMPLING at ALL_PIXELS: every point is compared.",
            )
        if error_map:
            raise ParameterError(
                f"OUT_ERROR_MAP needs a reference with an area; {vectors.file.name} holds points.",
                "Leave it out, or give polygons or a raster. OUT_SAMPLE_POINTS shows the points.",
            )

    @property
    def reference_name(self) -> str:
        return self._reference.name if self._reference is not None else self._vectors.file.name

    def name_of(self, value: int) -> str:
        """What to call a class."""
        return self._names.get(value) or str(value)

    def described(self, matrix: ConfusionMatrix) -> str:
        """How much was compared, in words."""
        if self._vectors is not None:
            return f"{matrix.total:,} points"
        if self._sampling == "ALL_PIXELS":
            return f"all {matrix.total:,} pixels known in both"
        kind = f"{self._sampling.lower().replace('_', ' ')} sample, seed {self._seed}"
        return f"{matrix.total:,} of {self._all.total:,} pixels known in both ({kind})"

    def count(self) -> tuple[ConfusionMatrix, np.ndarray]:
        """The confusion matrix, and the pixels of each of its classes in the whole class raster."""
        mapped = np.zeros(65536, dtype=np.int64)
        if self._vectors is not None:
            for window in self._progress(strips(self._source.grid), "Counting pixels"):
                data, valid = self._source.read(window)
                mapped += np.bincount(class_values(data[0][valid], self._source.name), minlength=65536)
            counter = self._count_points()
        else:
            counter = PairCounter()
            for _, classified, reference, _, shown in self._pairs("Comparing"):
                counter.add(classified, reference)
                mapped += np.bincount(shown, minlength=65536)
        mapped[list(self._ignored)] = 0
        # A class of the map that meets no reference still has an area.
        present = np.flatnonzero(mapped).tolist()
        self._all = matrix = counter.matrix(present)
        if not matrix.total:
            raise DataError(
                f"{self._source.name} and {self.reference_name} have no pixel with data in common.",
                "Check that they lie in the same place, and their coordinate systems.",
            )
        if self._sampling != "ALL_PIXELS":
            matrix = self._draw().matrix(matrix.values)
        return matrix, mapped[list(matrix.values)]

    def _count_points(self) -> PairCounter:
        pixels, truth = self._vectors.points(self._source.grid, self._say)
        values, valid = values_at(self._source, pixels)
        if not valid.all():
            self._say(f"{int((~valid).sum())} points lie where {self._source.name} has no data.")
        valid &= ~np.isin(truth, list(self._ignored)) & ~np.isin(values, list(self._ignored))
        self._samples = np.column_stack([pixels, values, truth])[valid]
        counter = PairCounter()
        counter.add(values[valid], truth[valid].astype(np.uint16))
        return counter

    def _pairs(self, stage: str) -> Iterator[tuple[Window, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Both rasters, window by window.

        Yields:
            The window, classified and reference values of the pixels known in both ``[n]``, which those
            are ``[h, w]``, and the classified values of all pixels with data.
        """
        ignored = np.array(sorted(self._ignored))
        for window in self._progress(self._reference.windows(), stage):
            data, valid = self._source.read(window)
            reference, known = self._reference.read(window)
            both = valid & known
            if len(ignored):
                both &= ~np.isin(data[0], ignored) & ~np.isin(reference, ignored)
            shown = class_values(data[0][valid], self._source.name)
            classified = shown if both.all() else class_values(data[0][both], self._source.name)
            yield window, classified, class_values(reference[both], self._reference.name), both, shown

    def _progress(self, windows: Iterator[Window], stage: str) -> Iterator[Window]:
        grid = self._source.grid
        done, total = 0, grid.width * grid.height
        for window in windows:
            self._reporter.progress(stage, done, total, "pixels")
            yield window
            done += window.width * window.height
        self._reporter.progress(stage, total, total, "pixels")

    def _draw(self) -> PairCounter:
        """Count a random sample, in a second pass."""
        pixels = {value: int(n) for value, n in zip(self._all.values, self._all.classified) if n}
        random = np.random.default_rng(self._seed)
        if self._sampling == "RANDOM":
            draws: Mapping[Optional[int], Draw] = {None: Draw(self._all.total, self._count, random)}
        else:
            wanted = allocate(self._sampling, self._count, pixels)
            draws = {value: Draw(n, wanted[value], random) for value, n in pixels.items()}
        counter, parts = PairCounter(), []
        for window, classified, reference, both, _ in self._pairs("Sampling"):
            taken = [np.empty(0, dtype=np.intp)]
            for value, draw in draws.items():
                members = np.arange(len(classified)) if value is None else np.flatnonzero(classified == value)
                taken.append(members[draw.take(len(members))])
            chosen = np.sort(np.concatenate(taken))
            if len(chosen):
                counter.add(classified[chosen], reference[chosen])
                rows, columns = np.unravel_index(np.flatnonzero(both)[chosen], both.shape)
                places = columns + window.col_off, rows + window.row_off
                parts.append(np.column_stack([*places, classified[chosen], reference[chosen]]))
        self._samples = np.concatenate(parts).astype(np.int64)
        return counter

    def write_points(self, path: str, overwrite: bool) -> None:
        """Write the sample as points at the centres of their pixels."""
        columns, rows, classified, reference = self._samples.T
        x, y = apply(self._source.grid.transform, columns + 0.5, rows + 0.5)
        fields = {
            "Classified": classified,
            "GrndTruth": reference,
            "Right": (classified == reference).astype(np.int32),
            "ClassName": np.array([self.name_of(value) for value in classified.tolist()], dtype=object),
            "TruthName": np.array([self.name_of(value) for value in reference.tolist()], dtype=object),
        }
        crs = self._source.grid.crs
        with outputs.staged(path, overwrite) as staging:
            pyogrio.raw.write(
                staging,
                shapely.to_wkb(shapely.points(x, y)),
                list(fields.values()),
                list(fields),
                geometry_type="Point",
                crs=crs.to_wkt() if crs else None,
                layer="samples",
            )

    def write_error_map(self, path: str, overwrite: bool) -> None:
        """Write the error map of all pixels known in both."""
        codes = ErrorCodes(self._all, self.name_of)
        classes = lenient_schema(codes.classes.with_colors())
        with (
            outputs.staged(path, overwrite) as staging,
            RasterWriter(
                staging, self._source.grid, codes.dtype, nodata=NOT_JUDGED, classes=classes
            ) as writer,
        ):
            for window, classified, reference, both, _ in self._pairs("Drawing the error map"):
                writer.write(codes.encode(classified, reference, both), window)
        write_style(path, classes)
