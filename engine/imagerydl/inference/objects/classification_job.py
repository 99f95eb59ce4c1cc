"""A Classify Objects job from its values to the published layer or table."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from ... import outputs
from ...errors import DataError, ModelError
from ...events import Reporter
from ...imagery.grid import Grid
from ...imagery.layer_style import save_layer_style
from ...imagery.source import RasterSource, open_source
from ...imagery.transforms import compose
from ...labels.geometry import is_pixel_space, layer_on, mapped, transformed
from ...labels.image_names import ImageNames
from ...labels.image_space import image_field, image_names
from ..items import Item, raster_items
from ..sources import report_damage
from .classifier import Labels, ObjectClassifier, surrounding
from .feature_table import LAYER, FeatureTable, write_features
from .style import object_style

if TYPE_CHECKING:
    from ...jobs import Job

CONFIDENCE, OTHER_CONFIDENCE = "Confidence", "ClassConfidence"

#: Fields of a result without features.
IMAGE_ID, IMAGE = "ImageID", "Image"

#: Times an image may be larger than a chip before it is read at a coarser resolution.
_COARSER = 1.5

#: Features told by number in a message.
_TOLD = 10


def run_object_classification(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run a job of the tool Classify Objects; returns its outputs and results."""
    target = Path(job["OUT_FEATURE_CLASS"])
    outputs.ensure_free(target, job["OVERWRITE"])
    with ExitStack() as stack:
        items = _items(job, stack)
        classifier = ObjectClassifier(job, reporter)
        stack.callback(classifier.close)
        kind = _OfFeatures if job["IN_FEATURES"] else _OfImages
        run = kind(job, classifier, items, reporter)
        run.classify()
        staging = stack.enter_context(outputs.staged(target, job["OVERWRITE"]))
        run.write(staging)
    return {"OUT_FEATURE_CLASS": str(target), "CLASSIFIED": run.count}


def _items(job: Job, stack: ExitStack) -> list[Item]:
    if not job["IN_IMAGE_FEATURES"]:
        return raster_items(job.values)
    from ..image_features import read_image_features

    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="imagerydl-"))
    return list(read_image_features(job["IN_IMAGE_FEATURES"], job["IMAGE_FIELD"], Path(folder)).items)


class _Classification:
    """Objects on their way from images to a layer."""

    def __init__(self, job: Job, classifier: ObjectClassifier, items: list[Item], reporter: Reporter) -> None:
        self._job, self._classifier, self._items, self._reporter = job, classifier, items, reporter
        self._names = np.empty(0, dtype=object)
        self._confidences = np.empty(0)

    @property
    def count(self) -> int:
        """Objects that got a class; of several classes, those that were looked at."""
        return int(sum(name is not None for name in self._names))

    def _make_room(self, count: int) -> None:
        self._names = np.full(count, None, dtype=object)
        multi = self._classifier.is_multi_label
        self._confidences = np.full(count, None, dtype=object) if multi else np.full(count, np.nan)

    def _keep(self, labels: Labels, places: np.ndarray) -> None:
        self._names[places[labels.places]] = labels.names
        self._confidences[places[labels.places]] = labels.confidences

    def _open(self, item: Item, cell_size: Optional[float] = None) -> RasterSource:
        return open_source(
            item.images,
            extent=self._job["EXTENT"],
            cell_size=cell_size or self._job["CELL_SIZE"] or None,
            north_up=self._classifier.wants_map_space,
            skip_damaged=True,
        )

    def _each_item(self) -> None:
        """Classify the objects of every item; one of several that cannot be read is listed and left out."""
        failed: dict[str, str] = {}
        for number, item in enumerate(self._items):
            try:
                self._classify_item(number, item)
            except (DataError, ModelError) as error:
                if len(self._items) == 1:
                    raise
                failed[item.name] = error.message
                self._reporter.warning(f"{item.name} is left out: {error.message}")
        if len(failed) == len(self._items):
            name, reason = next(iter(failed.items()))
            raise DataError(f"None of the {len(failed)} images could be used; {name}: {reason}")

    def _classify_item(self, number: int, item: Item) -> None:
        raise NotImplementedError

    def _write(
        self,
        path: Path,
        geometries: Optional[np.ndarray],
        columns: dict[str, np.ndarray],
        masks: list[Optional[np.ndarray]],
        crs: Optional[CRS],
    ) -> None:
        field = self._job["CLASS_LABEL_FIELD"]
        taken = {name.lower() for name in (*columns, field)}
        confidence = CONFIDENCE if CONFIDENCE.lower() not in taken else OTHER_CONFIDENCE
        columns = {**columns, field: self._names, confidence: self._confidences}
        missing = np.array([name is None for name in self._names], dtype=bool)
        write_features(path, geometries, columns, [*masks, None, missing if missing.any() else None], crs)
        if path.suffix.lower() == ".gpkg" and geometries is not None and not self._classifier.is_multi_label:
            names = [entry.name for entry in self._classifier.classes]
            style = object_style(self._classifier.classes, field, "", values=names)
            save_layer_style(path, LAYER, "classes", style, "Objects by class")


class _OfFeatures(_Classification):
    """Each feature of a layer is an object."""

    def classify(self) -> None:
        self._table = table = FeatureTable(self._job["IN_FEATURES"])
        self._make_room(len(table))
        self._outlines = table.geometries.copy()
        self._waiting = ~shapely.is_missing(table.geometries)
        self._total = int(self._waiting.sum())
        self._outside = self._waiting.copy()
        self._image_of = self._find_images()
        self._each_item()
        self._report()

    def _classify_item(self, number: int, item: Item) -> None:
        with self._open(item) as source:
            places = np.flatnonzero(self._waiting & self._belongs(item))
            shapes = layer_on(
                self._table, self._table.geometries[places], source.grid, self._reporter.message
            )
            shapes = mapped(shapes, ~source.grid.transform)
            boxes = shapely.bounds(shapes).reshape(-1, 4)
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2
            inside = ((centres >= 0) & (centres < (source.grid.width, source.grid.height))).all(axis=1)
            windows = self._classifier.form.windows(shapes)
            windows[~inside, 2:] = -1
            self._outside[places[inside]] = False
            note = "" if len(self._items) == 1 else f"image {number + 1} of {len(self._items)}"
            for labels in self._classifier.classify(source, shapes, windows):
                self._keep(labels, places)
                done = places[labels.places]
                self._waiting[done] = False
                self._surround(done, windows[labels.places], source.grid)
                count = self._total - int(self._waiting.sum())
                self._reporter.progress("Classifying objects", count, self._total, "objects", note)
            report_damage(source.damage, "it counts as no data", self._reporter)

    def _belongs(self, item: Item) -> np.ndarray:
        """Which features may lie on an item: of several images, those that a field Image gives to it."""
        if self._image_of is None:
            return np.ones(len(self._table), dtype=bool)
        return self._image_of == item.images[0]

    def _find_images(self) -> Optional[np.ndarray]:
        """The image each feature lies on, None for one that is not here; None where all may lie anywhere."""
        fields = self._table.fields
        field = image_field(fields, None, self._table.crs is not None, self._table.name, "IN_FEATURES")
        if not field or len(self._items) == 1:
            return None
        finder = ImageNames([item.images[0] for item in self._items])
        cells = image_names(self._table.columns[fields.index(field)])
        means = {name: finder.find(name, self._table.name) for name in dict.fromkeys(cells)}
        return np.array([*(means[name] for name in cells), None], dtype=object)[:-1]

    def _surround(self, places: np.ndarray, windows: np.ndarray, grid: Grid) -> None:
        """Points and lines come out as the ground that their chip shows."""
        thin = shapely.get_dimensions(self._table.geometries[places]) < 2
        if not thin.any():
            return
        transform = grid.transform
        if grid.crs is None and is_pixel_space(grid) and self._lies_below():
            transform = compose(Affine.scale(1, -1), transform)
        polygons = mapped(surrounding(windows[thin]), transform)
        if grid.crs is not None and self._table.crs not in (None, grid.crs):
            polygons = transformed(grid.crs, self._table.crs, polygons)
        self._outlines[places[thin]] = polygons

    def _lies_below(self) -> bool:
        return shapely.total_bounds(self._table.geometries)[1] < 0

    def _report(self) -> None:
        table = self._table
        reasons = (
            (shapely.is_missing(table.geometries), "have no geometry"),
            (self._waiting & self._outside, "lie outside the imagery"),
            (self._waiting & ~self._outside, "lie where the imagery has no data"),
        )
        for which, reason in reasons:
            numbers = table.fids[which].tolist()
            if numbers:
                told = ", ".join(map(str, numbers[:_TOLD])) + (", ..." if len(numbers) > _TOLD else "")
                self._reporter.warning(
                    f"{len(numbers)} features of {table.name} {reason} and get no class (FID {told})."
                )
        if table.repaired:
            self._reporter.message(f"{table.repaired} invalid geometries of {table.name} were repaired.")
        self._reporter.message(f"{self.count} of {len(table)} features were classified.")

    def write(self, path: Path) -> None:
        columns, masks = self._table.stored(without=self._job["CLASS_LABEL_FIELD"])
        geometries = self._outlines.copy()
        # A layer of polygons cannot hold what was passed over as a point or line.
        geometries[shapely.get_dimensions(geometries) < 2] = None
        self._write(path, geometries, columns, masks, self._table.crs)


class _OfImages(_Classification):
    """Each image is an object."""

    def classify(self) -> None:
        self._make_room(len(self._items))
        self._grids: list[Optional[Grid]] = [None] * len(self._items)
        self._each_item()
        self._reporter.message(f"{self.count} of {len(self._items)} images were classified.")

    def _classify_item(self, number: int, item: Item) -> None:
        with self._open(item) as whole:
            grid = self._grids[number] = whole.grid
        height, width = self._classifier.form.size
        factor = max(grid.width / width, grid.height / height)
        # An image is brought to the size of a chip while it is read: it may be of any size.
        cell = max(grid.cell_size) * factor if factor > _COARSER else None
        with self._open(item, cell) as source:
            shapes = np.full(1, None, dtype=object)
            windows = np.array([[0, 0, source.grid.width, source.grid.height]])
            for labels in self._classifier.classify(source, shapes, windows):
                self._keep(labels, np.array([number]))
        if self._names[number] is None:
            self._reporter.warning(f"{item.name} has no valid pixel and gets no class.")
        self._reporter.progress("Classifying images", number + 1, len(self._items), "images")

    def write(self, path: Path) -> None:
        kept = np.array([grid is not None for grid in self._grids])
        self._names, self._confidences = self._names[kept], self._confidences[kept]
        names = np.empty(int(kept.sum()), dtype=object)
        names[:] = [item.name for item, there in zip(self._items, kept) if there]
        columns = {IMAGE_ID: np.flatnonzero(kept) + 1, IMAGE: names}
        grids = [grid for grid in self._grids if grid is not None]
        crs = next((grid.crs for grid in grids if grid.crs is not None), None)
        geometries = None
        if any(grid.is_georeferenced for grid in grids):
            geometries = np.full(len(grids), None, dtype=object)
            geometries[:] = [_outline(grid, crs) for grid in grids]
        self._write(path, geometries, columns, [None, None], crs)


def _outline(grid: Grid, crs: Optional[CRS]) -> Optional[shapely.Polygon]:
    """The ground of an image; None where it is not known in the layer's system."""
    if not grid.is_georeferenced or (grid.crs is None) != (crs is None):
        return None
    outline = np.array([shapely.Polygon(grid.corners)], dtype=object)
    return outline[0] if grid.crs == crs else transformed(grid.crs, crs, outline)[0]
