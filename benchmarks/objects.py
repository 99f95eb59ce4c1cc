"""Detectors and the classifier of chips on real imagery, through the tools.

    make bench-objects DATA=../shared/data [ONLY=cars]

* cells: blood cells in photographs (BCCD), three kinds; a random fifth of the photographs is held out.
* kinds: the classifier on the boxes of the same photographs, the same ones held out.
* cars: aerial frames of one sequence (KIT AIS); another sequence, of another street, is held out.
* toy: a drawn scene that a detector must learn by heart.
* buildings: footprints (Kampala) as a class of pixels, from export to class raster; one cell is held out.

Everything starts from random weights. Prints what is reached on what was held out beside what is
wanted; about an hour on two cores. Exits with 1 where a number is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import rasterize
from rasterio.warp import transform_geom

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "engine"))

from imagerydl.chips.box_files import Annotation, checked_box  # noqa: E402 - found through the line above
from imagerydl.events import Reporter, terminal_sink  # noqa: E402
from imagerydl.jobs import make_job, run_job  # noqa: E402
from imagerydl.models.definition import load_definition  # noqa: E402
from imagerydl.models.runtimes import own_chip_classification, own_detection  # noqa: E402
from imagerydl.models.runtimes.devices import choose_device  # noqa: E402
from imagerydl.models.runtimes.options import RunOptions  # noqa: E402
from imagerydl.training.detection_metrics import (  # noqa: E402
    DetectionScores,
    ImageObjects,
    score_detections,
)

OUTPUT = ROOT / "build" / "bench-objects"

#: Score from which on a detection counts towards average precision.
LOWEST = 0.03

SEED = 7

#: Which of the cells with footprints, by name, is held out.
HELD_OUT_CELL = 1

#: Metres of the pixels that footprints are learnt in.
FOOTPRINT_CELL = 0.3


@dataclass(frozen=True)
class Picture:
    """An image and its objects.

    Attributes:
        name: Of the file.
        pixels: ``[bands, h, w]``.
        boxes: ``[m, 4]``.
        labels: ``[m]``, positions of classes.
    """

    name: str
    pixels: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder with the data sets in it")
    parser.add_argument("--only", choices=tuple(BENCHMARKS), help="one of them")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    data = Path(given.data).resolve()
    lines = []
    for name in [given.only] if given.only else BENCHMARKS:
        folder, run = BENCHMARKS[name]
        if not (data / folder).is_dir():
            print(f"{name}: left out, {data / folder} is not there")
            continue
        started = time.monotonic()
        for title, reached, wanted in run(data / folder, given.output / name):
            minutes = (time.monotonic() - started) / 60
            lines.append((f"{name}: {title}", reached, wanted, minutes))
    print(f"\n{'':44}{'reached':>9}{'wanted':>9}{'minutes':>9}")
    for title, reached, wanted, minutes in lines:
        mark = "" if reached >= wanted else "  MISSED"
        print(f"{title:44}{reached:9.3f}{wanted:9.2f}{minutes:9.1f}{mark}")
    return 0 if lines and all(reached >= wanted for _, reached, wanted, _ in lines) else 1


def bench_cells(folder: Path, output: Path) -> Iterable[tuple[str, float, float]]:
    """Blood cells: mean average precision on a held-out fifth."""
    learnt, held_out = held_out_fifth(read_cells(folder))
    write_chips(output / "chips", learnt, CELLS)
    model = train(output, "FCOS", MAX_EPOCHS=8)
    scores = detect(model, held_out)
    for name, value in zip(CELLS, scores.ap50):
        print(f"  {name}: AP50 {value:.3f}")
    yield "mAP50, held-out fifth", scores.map50, 0.75


def bench_kinds(folder: Path, output: Path) -> Iterable[tuple[str, float, float]]:
    """The classifier on the boxes of the blood cells."""
    learnt, held_out = held_out_fifth(read_cells(folder))
    pieces = [piece for picture in learnt for piece in cut_out(picture)]
    write_chips(output / "chips", pieces, CELLS, "Labeled_Tiles")
    model = train(output, "FEATURE_CLASSIFIER", BATCH_SIZE=16, MAX_EPOCHS=4)
    definition = load_definition(model)
    classifier = own_chip_classification.open_chip_classifier(definition, RunOptions(choose_device("CPU")))
    truth, found = [], []
    for picture in held_out:
        for piece in cut_out(picture):
            batch = definition.normalisation.apply(piece.pixels[None])
            valid = np.ones((1, *piece.pixels.shape[1:]), bool)
            found.append(int(classifier.probabilities(batch, valid)[0].argmax()))
            truth.append(int(piece.labels[0]))
    true, seen = np.array(truth), np.array(found)
    yield "accuracy", float((true == seen).mean()), 0.95
    white = CELLS.index("WBC")
    both = ((true == white) & (seen == white)).sum()
    yield "F1 of WBC", float(2 * both / ((true == white).sum() + (seen == white).sum())), 0.90


def bench_cars(folder: Path, output: Path) -> Iterable[tuple[str, float, float]]:
    """Cars: average precision on whole frames of another sequence."""
    frames = read_cars(folder)
    learnt = [frame for frame in frames if frame.pixels.shape[2] > 1000]
    held_out = [frame for frame in frames if frame.pixels.shape[2] <= 1000]
    write_chips(output / "chips", [tile for frame in learnt for tile in tiles(frame, 224, 160)], ("car",))
    # Streets of the held-out sequence run in other directions.
    varied = {
        "rotate": "45;0.7",
        "dihedral": "1.0",
        "zoom": "(0.75,1.35);0.7",
        "brightness": "(0.35,0.65);0.7",
        "contrast": "(0.75,1.3);0.7",
    }
    model = train(output, "FCOS", MAX_EPOCHS=16, AUGMENTATION="CUSTOM", AUGMENTATION_PARAMETERS=varied)
    yield "AP50, another sequence", detect(model, held_out).map50, 0.60


def bench_toy(folder: Path, output: Path) -> Iterable[tuple[str, float, float]]:
    """A drawn scene: every object right, and nothing else."""
    scene = read_toy(folder / "object_detection")
    write_chips(output / "chips", list(tiles(scene, 300, 100)), TOY)
    model = train(output, "FCOS", MAX_EPOCHS=50, BATCH_SIZE=4)
    definition = load_definition(model)
    scores = detect(model, [scene])
    threshold = float(definition.model_parameters["threshold"])
    for name, result in zip(TOY, scores.classes):
        precision, recall, f1 = result.at(threshold)
        yield f"precision of {name}", precision, 1.0
        yield f"recall of {name}", recall, 1.0
        yield f"F1 of {name}", f1, 1.0


def bench_buildings(folder: Path, output: Path) -> Iterable[tuple[str, float, float]]:
    """Building footprints: overlap of the pixels called building on a held-out cell.

    The imagery is four times finer than a roof needs; at 0.3 m a chip shows houses with what is around
    them, which counts for more.
    """
    cells = sorted((folder / "derived_mosaic").glob("*.tif"))
    held_out = cells.pop(HELD_OUT_CELL)
    output.mkdir(parents=True, exist_ok=True)
    labels = folder / "labels.geojson"
    chips = {
        "IN_RASTER": [str(path) for path in cells],
        "PROCESSING_MODE": "PROCESS_ITEMS_SEPARATELY",
        "IN_CLASS_DATA": str(labels),
        "METADATA_FORMAT": "Classified_Tiles",
        "TILE_SIZE_X": 128,
        "TILE_SIZE_Y": 128,
        "STRIDE_X": 24,
        "STRIDE_Y": 24,
        "CELL_SIZE": FOOTPRINT_CELL,
        "OUTPUT_NOFEATURE_TILES": True,
        "OUT_FOLDER": str(output / "chips"),
        "OVERWRITE": True,
    }
    run_tool("exporttrainingdata", chips)
    varied = {
        "rotate": "45;0.7",
        "dihedral": "1.0",
        "zoom": "(0.7,1.4);0.8",
        "brightness": "(0.3,0.7);0.8",
        "contrast": "(0.7,1.4);0.8",
    }
    model = train(
        output,
        "UNET",
        MAX_EPOCHS=60,
        STOP_TRAINING=False,
        AUGMENTATION="CUSTOM",
        AUGMENTATION_PARAMETERS=varied,
    )
    classified = str(output / "classified.tif")
    pixels = {
        "IN_RASTER": [str(held_out)],
        "IN_MODEL_DEFINITION": model,
        "OUT_CLASSIFIED_RASTER": classified,
        "CELL_SIZE": FOOTPRINT_CELL,
        "OVERWRITE": True,
    }
    run_tool("classifypixels", pixels)
    yield "pixel IoU, held-out cell", footprint_overlap(Path(classified), labels), 0.60


def footprint_overlap(classified: Path, labels: Path) -> float:
    """Intersection over union of class 1 and of the footprints."""
    with rasterio.open(classified) as dataset:
        found = dataset.read(1) == 1
        shapes = [
            transform_geom("EPSG:4326", dataset.crs, feature["geometry"])
            for feature in json.loads(labels.read_text(encoding="utf-8"))["features"]
        ]
        true = rasterize(shapes, found.shape, transform=dataset.transform) == 1
    return float((found & true).sum() / (found | true).sum())


CELLS = ("RBC", "WBC", "Platelets")
TOY = ("car", "building")

BENCHMARKS = {
    "cells": ("photo_bccd_cells", bench_cells),
    "kinds": ("photo_bccd_cells", bench_kinds),
    "cars": ("det_kit_ais_cars", bench_cars),
    "toy": ("synthetic_rastervision", bench_toy),
    "buildings": ("poly_fair_kampala_buildings", bench_buildings),
}


def train(output: Path, model_type: str, **values: object) -> str:
    """Train on the chips in ``output``; the model's definition."""
    job = {
        "IN_FOLDER": [str(output / "chips")],
        "OUT_FOLDER": str(output / "model"),
        "MODEL_TYPE": model_type,
        "BATCH_SIZE": 8,
        "OVERWRITE": True,
        **values,
    }
    return str(run_tool("trainmodel", job)["OUT_MODEL_DEFINITION"])


def run_tool(tool: str, values: dict[str, object]) -> dict[str, object]:
    """Run a tool in this process, its messages in the terminal."""
    return run_job(make_job(tool, values), Reporter(terminal_sink))


def detect(model: str, pictures: Sequence[Picture]) -> DetectionScores:
    """Run a detector over whole images, each as one tile."""
    definition = load_definition(model)
    options = RunOptions(choose_device("CPU"), arguments={"threshold": str(LOWEST)})
    detector = own_detection.open_detection_model(definition, options)
    truths, found = [], []
    for picture in pictures:
        batch = definition.normalisation.apply(picture.pixels[None])
        (seen,) = detector.detect(batch, np.ones((1, *picture.pixels.shape[1:]), bool))
        found.append(ImageObjects(seen.boxes, seen.classes, seen.scores))
        truths.append(ImageObjects(picture.boxes, picture.labels, np.ones(len(picture.labels))))
    threshold = float(definition.model_parameters["threshold"])
    return score_detections(truths, found, len(definition.classes), threshold)


def held_out_fifth(pictures: Sequence[Picture]) -> tuple[list[Picture], list[Picture]]:
    """What is learnt, and a random fifth that is not."""
    order = np.random.default_rng(SEED).permutation(len(pictures))
    fifth = len(pictures) // 5
    return [pictures[i] for i in order[fifth:]], [pictures[i] for i in order[:fifth]]


def read_pixels(path: Path) -> np.ndarray:
    """The first three bands of an image."""
    with rasterio.open(path) as dataset:
        return dataset.read((1, 2, 3))


def read_cells(folder: Path) -> list[Picture]:
    """Photographs with annotations in the form of PASCAL VOC; boxes without area are left out."""
    pictures = []
    for path in sorted((folder / "Annotations").glob("*.xml")):
        objects = [item for item in Annotation(path).objects if checked_box(item.sides, None)[1]]
        boxes = np.array([item.sides for item in objects]).reshape(-1, 4)
        labels = np.array([CELLS.index(item.name) for item in objects], int)
        pixels = read_pixels(folder / "JPEGImages" / f"{path.stem}.jpg")
        pictures.append(Picture(path.stem, pixels, boxes, labels))
    return pictures


def read_cars(folder: Path) -> list[Picture]:
    """Frames with the cars among their YOLO labels."""
    pictures = []
    for path in sorted(folder.glob("*.png")):
        pixels = read_pixels(path)
        height, width = pixels.shape[1:]
        rows = np.loadtxt(path.with_suffix(".txt"), ndmin=2)
        rows = rows[rows[:, 0] == 0]
        centres, halves = rows[:, 1:3] * (width, height), rows[:, 3:5] * (width, height) / 2
        boxes = np.hstack([centres - halves, centres + halves]).clip(0, (width, height, width, height))
        pictures.append(Picture(path.stem, pixels, boxes, np.zeros(len(boxes), int)))
    return pictures


def read_toy(folder: Path) -> Picture:
    """The drawn scene; its labels are polygons in the image's CRS."""
    with rasterio.open(folder / "image.tif") as dataset:
        pixels, to_pixels = dataset.read((1, 2, 3)), ~dataset.transform
    boxes, labels = [], []
    for feature in json.loads((folder / "labels.json").read_text(encoding="utf-8"))["features"]:
        corners = np.array([to_pixels @ tuple(xy) for xy in feature["geometry"]["coordinates"][0]])
        boxes.append([*corners.min(axis=0), *corners.max(axis=0)])
        labels.append(TOY.index(feature["properties"]["class_name"]))
    return Picture("scene", pixels, np.array(boxes), np.array(labels))


def tiles(picture: Picture, size: int, stride: int) -> Iterable[Picture]:
    """Pieces of an image, the last ones in each direction at its border, with half or more of an object."""
    height, width = picture.pixels.shape[1:]
    for top in sorted({*range(0, height - size, stride), height - size}):
        for left in sorted({*range(0, width - size, stride), width - size}):
            moved = picture.boxes - (left, top, left, top)
            cut = moved.clip(0, size)
            shares = (cut[:, 2:] - cut[:, :2]).prod(axis=1) / (moved[:, 2:] - moved[:, :2]).prod(axis=1)
            kept = shares >= 0.5
            if kept.any():
                pixels = picture.pixels[:, top : top + size, left : left + size]
                yield Picture(f"{picture.name}_{top}_{left}", pixels, cut[kept], picture.labels[kept])


def cut_out(picture: Picture, size: int = 64, margin: float = 0.15) -> Iterable[Picture]:
    """Each object with a little around it, brought to one size."""
    for number, ((left, top, right, bottom), label) in enumerate(zip(picture.boxes, picture.labels)):
        side = max(right - left, bottom - top) * (1 + 2 * margin)
        rows = ((top + bottom) / 2 + side * ((np.arange(size) + 0.5) / size - 0.5)).astype(int)
        columns = ((left + right) / 2 + side * ((np.arange(size) + 0.5) / size - 0.5)).astype(int)
        height, width = picture.pixels.shape[1:]
        pixels = picture.pixels[:, rows.clip(0, height - 1)][:, :, columns.clip(0, width - 1)]
        box = np.array([[0, 0, size, size]])
        yield Picture(f"{picture.name}_{number}", pixels, box, np.array([label]))


def write_chips(
    folder: Path,
    pictures: Sequence[Picture],
    classes: Sequence[str],
    metadata_format: str = "PASCAL_VOC_rectangles",
) -> None:
    """Write images of one size as an exported folder; class values count from 1."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path in (folder / name).iterdir():
            path.unlink()
    bands, height, width = pictures[0].pixels.shape
    for number, picture in enumerate(pictures):
        profile = {"driver": "GTiff", "dtype": "uint8", "count": bands, "height": height, "width": width}
        with rasterio.open(folder / "images" / f"{number:012d}.tif", "w", **profile) as dataset:
            dataset.write(picture.pixels)
        objects = "".join(
            f"<object><name>{label + 1}</name><bndbox><xmin>{box[0]:.2f}</xmin><ymin>{box[1]:.2f}</ymin>"
            f"<xmax>{box[2]:.2f}</xmax><ymax>{box[3]:.2f}</ymax></bndbox></object>"
            for label, box in zip(picture.labels.tolist(), picture.boxes.tolist())
        )
        size = f"<size><width>{width}</width><height>{height}</height></size>"
        text = f"<annotation>{size}{objects}</annotation>"
        (folder / "labels" / f"{number:012d}.xml").write_text(text, encoding="utf-8")
    values = np.concatenate([picture.pixels.reshape(bands, -1)[:, ::53] for picture in pictures], axis=1)
    stats = [
        {"Min": float(v.min()), "Max": float(v.max()), "Mean": float(v.mean()), "StdDev": float(v.std())}
        for v in values
    ]
    definition = {
        "MetaDataMode": metadata_format,
        "ImageHeight": height,
        "ImageWidth": width,
        "ImageSpaceUsed": "PIXEL_SPACE",
        "Classes": [{"Value": n, "Name": name, "Color": [-1, -1, -1]} for n, name in enumerate(classes, 1)],
        "InputRastersProps": {"RasterCount": 1, "SensorName": "Undefined", "BandNames": [""] * bands},
        "AllTilesStats": [{"BandName": "", **band} for band in stats],
    }
    (folder / "esri_model_definition.emd").write_text(json.dumps(definition), encoding="utf-8")
    sizes = {"NumBands": bands, "TileSizeX": width, "TileSizeY": height, "MetaDataMode": metadata_format}
    (folder / "esri_accumulated_stats.json").write_text(json.dumps(sizes), encoding="utf-8")


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    sys.exit(main())
