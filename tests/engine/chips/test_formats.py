"""Every format against an independent reader: what lies in a chip is in its label, once, and nothing else."""

import math

import independent
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.features import rasterize
from rasterio.warp import transform as transform_coordinates

from imagerydl.errors import CancelledError, OutputError
from imagerydl.events import Reporter
from imagerydl.imagery.transforms import apply, compose
from imagerydl.jobs import make_job, run_job

BOXES = ("KITTI_rectangles", "PASCAL_VOC_rectangles", "YOLO", "COCO")

#: Objects thinner than what two decimals can tell may be left out.
THIN = 0.011


class Place:
    """A raster and labelled shapes on it."""

    def __init__(self, folder, seed=0, size=(150, 120), crs="EPSG:32633", labels_crs=None, count=40):
        self.folder, self.random = folder, np.random.default_rng(seed)
        self.width, self.height = size
        self.transform = Affine(0.5, 0, 400000, 0, -0.5, 5500000)
        self.crs, self.labels_crs = crs, labels_crs or crs
        self.image = folder / "image.tif"
        data = self.random.integers(1, 255, (3, self.height, self.width), np.uint8)
        with rasterio.open(
            self.image, "w", driver="GTiff", width=self.width, height=self.height, count=3, dtype="uint8",
            crs=crs, transform=self.transform,
        ) as dataset:  # fmt: skip
            dataset.write(data)
        self.data = data
        self.shapes = [self._shape() for _ in range(count)]
        self.values = self.random.integers(1, 4, count).astype(np.int32)
        self.names = np.array([None, "Oak tree", "Car/Van", "Oak_tree"], dtype=object)[self.values]
        self.labels = folder / "labels.gpkg"
        self.write_labels()

    def _shape(self):
        """A turned rectangle, a ring, a star or two parts, anywhere around the raster."""
        x, y = self.random.uniform(-5, self.width + 5), self.random.uniform(-5, self.height + 5)
        a, b = self.random.uniform(1, 14, 2)
        kind = self.random.integers(4)
        if kind == 0:
            shape = shapely.box(-a, -b, a, b)
        elif kind == 1:
            shape = shapely.Point(0, 0).buffer(a).difference(shapely.Point(0, 0).buffer(a / 2))
        elif kind == 2:
            angles = np.arange(10) * math.pi / 5
            radii = np.where(np.arange(10) % 2, a / 2, a)
            shape = shapely.Polygon(np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]))
        else:
            shape = shapely.union(shapely.box(-a, -a, -a / 3, a), shapely.box(a / 3, -b, a, b))
        shape = shapely.affinity.rotate(shape, self.random.uniform(0, 360), origin=(0, 0))
        shape = shapely.affinity.translate(shape, x, y)
        return shapely.transform(shape, lambda xy: np.column_stack(apply(self.transform, *xy.T)))

    def write_labels(self):
        shapes = shapely.transform(np.array(self.shapes, dtype=object), self._to_labels)
        self.exact = shapely.transform(shapes, self._from_labels)
        pyogrio.raw.write(
            self.labels, shapely.to_wkb(shapes), [self.values, self.names], ["classvalue", "classname"],
            geometry_type="Unknown", crs=self.labels_crs,
        )  # fmt: skip

    def _to_labels(self, xy):
        return self._moved(self.crs, self.labels_crs, xy)

    def _from_labels(self, xy):
        return self._moved(self.labels_crs, self.crs, xy)

    @staticmethod
    def _moved(source, target, xy):
        if source == target:
            return xy
        return np.column_stack(transform_coordinates(source, target, xy[:, 0], xy[:, 1]))

    def export(self, name="chips", **values):
        out = self.folder / name
        self.said = []
        settings = {
            "IN_RASTER": [str(self.image)], "IN_CLASS_DATA": str(self.labels), "OUT_FOLDER": str(out),
            "TILE_SIZE_X": 32, "TILE_SIZE_Y": 32, "STRIDE_X": 32, "STRIDE_Y": 32, "PREVIEW": False,
        }  # fmt: skip
        self.result = run_job(
            make_job("exporttrainingdata", {**settings, **values}), Reporter(self.said.append)
        )
        return out

    def expected(self, image, min_share=0.0):
        """(class value, box, visible part in pixels) of what lies in a chip, by plain shapely."""
        to_pixels = ~independent.transform_of(image)
        frame = shapely.box(0, 0, *independent.size_of(image))
        found = []
        for value, shape in zip(self.values.tolist(), self.exact):
            own = shapely.transform(shape, lambda xy: np.column_stack(to_pixels * xy.T))
            part = own.intersection(frame)
            if part.area > 0 and part.area / own.area >= min_share:
                found.append((value, part.bounds, part))
        return found


def same_boxes(found, expected):
    """Every expected box is found once, to 0.01 pixel, and nothing else is."""
    left = list(found)
    for value, box, *_ in expected:
        near = [one for one in left if one[0] == value and np.allclose(one[1], box, atol=0.0101)]
        thin = min(box[2] - box[0], box[3] - box[1]) < THIN
        assert near or thin, (value, box, left)
        if near:
            left.remove(near[0])
    assert not left


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.mark.parametrize("kind", BOXES)
def test_boxes(place, kind):
    """E2, E3, E6, E22 to E26: boxes are those of the visible parts, and lie in the chip."""
    out = place.export(METADATA_FORMAT=kind, OUTPUT_NOFEATURE_TILES=True)
    found = independent.boxes(out, kind)
    assert len(found) == (150 // 32) * (120 // 32)
    for image, objects in found.items():
        same_boxes(objects, place.expected(image))
        for _, (xmin, ymin, xmax, ymax) in objects:
            assert -0.001 <= xmin < xmax <= 32.001
            assert -0.001 <= ymin < ymax <= 32.001


@pytest.mark.parametrize("seed", range(12))
def test_any_tiling_any_system_any_angle(tmp_path, seed):
    """Acceptance 3: random sizes, strides, angles, systems, shapes; the chip's georeference is truth."""
    random = np.random.default_rng(seed)
    size = tuple(int(n) for n in random.integers(40, 160, 2))
    labels_crs = ("EPSG:32633", "EPSG:4326", "EPSG:3035")[seed % 3]
    place = Place(tmp_path, seed, size, labels_crs=labels_crs, count=int(random.integers(1, 60)))
    kind = BOXES[seed % 4]
    tile = {f"TILE_SIZE_{axis}": int(random.integers(8, 41)) for axis in "XY"}
    stride = {f"STRIDE_{axis}": int(random.integers(4, 50)) for axis in "XY"}
    angle = float(random.choice([0, 90, 45, 33.3, 120]))
    share = float(random.choice([0, 0, 0.2, 0.9]))
    out = place.export(
        METADATA_FORMAT=kind, OUTPUT_NOFEATURE_TILES=True, ROTATION_ANGLE=angle,
        MIN_POLYGON_OVERLAP_RATIO=share, **tile, **stride,
    )  # fmt: skip
    across = [
        max(0, (size[i] - tile[f"TILE_SIZE_{a}"]) // stride[f"STRIDE_{a}"] + 1) for i, a in enumerate("XY")
    ]
    angles = 1 if not angle else math.ceil(360 / angle - 1e-9)
    found = independent.boxes(out, kind)
    assert len(found) == across[0] * across[1] * angles
    for image, objects in found.items():
        # A turned chip may hang over the edge: an object of which nothing is shown is left out.
        with rasterio.open(image) as dataset:
            shown = dataset.read().any(axis=0)
        same_boxes(objects, [one for one in place.expected(image, share) if is_shown(one[1], shown)])


def is_shown(box, shown):
    xmin, ymin, xmax, ymax = box
    return shown[math.floor(ymin) : math.ceil(ymax), math.floor(xmin) : math.ceil(xmax)].any()


@pytest.mark.parametrize(("share", "kept"), [(0.19, False), (0.21, True)])
def test_overlap_ratio(place, share, kept):
    """E47, E48: 19 % of a polygon in a chip is less than a ratio of 0.2, 21 % is more."""
    # A square of 20 pixels at the right border of the first tile.
    left = 32 - 20 * share
    corner = [apply(place.transform, x, y) for x, y in ((left, 4), (left + 20, 24))]
    place.shapes = [shapely.box(*corner[0], *corner[1])]
    place.values, place.names = np.array([2], np.int32), np.array(["a"], dtype=object)
    place.labels.unlink()
    place.write_labels()
    out = place.export(METADATA_FORMAT="KITTI_rectangles", MIN_POLYGON_OVERLAP_RATIO=0.2)
    stems = {image.stem for image in independent.boxes(out, "KITTI_rectangles")}
    assert stems == ({"000000000000", "000000000001"} if kept else {"000000000001"})


def test_class_pixels(place):
    """E27: a pixel has the class of the last polygon that covers its centre."""
    out = place.export(METADATA_FORMAT="Classified_Tiles", OUTPUT_NOFEATURE_TILES=True)
    for image, label in independent.chip_map(out):
        shapes = list(zip(place.exact, place.values.tolist()))
        truth = rasterize(shapes, (32, 32), transform=independent.transform_of(image), dtype="uint8")
        assert np.array_equal(independent.pixels(label), truth)


def test_instance_masks(place):
    """E29: each instance has its own number, also where instances overlap; no pixel is lost."""
    out = place.export(METADATA_FORMAT="RCNN_Masks", OUTPUT_NOFEATURE_TILES=True)
    classes = {item["Name"]: item["Value"] for item in independent.definition(out)["Classes"]}
    assert classes.keys() == {"Oak_tree", "Car_Van", "Oak_tree_3"}
    true_names = {
        i["Value"]: i.get("OriginalName", i["Name"]) for i in independent.definition(out)["Classes"]
    }
    assert true_names == {1: "Oak tree", 2: "Car/Van", 3: "Oak_tree"}
    for image, *labels in independent.chip_map(out):
        found = independent.masks(out / "labels", image.stem, classes)
        assert {label.parent.name for label in labels} == {n for n, v in classes.items() if v in found}
        expected = [
            (v, part)
            for v, box, part in place.expected(image)
            if min(np.ptp(np.reshape(box, (2, 2)), 0)) > THIN
        ]
        assert sum(map(len, found.values())) == len(expected)
        for value, part in expected:
            mask = rasterize([part], (32, 32), dtype="uint8") > 0
            if not mask.any():
                mask = rasterize([part], (32, 32), all_touched=True, dtype="uint8") > 0
            twins = [i for i, other in enumerate(found[value]) if np.array_equal(other, mask)]
            assert twins
            found[value].pop(twins[0])


def test_labeled_tiles(place):
    """E7, E30, E44: one chip for each feature, in its middle, with its value; box in the chip."""
    out = place.export(METADATA_FORMAT="Labeled_Tiles")
    middles = {}
    for image, label in independent.chip_map(out):
        ((name, box),) = independent.annotation(label)
        assert independent.size_of(image) == (32, 32)
        middles[apply(independent.transform_of(image), 16, 16)] = int(name)
        assert box[0] < box[2] <= 32
        assert box[1] < box[3] <= 32
    expected = {}
    for shape, value in zip(place.exact, place.values.tolist()):
        xmin, ymin, xmax, ymax = shape.bounds
        column, row = apply(~place.transform, (xmin + xmax) / 2, (ymin + ymax) / 2)
        if 0 <= column < place.width and 0 <= row < place.height:
            expected[column, row] = value
    assert len(middles) == len(expected)
    for (x, y), value in middles.items():
        column, row = apply(~place.transform, x, y)
        assert any(
            value == other and abs(c - column) <= 0.501 and abs(r - row) <= 0.501
            for (c, r), other in expected.items()
        )


def test_bounding_box_crops_and_black_surroundings(place):
    """E43, E44: chips just around the feature, with 0 outside it."""
    out = place.export(METADATA_FORMAT="Labeled_Tiles", CROP_MODE="BOUNDING_BOX", BLACKEN_AROUND_FEATURE=True)
    said = independent.definition(out)
    assert said["CropTileMode"] == "Variable_Size"
    assert said["BlackenAroundFeature"] is True
    sizes = set()
    for image, label in independent.chip_map(out):
        ((name, box),) = independent.annotation(label)
        width, height = independent.size_of(image)
        sizes.add((width, height))
        assert box[0] < 1
        assert box[1] < 1
        assert box[2] > width - 1
        assert box[3] > height - 1
        with rasterio.open(image) as dataset:
            data, transform = dataset.read(), dataset.transform
        candidates = [s for s, v in zip(place.exact, place.values.tolist()) if v == int(name)]
        assert (
            any(
                np.array_equal(data.any(axis=0), rasterize([s], (height, width), transform=transform) > 0)
                for s in candidates
                if rasterize([s], (height, width), transform=transform).any()
            )
            or not data.any()
        )
    assert len(sizes) > 5


def test_multilabeled_tiles(place):
    """E31: all class names of a tile, with commas, in the order of their values."""
    out = place.export(METADATA_FORMAT="MultiLabeled_Tiles")
    names = {1: "Oak tree", 2: "Car/Van", 3: "Oak_tree"}
    for image, label in independent.chip_map(out):
        ((name, _),) = independent.annotation(label)
        present = sorted({value for value, _, part in place.expected(image)})
        assert name == ",".join(names[value] for value in present)


def test_imagenet(place):
    """E30: one chip for each feature in the folder of its class; one path in each line of map.txt."""
    out = place.export(METADATA_FORMAT="Imagenet")
    classes = {item["Name"]: item["Value"] for item in independent.definition(out)["Classes"]}
    assert not (out / "labels").exists()
    files = independent.chip_map(out)
    assert all(len(line) == 1 and line[0].is_file() for line in files)
    assert {classes[line[0].parent.name] for line in files} == set(place.values.tolist())


def test_panoptic(place, tmp_path):
    """E34, E46: class values in labels, numbered instances by class in labels2."""
    instances = tmp_path / "instances.gpkg"
    first = place.values == 1
    shapes = np.array(place.shapes, dtype=object)[first]
    pyogrio.raw.write(
        instances, shapely.to_wkb(shapes), [place.values[first]], ["classvalue"],
        geometry_type="Unknown", crs=place.crs,
    )  # fmt: skip
    out = place.export(
        METADATA_FORMAT="Panoptic_Segmentation", IN_INSTANCE_DATA=str(instances), OUTPUT_NOFEATURE_TILES=True
    )
    said = independent.definition(out)
    (instance_class,) = said["Panoptic_Segmentation_Instance_Classes"]
    assert instance_class["Value"] == 1
    seen = 0
    for image, label, *others in independent.chip_map(out):
        truth = rasterize(
            list(zip(place.exact, place.values.tolist())), (32, 32),
            transform=independent.transform_of(image), dtype="uint8",
        )  # fmt: skip
        found = independent.masks(out / "labels2", image.stem, {instance_class["Name"]: 1})
        covered = np.any(found.get(1, [np.zeros((32, 32), bool)]), axis=0)
        written = independent.pixels(label)
        assert np.array_equal(written[truth > 0], truth[truth > 0])
        assert np.array_equal(written > 0, (truth > 0) | covered)
        seen += len(found.get(1, ()))
        assert len(others) == bool(found)
    assert seen


def test_export_tiles_and_cyclegan(place, tmp_path):
    """E32, E33: image chips alone; two rasters that do not overlap give A and B."""
    out = place.export(METADATA_FORMAT="Export_Tiles", IN_CLASS_DATA=None)
    assert not (out / "labels").exists()
    assert [len(files) for files in independent.chip_map(out)] == [1] * 12
    (tmp_path / "far").mkdir()
    far = Place(tmp_path / "far", 5, (70, 40))
    out = place.export("pair", METADATA_FORMAT="CycleGAN", IN_CLASS_DATA=None, IN_RASTER2=[str(far.image)])
    assert len(independent.chip_map(out / "A")) == 12
    assert len(independent.chip_map(out / "B")) == 2
    for part in "AB":
        assert independent.stats(out / part)["MetaDataMode"] == "CycleGAN"


def test_change_pairs(place, tmp_path):
    """E28, E45: a second raster whose grid differs by a part of a pixel lies on the first one's pixels."""
    second = tmp_path / "later.tif"
    shifted = compose(place.transform, Affine.translation(0.25, 0))
    with rasterio.open(
        second, "w", driver="GTiff", width=150, height=119, count=3, dtype="uint8", crs=place.crs,
        transform=shifted,
    ) as dataset:  # fmt: skip
        dataset.write(np.repeat(np.arange(150, dtype=np.uint8)[None, None], 119, axis=1).repeat(3, axis=0))
    out = place.export(
        METADATA_FORMAT="Classified_Tiles", IN_RASTER2=[str(second)], OUTPUT_NOFEATURE_TILES=True
    )
    lines = independent.chip_map(out)
    assert all([file.parent.name for file in line] == ["images", "images2", "labels"] for line in lines)
    for image, image2, _ in lines:
        assert independent.transform_of(image) == independent.transform_of(image2)
        left = round(apply(~place.transform, *apply(independent.transform_of(image), 0, 0))[0])
        with rasterio.open(image2) as dataset:
            row = dataset.read(1)[5].astype(float)
        inner = row[1:] if left == 0 else row
        expected = np.arange(left, left + 32) - 0.25
        assert np.abs(inner - expected[-len(inner) :]).max() <= 1
    said = independent.definition(out)
    assert len(said["AllTilesStats2"]) == 3
    assert said["InputRastersProps2"]["RasterCount"] == 1


def test_rotation(place):
    """E39, E40: chips at 0, then at every multiple below 360, with their labels."""
    plain = place.export(METADATA_FORMAT="KITTI_rectangles", OUTPUT_NOFEATURE_TILES=True)
    turned = place.export(
        "turned", METADATA_FORMAT="KITTI_rectangles", OUTPUT_NOFEATURE_TILES=True, ROTATION_ANGLE=90
    )
    first, all_angles = independent.chip_map(plain), independent.chip_map(turned)
    assert len(all_angles) == 4 * len(first)
    for number, (image, label) in enumerate(all_angles):
        original, original_label = first[number % len(first)]
        quarter = number // len(first)
        with rasterio.open(image) as one, rasterio.open(original) as other:
            assert np.array_equal(one.read(), np.rot90(other.read(), quarter, axes=(1, 2)))
        assert len(independent.kitti(label)) == len(independent.kitti(original_label))
        same_boxes(independent.kitti(label), place.expected(image))


@pytest.mark.parametrize("kind", ["PASCAL_VOC_rectangles", "COCO", "RCNN_Masks", "Classified_Tiles"])
def test_same_bytes_whatever_the_number_of_workers(place, kind):
    """E12, acceptance 5."""
    settings = {"METADATA_FORMAT": kind, "STRIDE_X": 10, "STRIDE_Y": 10, "ROTATION_ANGLE": 45}
    one = place.export("one", **settings)
    four = place.export("four", PARALLEL_PROCESSING_FACTOR="4", **settings)
    assert contents(one) == contents(four)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Stop(Reporter):
    """Cancels once so many tiles were gone through."""

    def __init__(self, after):
        super().__init__()
        self.after, self.stop = after, False
        self._is_cancelled = lambda: self.stop

    def progress(self, stage, done, *rest, **more):
        self.stop = stage == "Exporting chips" and done >= self.after
        super().progress(stage, done, *rest, **more)


@pytest.mark.parametrize("kind", ["PASCAL_VOC_rectangles", "COCO", "Classified_Tiles", "YOLO"])
@pytest.mark.parametrize("workers", ["1", "3"])
def test_interrupted_and_resumed(place, kind, workers):
    """Acceptance 5: what was cancelled goes on where it was and ends with the same bytes."""
    values = {
        "IN_RASTER": [str(place.image)], "IN_CLASS_DATA": str(place.labels), "TILE_SIZE_X": 32,
        "TILE_SIZE_Y": 32, "STRIDE_X": 8, "STRIDE_Y": 8, "METADATA_FORMAT": kind, "PREVIEW": False,
        "PARALLEL_PROCESSING_FACTOR": workers,
    }  # fmt: skip
    whole, broken = place.folder / "whole", place.folder / "broken"
    run_job(make_job("exporttrainingdata", {**values, "OUT_FOLDER": str(whole)}), Reporter())
    job = make_job("exporttrainingdata", {**values, "OUT_FOLDER": str(broken)})
    unfinished = place.folder / ".broken.unfinished"
    for after in (20, 57):
        with pytest.raises(CancelledError):
            run_job(job, Stop(after))
        assert not broken.exists()
        # The folder left behind is a valid one.
        assert len(independent.chip_map(unfinished)) == independent.stats(unfinished)["NumTiles"] > 0
    # A kill cuts a line of the journal short.
    with open(unfinished / ".journal.jsonl", "r+b") as journal:
        journal.seek(-30, 2)
        journal.truncate()
    said = []
    run_job(job, Reporter(said.append))
    assert any("Going on after" in event.get("text", "") for event in said)
    assert contents(whole) == contents(broken)
    assert not unfinished.exists()


def test_other_settings_do_not_go_on(place):
    """An unfinished export of other settings is not mixed into this one."""
    settings = {"METADATA_FORMAT": "KITTI_rectangles", "STRIDE_X": 8, "STRIDE_Y": 8}
    whole = place.export("whole", **settings)
    values = {
        "IN_RASTER": [str(place.image)], "IN_CLASS_DATA": str(place.labels), "TILE_SIZE_X": 32,
        "TILE_SIZE_Y": 32, "PREVIEW": False, "OUT_FOLDER": str(place.folder / "chips"),
    }  # fmt: skip
    with pytest.raises(CancelledError):
        run_job(make_job("exporttrainingdata", {**values, **settings, "METADATA_FORMAT": "COCO"}), Stop(10))
    assert contents(place.export("chips", **settings)) == contents(whole)


@pytest.mark.parametrize("kind", ["KITTI_rectangles", "Classified_Tiles", "COCO"])
def test_appending_goes_on_with_the_numbers(place, tmp_path, kind):
    """Chips of a second raster are added: numbers, statistics and classes are those of one export of both."""
    (tmp_path / "second").mkdir()
    second = Place(tmp_path / "second", 9)
    out = place.export(METADATA_FORMAT=kind)
    before = independent.stats(out)
    place.export(
        METADATA_FORMAT=kind, IN_RASTER=[str(second.image)], IN_CLASS_DATA=str(second.labels), APPEND=True
    )
    after = independent.stats(out)
    alone = independent.stats(second.export(METADATA_FORMAT=kind))
    assert after["NumTiles"] == before["NumTiles"] + alone["NumTiles"] == len(independent.chip_map(out))
    assert after["NextTileIndex"] == before["NextTileIndex"] + alone["NextTileIndex"]
    assert all(file.is_file() for line in independent.chip_map(out) for file in line)
    for band in range(3):
        parts = [stats["BandStatsState"][band] for stats in (before, alone)]
        both = after["BandStatsState"][band]
        assert both["Num"] == sum(part["Num"] for part in parts)
        assert both["M1"] == pytest.approx(sum(part["M1"] * part["Num"] for part in parts) / both["Num"])
    key, total = (
        ("ClassPixelStats", "NumPixelsPerClass")
        if kind == "Classified_Tiles"
        else ("FeatureStats", "NumFeaturesPerClass")
    )
    assert after[key][total] == [a + b for a, b in zip(before[key][total], alone[key][total])]
    if kind == "COCO":
        assert len(independent.coco(out)) == after["NumTiles"]


def test_appending_refuses_what_does_not_fit(place):
    """Another tile size, format or folder cannot be added to."""
    place.export(METADATA_FORMAT="KITTI_rectangles")
    for wrong in ({"TILE_SIZE_X": 16}, {"METADATA_FORMAT": "COCO"}):
        with pytest.raises(OutputError, match="cannot be added"):
            place.export(**{"METADATA_FORMAT": "KITTI_rectangles", "APPEND": True, **wrong})


def test_split_by_blocks_keeps_neighbours_together(place):
    """No pixel of one part is seen in another; each part is a complete export with one list of classes."""
    out = place.export(
        METADATA_FORMAT="PASCAL_VOC_rectangles", TILE_SIZE_X=16, TILE_SIZE_Y=16, STRIDE_X=8, STRIDE_Y=8,
        OUTPUT_NOFEATURE_TILES=True, SPLIT="SPATIAL_BLOCKS", SPLIT_PERCENTAGES="60;20;20", SPLIT_BLOCK_SIZE=2,
    )  # fmt: skip
    seen = {}
    for part in ("train", "validation", "test"):
        assert (
            independent.definition(out / part)["Classes"] == independent.definition(out / "train")["Classes"]
        )
        mask = seen[part] = np.zeros((place.height, place.width), bool)
        for files in independent.chip_map(out / part):
            column, row = apply(~place.transform, *apply(independent.transform_of(files[0]), 0, 0))
            mask[round(row) : round(row) + 16, round(column) : round(column) + 16] = True
        assert mask.any()
    assert not (seen["train"] & seen["validation"]).any()
    assert not (seen["train"] & seen["test"]).any()
    assert not (seen["validation"] & seen["test"]).any()
    assert seen["train"].sum() > seen["validation"].sum()


def test_split_by_image(place, tmp_path):
    """Whole images go to one part."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(10):
        with rasterio.open(
            folder / f"{number}.tif", "w", driver="GTiff", width=40, height=40, count=3, dtype="uint8"
        ) as dataset:
            dataset.write(np.full((3, 40, 40), number + 1, np.uint8))
    out = place.export(
        METADATA_FORMAT="Export_Tiles", IN_RASTER=[], IN_FOLDER=str(folder), IN_CLASS_DATA=None,
        TILE_SIZE_X=20, TILE_SIZE_Y=20, STRIDE_X=20, STRIDE_Y=20, SPLIT="BY_IMAGE",
    )  # fmt: skip
    found = {}
    for part in ("train", "validation", "test"):
        for (image,) in independent.chip_map(out / part):
            with rasterio.open(image) as dataset:
                found.setdefault(part, set()).add(int(dataset.read(1)[0, 0]))
    assert {part: len(images) for part, images in found.items()} == {"train": 8, "validation": 1, "test": 1}
    assert sum(map(len, found.values())) == len(set.union(*found.values()))


def test_map_and_pixel_space_differ_on_a_rotated_raster(tmp_path):
    """E8, E41: map space is north up, pixel space is the image as stored; the definition says which."""
    place = Place(tmp_path)
    turned = tmp_path / "turned.tif"
    transform = compose(place.transform, Affine.rotation(30))
    with rasterio.open(
        turned, "w", driver="GTiff", width=150, height=120, count=3, dtype="uint8", crs=place.crs,
        transform=transform,
    ) as dataset:  # fmt: skip
        dataset.write(place.data)
    settings = {
        "METADATA_FORMAT": "KITTI_rectangles",
        "IN_RASTER": [str(turned)],
        "OUTPUT_NOFEATURE_TILES": True,
    }
    space = {}
    for name in ("MAP_SPACE", "PIXEL_SPACE"):
        out = place.export(name, REFERENCE_SYSTEM=name, **settings)
        assert independent.definition(out)["ImageSpaceUsed"] == name
        space[name] = independent.chip_map(out)
    straight = independent.transform_of(space["MAP_SPACE"][0][0])
    assert straight.b == straight.d == 0
    assert straight.a > 0 > straight.e
    with rasterio.open(space["PIXEL_SPACE"][0][0]) as chip:
        assert np.array_equal(chip.read(), place.data[:, :32, :32])
        assert chip.transform.almost_equals(transform)
    for files in space["PIXEL_SPACE"]:
        same_boxes(independent.kitti(files[1]), place.expected(files[0]))
