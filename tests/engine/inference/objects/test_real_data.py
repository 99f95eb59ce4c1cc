"""Detectors of other programs on real imagery; skipped where the data sets are absent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job

DATA = Path(__file__).parents[5] / "shared" / "data"


def need(name):
    if not (DATA / name).exists():
        pytest.skip(f"the data set {name} is not there")
    return DATA / name


def run(tool, **values):
    run_job(make_job(tool, {"DEVICE": "CPU", "OVERWRITE": True, **values}), Reporter())
    path = values.get("OUT_DETECTED_OBJECTS") or values["OUT_FEATURE_CLASS"]
    meta, _, wkb, columns = pyogrio.raw.read(path, layer="objects")
    shapes = None if wkb is None else shapely.from_wkb(wkb)
    return dict(zip(meta["fields"], columns)), shapes


def test_yolox_finds_the_vehicles_of_a_drone_photo(tmp_path):
    """5.8: vehicles of a photo without georeference, in pixel space.

    The network learned vehicles from photographs taken on the ground; seen from straight above it places
    all of these well and calls most of them something else. Boxes are asked for here, of any class.
    """
    photo, model = need("photo_dji_minsk_vehicles"), need("models/yolox_nano/yolox_nano.onnx")
    rows = [line.split() for line in (photo / "DJI_0010.txt").read_text().splitlines()]
    x, y, width, height = np.array(rows, float)[:, 1:].T * [[4000], [-2250], [4000], [2250]]
    vehicles = shapely.box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    fields, shapes = run(
        "detectobjects",
        IN_RASTER=[str(photo / "DJI_0010.JPG")],
        IN_MODEL_DEFINITION=str(model),
        OUT_DETECTED_OBJECTS=str(tmp_path / "vehicles.gpkg"),
        CELL_SIZE=2.5,
        MODEL_ARGUMENTS="threshold 0.1;test_time_augmentation True",
    )
    tree = shapely.STRtree(vehicles)
    best = np.zeros((2, len(vehicles)))
    is_vehicle = np.isin(fields["Class"], (2, 5, 7))  # car, bus, truck of COCO
    for row, chosen in enumerate((np.ones(len(shapes), bool), is_vehicle)):
        found, own = tree.query(shapes[chosen], predicate="intersects")
        shared = shapely.area(shapely.intersection(shapes[chosen][found], vehicles[own]))
        union = shapely.area(shapely.union(shapes[chosen][found], vehicles[own]))
        np.maximum.at(best[row], own, shared / union)
    assert (best[0] > 0.7).sum() >= 4
    assert (best[1] > 0.7).sum() >= 3


@pytest.mark.parametrize("name", ["ssd_r18_rgb", "retina_r18_rgb"])
def test_detectors_of_arcgis_learn_find_what_they_find_there(tmp_path, name):
    """5.9: boxes and scores to 1e-3, labels equal; ids there are positions in Classes, from 1."""
    folder = need(f"models/arcgis_learn/{name}")
    reference = np.load(folder / "reference.npz")
    for number, pixels in enumerate(reference["raw"]):
        image = tmp_path / "image.tif"
        with rasterio.open(image, "w", "GTiff", width=64, height=64, count=3, dtype="uint8") as file:
            file.write(pixels)
        fields, shapes = run(
            "detectobjects",
            IN_RASTER=[str(image)],
            IN_MODEL_DEFINITION=str(folder / f"{name}.dlpk"),
            OUT_DETECTED_OBJECTS=str(tmp_path / "found.gpkg"),
            MODEL_ARGUMENTS="threshold 0.05;padding 0;nms_overlap 0.1;exclude_pad_detections False",
        )
        polygons, scores, ids = json.loads(str(reference[f"post{number}"]))
        corners = np.array(polygons)[..., ::-1]  # row, column
        boxes = np.hstack([corners.min(axis=1), corners.max(axis=1)]).clip(0, 64)
        expected = [(i, *box, score) for i, box, score in zip(ids, boxes.tolist(), scores)]
        # The classes of these packages are Pool (value 2), Tree (value 1).
        positions = [{"Pool": 1, "Tree": 2}[text] for text in fields["ClassName"]]
        upright = shapely.bounds(shapes)[:, [0, 3, 2, 1]] * (1, -1, 1, -1)
        got = [(i, *box, s) for i, box, s in zip(positions, upright.tolist(), fields["Confidence"].tolist())]
        np.testing.assert_allclose(sorted(got), sorted(expected), atol=2e-3)


def test_a_feature_classifier_of_arcgis_learn_gives_its_labels(tmp_path):
    """5.9, O3: FeatureClassifier through Classify Objects, one object an image."""
    folder = need("models/arcgis_learn/fc_r18_rgb")
    reference = np.load(folder / "reference.npz")
    for number, pixels in enumerate(reference["raw"]):
        image = tmp_path / "images" / f"{number}.tif"
        image.parent.mkdir(exist_ok=True)
        with rasterio.open(image, "w", "GTiff", width=64, height=64, count=3, dtype="uint8") as file:
            file.write(pixels)
    fields, shapes = run(
        "classifyobjects",
        IN_FOLDER=str(tmp_path / "images"),
        IN_MODEL_DEFINITION=str(folder / "fc_r18_rgb.dlpk"),
        OUT_FEATURE_CLASS=str(tmp_path / "classes.gpkg"),
    )
    count = len(reference["raw"])
    assert shapes is None
    assert fields["ClassLabel"].tolist() == [reference[f"label{k}"][0] for k in range(count)]
    expected = [100 * float(reference[f"conf{k}"][0]) for k in range(count)]
    np.testing.assert_allclose(fields["Confidence"], expected, atol=0.01)
