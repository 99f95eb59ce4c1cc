"""What Detect Objects and Classify Objects cost beside their model alone.

The bare side is the model fed from memory with the same tiles or chips, in the same batches, on the
same threads; nothing is read, joined or written. Both sides do the same work in turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from town import make_scene, write_scene

from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job
from imagerydl.labels.geometry import read_layer
from imagerydl.models.definition import load_definition
from imagerydl.models.runtimes import own_chip_classification, own_detection
from imagerydl.models.runtimes.detection import DetectionModel
from imagerydl.models.runtimes.devices import choose_device
from imagerydl.models.runtimes.options import RunOptions

#: Pixels a side of the scene, of a tile and of a chip; tiles and chips a batch.
SCENE, TILE, CHIP, BATCH, CHIP_BATCH = 3072, 256, 64, 4, 32

#: Pixels that tiles share with their neighbours.
PADDING = 32

#: Objects found in a tile: what a network that has hardly learnt reports without end is cut to.
CROWD = 20

LEAST = 0.9


class Watch(Reporter):
    """Notes when the first batch was done, and how much that was."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.stage, self.start, self.first, self.total = stage, 0.0, 0, 0

    def progress(self, stage: str, done: float, total: float = 0, *rest: Any, **more: Any) -> None:
        """The stage that counts tiles or objects is the one to watch."""
        if stage == self.stage and done:
            if not self.start:
                self.start, self.first = time.perf_counter(), int(done)
            self.total = int(total)

    def rate(self) -> float:
        """Units a second from the first batch to now."""
        return (self.total - self.first) / (time.perf_counter() - self.start)


def measure(folder: Path, rounds: int) -> Iterator[tuple[str, float, str, bool]]:
    """Yield (name, value, target, reached)."""
    write_scene(make_scene(SCENE, SCENE, seed=5), folder, "scene")
    raster, labels = folder / "scene.tif", folder / "scene.gpkg"
    for name, compare in (
        ("Detect Objects", compare_detection),
        ("Classify Objects", compare_classification),
    ):
        ratio = statistics.median(compare(folder, raster, labels, rounds))
        yield f"{name}, times the rate of its model in memory", ratio, f"at least {LEAST}", ratio >= LEAST


def compare_detection(folder: Path, raster: Path, labels: Path, rounds: int) -> Iterator[float]:
    """The tool's tiles a second over the model's."""
    model = train(folder, raster, labels, "PASCAL_VOC_rectangles", TILE, "FCOS")
    definition = load_definition(model)
    with rasterio.open(raster) as dataset:
        picture = definition.normalisation.apply(dataset.read()[None])[0]
    step = TILE - 2 * PADDING
    starts = [(y, x) for y in range(0, SCENE - TILE, step) for x in range(0, SCENE - TILE, step)]
    tiles = [picture[:, y : y + TILE, x : x + TILE] for y, x in starts]
    valid = np.ones((BATCH, TILE, TILE), bool)
    threshold = crowd_threshold(open_detector(model, 0.0), tiles[:: len(tiles) // 8])
    detector = open_detector(model, threshold)
    values = {
        "IN_RASTER": [str(raster)],
        "IN_MODEL_DEFINITION": model,
        "MODEL_ARGUMENTS": f"padding {PADDING};batch_size {BATCH};threshold {threshold}",
        "OUT_DETECTED_OBJECTS": str(folder / "objects.gpkg"),
        "DEVICE": "CPU",
    }
    for _ in range(rounds):
        bare = bare_rate(tiles, BATCH, lambda batch: detector.detect(batch, valid[: len(batch)]))
        yield tool_rate("detectobjects", "Detecting objects", values) / bare
    detector.close()


def open_detector(model: str, threshold: float) -> DetectionModel:
    """The model on the processor, reporting from a score on."""
    options = RunOptions(choose_device("CPU"), arguments={"threshold": str(threshold)})
    return own_detection.open_detection_model(load_definition(model), options)


def crowd_threshold(detector: DetectionModel, tiles: Sequence[np.ndarray]) -> float:
    """The score that :data:`CROWD` objects a tile reach."""
    valid = np.ones((1, TILE, TILE), bool)
    scores = np.concatenate([detector.detect(tile[None], valid)[0].scores for tile in tiles])
    detector.close()
    return float(np.sort(scores)[-CROWD * len(tiles)])


def compare_classification(folder: Path, raster: Path, labels: Path, rounds: int) -> Iterator[float]:
    """The tool's objects a second over the model's; each feature of the scene is one."""
    model = train(folder, raster, labels, "Labeled_Tiles", CHIP, "FEATURE_CLASSIFIER")
    definition = load_definition(model)
    classifier = own_chip_classification.open_chip_classifier(definition, RunOptions(choose_device("CPU")))
    with rasterio.open(raster) as dataset:
        picture = definition.normalisation.apply(dataset.read()[None])[0]
        centres = shapely.get_coordinates(shapely.centroid(read_layer(str(labels), "labels").geometries))
        columns, rows = (~dataset.transform) @ centres.T
    lefts, tops = (np.clip(part - CHIP / 2, 0, SCENE - CHIP).astype(int) for part in (columns, rows))
    chips = [picture[:, y : y + CHIP, x : x + CHIP] for y, x in zip(tops, lefts)]
    valid = np.ones((CHIP_BATCH, CHIP, CHIP), bool)
    values = {
        "IN_RASTER": [str(raster)],
        "IN_FEATURES": str(labels),
        "IN_MODEL_DEFINITION": model,
        "MODEL_ARGUMENTS": f"batch_size {CHIP_BATCH}",
        "OUT_FEATURE_CLASS": str(folder / "classes.gpkg"),
        "DEVICE": "CPU",
    }
    for _ in range(rounds):
        bare = bare_rate(
            chips, CHIP_BATCH, lambda batch: classifier.probabilities(batch, valid[: len(batch)])
        )
        yield tool_rate("classifyobjects", "Classifying objects", values) / bare
    classifier.close()


def train(folder: Path, raster: Path, labels: Path, form: str, size: int, model_type: str) -> str:
    """A model that has seen the scene once; what it has learnt does not matter."""
    chips = {
        "IN_RASTER": [str(raster)],
        "IN_CLASS_DATA": str(labels),
        "CLASS_VALUE_FIELD": "classvalue",
        "METADATA_FORMAT": form,
        "TILE_SIZE_X": size,
        "TILE_SIZE_Y": size,
        "STRIDE_X": 4 * size,
        "STRIDE_Y": 4 * size,
        "OUT_FOLDER": str(folder / form),
    }
    run("exporttrainingdata", Reporter(), chips)
    model = {
        "IN_FOLDER": [str(folder / form)],
        "OUT_FOLDER": str(folder / model_type),
        "MODEL_TYPE": model_type,
        "MAX_EPOCHS": 1,
        "DEVICE": "CPU",
    }
    return str(run("trainmodel", Reporter(), model)["OUT_MODEL_DEFINITION"])


def bare_rate(pieces: Sequence[np.ndarray], size: int, look: Callable[[np.ndarray], object]) -> float:
    """Pieces a second through the model alone; the first batch warms it up."""
    batches = [np.stack(pieces[start : start + size]) for start in range(0, len(pieces), size)]
    look(batches[0])
    started = time.perf_counter()
    for batch in batches:
        look(batch)
    return len(pieces) / (time.perf_counter() - started)


def tool_rate(tool: str, stage: str, values: dict[str, object]) -> float:
    """Tiles or objects a second, to the end of the run."""
    watch = Watch(stage)
    run(tool, watch, values)
    return watch.rate()


def run(tool: str, reporter: Reporter, values: dict[str, object]) -> dict[str, Any]:
    """Run a tool in this process."""
    return run_job(make_job(tool, {**values, "OVERWRITE": True}), reporter)
