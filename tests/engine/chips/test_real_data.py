"""Exports of real imagery against an independent reader; skipped where the data sets are absent."""

import csv
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import independent
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import transform as transform_coordinates

from imagerydl.events import Reporter
from imagerydl.imagery.transforms import apply
from imagerydl.jobs import make_job, run_job

DATA = Path(__file__).parents[4] / "shared" / "data"

#: Boxes thinner than what two decimals can tell may be left out.
THIN = 0.011


def need(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"the data set {name} is not there")
    return DATA / name


def export(out, **values):
    values = {"OUT_FOLDER": str(out), "PREVIEW": False, **values}
    said = []
    result = run_job(make_job("exporttrainingdata", values), Reporter(said.append))
    return result, [event["text"] for event in said if event["event"] == "message"]


def natural(path):
    """Order of names in which 2 comes before 10, as people list files."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def moved_to(crs, shape):
    """A shape in degrees in another system."""
    return shapely.transform(
        shape, lambda xy: np.column_stack(transform_coordinates("EPSG:4326", crs, *xy.T))
    )


def in_pixels(to_pixels, shape):
    return shapely.transform(shape, lambda xy: np.column_stack(to_pixels * xy.T))


def clipped(shapes, frame):
    """(value, box) of the parts of (value, shape) that lie in ``frame``."""
    parts = [(value, shape.intersection(frame)) for value, shape in shapes]
    return [(value, part.bounds) for value, part in parts if part.area > 0]


def assert_same(found, expected):
    left = list(found)
    for value, box in expected:
        near = [one for one in left if one[0] == value and np.allclose(one[1], box, atol=0.0101)]
        assert near or min(box[2] - box[0], box[3] - box[1]) < THIN, (value, box, left)
        if near:
            left.remove(near[0])
    assert not left


def assert_image_space(out, kind, images, truth, tile):
    """Boxes of chips cut from images without georeference, in the order of the images' names."""
    found = independent.boxes(out, kind)
    by_number = {int(image.stem): objects for image, objects in found.items()}
    number = seen = 0
    for image in images:
        width, height = independent.size_of(image)
        for top in range(0, height - tile + 1, tile):
            for left in range(0, width - tile + 1, tile):
                frame = shapely.box(left, top, left + tile, top + tile)
                expected = [
                    (v, (b[0] - left, b[1] - top, b[2] - left, b[3] - top))
                    for v, b in clipped(truth[image.name], frame)
                ]
                assert_same(by_number[number], expected)
                number += 1
                seen += len(expected)
    assert number == len(found)
    return seen


@pytest.mark.parametrize("kind", ["PASCAL_VOC_rectangles", "KITTI_rectangles", "COCO", "YOLO"])
def test_building_footprints(tmp_path, kind):
    """Polygons in degrees on imagery in web mercator: every footprint in every chip of every cell."""
    folder = need("poly_fair_kampala_buildings")
    for mosaic in sorted((folder / "derived_mosaic").glob("*.tif")):
        out = tmp_path / mosaic.stem
        export(
            out, IN_RASTER=[str(mosaic)], IN_CLASS_DATA=str(folder / "labels.geojson"), METADATA_FORMAT=kind,
            STRIDE_X=256, STRIDE_Y=256, OUTPUT_NOFEATURE_TILES=True,
        )  # fmt: skip
        with rasterio.open(mosaic) as dataset:
            crs = dataset.crs
        shapes = []
        for feature in json.loads((folder / "labels.geojson").read_text("utf-8"))["features"]:
            moved = moved_to(crs, shapely.geometry.shape(feature["geometry"]))
            shapes.append(moved if moved.is_valid else moved.buffer(0))
        for image, objects in independent.boxes(out, kind).items():
            here = [(1, in_pixels(~independent.transform_of(image), shape)) for shape in shapes]
            assert_same(objects, clipped(here, shapely.box(0, 0, 256, 256)))


def test_cars_from_a_table(tmp_path):
    """883 boxes of 27 images, given as a table in pixels."""
    folder = need("det_kit_ais_cars")
    images = sorted(folder.glob("*.png"), key=natural)
    truth = {image.name: [] for image in images}
    with open(tmp_path / "cars.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "xmin", "ymin", "xmax", "ymax", "classvalue"])
        for image in images:
            width, height = independent.size_of(image)
            for line in image.with_suffix(".txt").read_text().splitlines():
                index, x, y, w, h = (float(part) for part in line.split())
                box = [
                    round(n, 3)
                    for n in (
                        (x - w / 2) * width,
                        (y - h / 2) * height,
                        (x + w / 2) * width,
                        (y + h / 2) * height,
                    )
                ]
                rows.writerow([image.name, *box, int(index) + 1])
                truth[image.name].append((int(index) + 1, shapely.box(*box)))
    for kind in ("YOLO", "PASCAL_VOC_rectangles"):
        export(
            tmp_path / kind, IN_FOLDER=str(folder / "*.png"), IN_CLASS_DATA=str(tmp_path / "cars.csv"),
            METADATA_FORMAT=kind, TILE_SIZE_X=128, TILE_SIZE_Y=128, STRIDE_X=128, STRIDE_Y=128,
            OUTPUT_NOFEATURE_TILES=True,
        )  # fmt: skip
        assert assert_image_space(tmp_path / kind, kind, images, truth, 128) > 800


def test_blood_cells_of_annotations(tmp_path):
    """Three classes by name: the values are numbered, the names are in the definition."""
    folder = need("photo_bccd_cells")
    images = sorted((folder / "JPEGImages").glob("*.jpg"))[:40]
    values = {"Platelets": 1, "RBC": 2, "WBC": 3}
    truth = {image.name: [] for image in images}
    (tmp_path / "photos").mkdir()
    with open(tmp_path / "cells.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "xmin", "ymin", "xmax", "ymax", "class"])
        for image in images:
            (tmp_path / "photos" / image.name).symlink_to(image)
            tree = ElementTree.parse(folder / "Annotations" / f"{image.stem}.xml")
            for one in tree.findall("object"):
                box = [float(one.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
                rows.writerow([image.name, *box, one.findtext("name")])
                if box[2] > box[0] and box[3] > box[1]:
                    truth[image.name].append((values[one.findtext("name")], shapely.box(*box)))
    out = tmp_path / "chips"
    export(
        out, IN_FOLDER=str(tmp_path / "photos"), IN_CLASS_DATA=str(tmp_path / "cells.csv"),
        METADATA_FORMAT="KITTI_rectangles", TILE_SIZE_X=160, TILE_SIZE_Y=160, STRIDE_X=160, STRIDE_Y=160,
        OUTPUT_NOFEATURE_TILES=True,
    )  # fmt: skip
    assert {item["Name"]: item["Value"] for item in independent.definition(out)["Classes"]} == values
    assert assert_image_space(out, "KITTI_rectangles", images, truth, 160) > 500


def test_tree_crowns_of_a_table_on_a_georeferenced_raster(tmp_path):
    """Boxes in pixels on an image that has a coordinate system."""
    folder = need("det_deepforest_trees")
    out = tmp_path / "chips"
    export(
        out, IN_RASTER=[str(folder / "OSBS_029.tif")], IN_CLASS_DATA=str(folder / "OSBS_029.csv"),
        METADATA_FORMAT="PASCAL_VOC_rectangles", TILE_SIZE_X=100, TILE_SIZE_Y=100, STRIDE_X=100, STRIDE_Y=100,
        OUTPUT_NOFEATURE_TILES=True,
    )  # fmt: skip
    with open(folder / "OSBS_029.csv", newline="") as file:
        boxes = [
            [float(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")] for row in csv.DictReader(file)
        ]
    assert len(boxes) == 61
    truth = {"OSBS_029.tif": [(1, shapely.box(*box)) for box in boxes]}
    images = [folder / "OSBS_029.tif"]
    assert assert_image_space(out, "PASCAL_VOC_rectangles", images, truth, 100) >= 61


def test_hyperspectral_chips_and_their_classes(tmp_path):
    """224 bands of floats; labels are floats with a nodata value."""
    folder = need("seg_enmap_potsdam_224band")
    out = tmp_path / "chips"
    result, _ = export(
        out, IN_FOLDER=str(folder / "images"), IN_CLASS_FOLDER=str(folder / "labels"),
        METADATA_FORMAT="Classified_Tiles", TILE_SIZE_X=32, TILE_SIZE_Y=32, STRIDE_X=32, STRIDE_Y=32,
        OUTPUT_NOFEATURE_TILES=True,
    )  # fmt: skip
    images = sorted((folder / "images").glob("*.tif"), key=natural)
    assert result["NUM_CHIPS"] == len(images)
    assert len(independent.definition(out)["AllTilesStats"]) == 224
    for (image, label), original in zip(independent.chip_map(out), images):
        with rasterio.open(image) as chip, rasterio.open(original) as source:
            assert np.array_equal(chip.read(), source.read())
        own = next(path for path in (folder / "labels").glob("*.tif") if path.stem == original.stem)
        with rasterio.open(own) as source:
            truth = source.read(1)
        truth = np.where((truth < 0) | np.isnan(truth), 0, truth)
        assert np.array_equal(independent.pixels(label), truth.astype(np.uint8))


def test_image_pairs_whose_grids_differ(tmp_path):
    """Two dates, 934 x 724 and 934 x 723, four bands: chips of both lie on the same ground."""
    folder = need("cd_naip_series")
    before, after = sorted(folder.glob("*.tif"))
    out = tmp_path / "chips"
    export(
        out, IN_RASTER=[str(before)], IN_RASTER2=[str(after)], METADATA_FORMAT="Export_Tiles",
        STRIDE_X=256, STRIDE_Y=256,
    )  # fmt: skip
    lines = independent.chip_map(out)
    assert len(lines) == 3 * 2
    with rasterio.open(after) as dataset:
        whole, transform = dataset.read(1).astype(float), dataset.transform
    for image, image2 in lines:
        assert independent.transform_of(image) == independent.transform_of(image2)
        with rasterio.open(image2) as dataset:
            chip = dataset.read(1).astype(float)
            column, row = apply(~transform, *apply(dataset.transform, 128.5, 128.5))
        # The pixel in the middle lies between its four neighbours in the original.
        near = whole[int(row - 0.5) : int(row - 0.5) + 2, int(column - 0.5) : int(column - 0.5) + 2]
        assert near.min() - 1 <= chip[128, 128] <= near.max() + 1


@pytest.mark.parametrize("labels", ["landcover_polygon_30m.tif", "landcover_polygon_30m_EPSG3035.tif"])
def test_class_raster_with_a_palette(tmp_path, labels):
    """A class raster labels imagery of its own or of another system; tiles without a class are left out."""
    folder = need("accuracy_raster_enmap_berlin")
    out = tmp_path / "chips"
    export(
        out, IN_RASTER=[str(folder / "landcover_map_l3.tif")], IN_CLASS_DATA=str(folder / labels),
        METADATA_FORMAT="MultiLabeled_Tiles", TILE_SIZE_X=50, TILE_SIZE_Y=50, STRIDE_X=50, STRIDE_Y=50,
    )  # fmt: skip
    names = {item["Value"]: item["Name"] for item in independent.definition(out)["Classes"]}
    lines = independent.chip_map(out)
    assert lines
    with rasterio.open(folder / "landcover_polygon_30m.tif") as truth:
        for image, label in lines:
            with rasterio.open(image) as chip:
                window = truth.window(*chip.bounds)
                here = set(
                    np.unique(truth.read(1, window=window.round_offsets().round_lengths())).tolist()
                ) - {0}
            ((found, _),) = independent.annotation(label)
            if labels == "landcover_polygon_30m.tif":
                assert found.split(",") == [names[value] for value in sorted(here)]
            else:
                assert found
