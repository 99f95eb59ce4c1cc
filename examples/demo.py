"""The main job from end to end, through QGIS: labels -> chips -> trained U-Net -> classified raster.

    make demo                                      a generated town
    make demo DATA=../shared/data/seg_dubai_mbrsc  aerial imagery of Dubai (the MBRSC data set)

Each step is what a user does in the Toolbox, run by ``qgis_process``. A part of the imagery is held
out of training; the numbers and the picture at the end are about that part.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from comparison import Comparison, Legend, draw
from town import CLASSES, class_schema, write_town

OUTPUT = Path(__file__).resolve().parent.parent / "build" / "demo"

#: Seconds between two lines of progress.
_EVERY = 10
_PROGRESS = re.compile(r"[\w ]+: \d+ of \d+ ")
#: The bar qgis_process draws, in the middle of which other lines begin.
_DOTS = re.compile(r"^[\d.]*\.[\d.]*(?=[A-Z]|$|\s)|^\d+(?=[A-Z])")
#: What qgis_process says of itself.
_OVERHEAD = (" - done", "<string>", "-----", "Inputs", "Results")

#: Classes of the MBRSC data set and the colours of its masks.
DUBAI_SCHEMA = """\
0, Unlabeled, #9B9B9B
1, Water, #E2A929
2, Land (unpaved area), #8429F6
3, Road, #6EC1E4
4, Building, #3C1098
5, Vegetation, #FEDD3A
"""


@dataclass
class Demo:
    """What the demo runs on.

    Attributes:
        export: Parameters of Export Training Data that say what is exported.
        tile: Side of the chips, pixels.
        stride: From one chip to the next, pixels.
        training: Parameters of Train Deep Learning Model beside the folders.
        held_out: The picture that is classified.
        truth: Its class values, uint8 ``[height, width]``; ``ignored`` is what nobody labelled.
        legend: value -> (name, colour).
        ignored: Values that are not counted.
    """

    export: dict[str, str]
    tile: int
    stride: int
    training: dict[str, str]
    held_out: Path
    truth: np.ndarray
    legend: Legend
    ignored: tuple[int, ...] = field(default=())


def town_demo() -> Demo:
    """A generated town; the polygons of one part are the labels, the other part is held out."""
    folder = OUTPUT / "town"
    say("Generating a town...")
    write_town(folder)
    with rasterio.open(folder / "held_out_classes.tif") as file:
        truth = file.read(1)
    return Demo(
        export={
            "IN_RASTER": str(folder / "train.tif"),
            "IN_CLASS_DATA": str(folder / "train.gpkg"),
            "CLASS_VALUE_FIELD": "classvalue",
            "CLASS_SCHEMA": class_schema(),
        },
        tile=128,
        stride=96,
        training={"MAX_EPOCHS": "14", "BATCH_SIZE": "8", "LEARNING_RATE": "0.003"},
        held_out=folder / "held_out.tif",
        truth=truth,
        legend=CLASSES,
    )


def dubai_demo(data: Path) -> Demo:
    """The MBRSC data set: half of its images, one of the rest held out."""
    data = data.resolve()
    held_out = data / "Tile 2" / "images" / "image_part_009.jpg"
    if not held_out.exists():
        sys.exit(f"{data} does not hold the MBRSC data set: there is no {held_out}.")
    legend: Legend = {}
    for line in DUBAI_SCHEMA.splitlines():
        value, name, colour = (part.strip() for part in line.split(","))
        legend[int(value)] = (name, tuple(bytes.fromhex(colour[1:])))
    with rasterio.open(data / "Tile 2" / "masks" / "image_part_009.png") as file:
        mask = file.read()[:3]
    truth = np.zeros(mask.shape[1:], np.uint8)
    for value, (_, colour) in legend.items():
        truth[(mask == np.reshape(colour, (3, 1, 1))).all(axis=0)] = value
    return Demo(
        export={
            "IN_FOLDER": str(data / "Tile *" / "images" / "image_part_00[1-4].jpg"),
            "IN_CLASS_FOLDER": str(data / "Tile *" / "masks" / "image_part_00[1-4].png"),
            "CLASS_SCHEMA": DUBAI_SCHEMA,
        },
        tile=160,
        stride=160,
        training={"MAX_EPOCHS": "6", "LEARNING_RATE": "0.002"},
        held_out=held_out,
        truth=truth,
        legend=legend,
        ignored=(0,),
    )


def run_demo(demo: Demo) -> Comparison:
    """Export, train, classify; returns how the result compares with the truth."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    chips, model, classified = OUTPUT / "chips", OUTPUT / "model", OUTPUT / "classified.tif"
    tile = {"TILE_SIZE_X": demo.tile, "TILE_SIZE_Y": demo.tile}
    stride = {"STRIDE_X": demo.stride, "STRIDE_Y": demo.stride}
    run_in_qgis(
        "exporttrainingdata",
        **demo.export,
        METADATA_FORMAT="Classified_Tiles",
        IMAGE_CHIP_FORMAT="TIFF",
        **tile,
        **stride,
        OUT_FOLDER=chips,
    )
    run_in_qgis("trainmodel", IN_FOLDER=chips, OUT_FOLDER=model, **demo.training)
    run_in_qgis(
        "classifypixels",
        IN_RASTER=demo.held_out,
        IN_MODEL_DEFINITION=model / "model.dlpk",
        OUT_CLASSIFIED_RASTER=classified,
    )
    with rasterio.open(demo.held_out) as file:
        picture = np.moveaxis(file.read()[:3], 0, -1)
    with rasterio.open(classified) as file:
        predicted = file.read(1)
    return Comparison(picture, demo.truth, predicted, demo.legend, demo.ignored)


def run_in_qgis(tool: str, **parameters: object) -> None:
    """Run one of the plugin's tools with ``qgis_process``."""
    say(f"\nimagerydl:{tool}")
    command = [os.environ.get("QGIS_PROCESS", "qgis_process"), "run", f"imagerydl:{tool}", "--"]
    command += [f"{key}={value}" for key, value in {**parameters, "OVERWRITE": "true"}.items()]
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
    )
    said, last_progress = [], 0.0
    for line in process.stdout:
        line = _DOTS.sub("", line.rstrip())
        said.append(line)
        if _PROGRESS.match(line):
            if time.monotonic() - last_progress < _EVERY and " 0 s left" not in line:
                continue
            last_progress = time.monotonic()
        if line and not line.startswith(_OVERHEAD):
            say(f"  {line}")
    if process.wait() != 0:
        sys.exit(f"imagerydl:{tool} failed:\n" + "\n".join(said[-20:]))
    say(f"  done in {time.monotonic() - started:.0f} s")


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="the MBRSC data set, instead of a generated town")
    given = parser.parse_args()
    started = time.monotonic()
    comparison = run_demo(dubai_demo(given.data) if given.data else town_demo())
    picture = OUTPUT / "result.png"
    draw(comparison, picture)
    say("\nOn the part held out of training:")
    say(comparison.table())
    say(f"\n{picture}\n{time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()
