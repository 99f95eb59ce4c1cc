"""Tiny exported folders to train on."""

import json

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine

from imagerydl.events import Reporter


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny networks are quickest on one thread: more of them only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Listener:
    """A reporter that remembers what it was told."""

    def __init__(self):
        self.events = []
        self.cancel_when = lambda event: False
        self._cancelled = False
        self.reporter = Reporter(self._hear, lambda: self._cancelled)

    def _hear(self, event):
        self.events.append(event)
        self._cancelled = self._cancelled or self.cancel_when(event)

    def resume(self):
        """Forget what was said and the wish to cancel."""
        self.events.clear()
        self.cancel_when, self._cancelled = (lambda event: False), False

    def texts(self, level=None):
        return [e["text"] for e in self.events if e["event"] == "message" and level in (None, e["level"])]

    def metrics(self):
        return [e["values"] for e in self.events if e["event"] == "metric"]

    def stages(self):
        return list(dict.fromkeys(e["stage"] for e in self.events if e["event"] == "progress"))


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture(scope="module")
def module_listener():
    return Listener()


def write_raster(path, data, nodata=None):
    data = data[None] if data.ndim == 2 else data
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=data.shape[0],
        height=data.shape[1],
        width=data.shape[2],
        dtype=data.dtype,
        nodata=nodata,
        crs="EPSG:32633",
        transform=Affine(0.5, 0, 500000, 0, -0.5, 5000000),
    ) as dataset:
        dataset.write(data)


def dark_and_bright(count=12, size=32, bands=3, dtype=np.uint8, scale=1, seed=0):
    """Chips anyone can learn: class 1 is dark, class 2 is bright, in a checkerboard of quarters."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        quarters = random.integers(1, 3, (2, 2))
        quarters[0, 0], quarters[1, 1] = 1, 2
        label = np.kron(quarters, np.ones((size // 2, size // 2))).astype(np.uint8)
        image = np.where(label == 1, 60, 190) + random.normal(0, 15, (bands, size, size))
        yield (image.clip(0, 255) * scale).astype(dtype), label


def export_folder(folder, chips, classes=((1, "Dark"), (2, "Bright")), nodata=None, **changes):
    """Write chips as an exported folder would hold them."""
    lines = []
    for number, (image, label) in enumerate(chips):
        stem = f"{number:012d}.tif"
        write_raster(folder / "images" / stem, image, nodata)
        write_raster(folder / "labels" / stem, label)
        lines.append(f"images\\{stem} labels\\{stem} \n")
    bands, height, width = image.shape
    (folder / "map.txt").write_text("".join(lines))
    definition = {
        "ImageHeight": height,
        "ImageWidth": width,
        "MetaDataMode": "Classified_Tiles",
        "ImageSpaceUsed": "MAP_SPACE",
        "Classes": [{"Value": v, "Name": n, "Color": [v * 40 % 256, 90, 20]} for v, n in classes],
        "InputRastersProps": {"RasterCount": 1, "SensorName": "Undefined", "BandNames": [""] * bands},
        "AllTilesStats": [
            {"BandName": "", "Min": 0.0, "Max": 255.0, "Mean": 125.0, "StdDev": 60.0} for _ in range(bands)
        ],
        "MinCellSize": {"x": 0.5, "y": 0.5, "spatialReference": {"wkid": 32633, "latestWkid": 32633}},
        **changes,
    }
    (folder / "esri_model_definition.emd").write_text(json.dumps(definition))
    statistics = {
        "NumBands": bands,
        "TileSizeX": width,
        "TileSizeY": height,
        "MetaDataMode": definition["MetaDataMode"],
    }
    (folder / "esri_accumulated_stats.json").write_text(json.dumps(statistics))
    return folder


@pytest.fixture
def export():
    """``export(folder, chips, ...)`` writes an exported folder."""
    return export_folder


@pytest.fixture(scope="module")
def module_export():
    """Writes the toy chips into a folder."""
    return lambda folder: export_folder(folder, dark_and_bright(16))


@pytest.fixture
def toy_chips():
    """``toy_chips(count, ...)`` makes images with their labels."""
    return dark_and_bright


@pytest.fixture
def toy_folder(tmp_path):
    return export_folder(tmp_path / "chips", dark_and_bright())


@pytest.fixture
def train_values(toy_folder, tmp_path):
    """Values of a quick training; the learning rate is given, so that no sweep runs."""
    return {
        "IN_FOLDER": [str(toy_folder)],
        "OUT_FOLDER": str(tmp_path / "models" / "toy"),
        "MAX_EPOCHS": 2,
        "BATCH_SIZE": 4,
        "LEARNING_RATE": 0.003,
        "DEVICE": "CPU",
        "VALIDATION_PERCENTAGE": 25,
    }


#: Sides of the coloured squares, and their classes.
RED, BLUE = 1, 2


def squares(count=16, size=64, bands=3, seed=0, classes=(RED, BLUE)):
    """Chips anyone can learn: red and blue squares on grey, none over another.

    Gives images with their objects: (class value, left, top, right, bottom).
    """
    random = np.random.default_rng(seed)
    for _ in range(count):
        image, objects = random.normal(60, 8, (bands, size, size)), []
        for _ in range(int(random.integers(1, 4))):
            side = int(random.integers(14, 22))
            x, y = (int(v) for v in random.integers(0, size - side, 2))
            if any(x < r and y < b and x + side > left and y + side > t for _, left, t, r, b in objects):
                continue
            value = classes[int(random.integers(len(classes)))]
            image[0 if value == RED else bands - 1, y : y + side, x : x + side] += 140
            objects.append((value, x, y, x + side, y + side))
        yield image.clip(0, 255).astype(np.uint8), objects


def export_objects(folder, chips, metadata_format="PASCAL_VOC_rectangles", classes=None, **changes):
    """Write chips with objects as a folder of ``metadata_format`` would hold them."""
    classes = classes or ((RED, "Red"), (BLUE, "Blue"))
    names, coco = dict(classes), {"images": [], "annotations": [], "categories": []}
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, (image, objects) in enumerate(chips):
        stem = f"{number:012d}"
        place = folder / "images" / f"{stem}.tif"
        if metadata_format == "Imagenet":
            place = folder / "images" / names[objects[0][0]] / f"{stem}.tif"
        write_raster(place, image)
        write_objects(folder, stem, image.shape[1:], objects, metadata_format, names, coco)
    if metadata_format == "COCO":
        (folder / "annotations.json").write_text(json.dumps(coco))
    bands, height, width = image.shape
    definition = {
        "ImageHeight": height,
        "ImageWidth": width,
        "MetaDataMode": metadata_format,
        "ImageSpaceUsed": "MAP_SPACE",
        "Classes": [{"Value": v, "Name": n, "Color": [v * 40 % 256, 90, 20]} for v, n in classes],
        "InputRastersProps": {"RasterCount": 1, "SensorName": "Undefined", "BandNames": [""] * bands},
        "AllTilesStats": [
            {"BandName": "", "Min": 0.0, "Max": 255.0, "Mean": 70.0, "StdDev": 30.0} for _ in range(bands)
        ],
        **changes,
    }
    (folder / "esri_model_definition.emd").write_text(json.dumps(definition))
    sizes = {
        "NumBands": bands,
        "TileSizeX": width,
        "TileSizeY": height,
        "MetaDataMode": metadata_format,
    }
    (folder / "esri_accumulated_stats.json").write_text(json.dumps(sizes))
    return folder


def write_objects(folder, stem, size, objects, metadata_format, names, coco):
    """The labels of one chip."""
    height, width = size
    if metadata_format in ("PASCAL_VOC_rectangles", "Labeled_Tiles", "MultiLabeled_Tiles"):
        written = [(str(o[0]), o[1:]) for o in objects]
        if metadata_format == "MultiLabeled_Tiles":
            written = [(",".join(names[v] for v in sorted({o[0] for o in objects})), objects[0][1:])]
        text = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{r}</xmax>"
            f"<ymax>{b}</ymax></bndbox></object>"
            for name, (x, y, r, b) in written
        )
        (folder / "labels" / f"{stem}.xml").write_text(f"<annotation>{text}</annotation>")
    elif metadata_format == "KITTI_rectangles":
        lines = [f"{v} 0.00 0 0.00 {x} {y} {r} {b} 0 0 0 0 0 0 0\n" for v, x, y, r, b in objects]
        (folder / "labels" / f"{stem}.txt").write_text("".join(lines))
    elif metadata_format == "YOLO":
        positions = {value: place for place, value in enumerate(names)}
        lines = [
            f"{positions[v]} {(x + r) / 2 / width} {(y + b) / 2 / height} {(r - x) / width} "
            f"{(b - y) / height}\n"
            for v, x, y, r, b in objects
        ]
        (folder / "labels" / f"{stem}.txt").write_text("".join(lines))
    elif metadata_format == "COCO":
        coco["images"].append(
            {"id": int(stem), "file_name": f"images/{stem}.tif", "width": width, "height": height}
        )
        for v, x, y, r, b in objects:
            coco["annotations"].append(
                {
                    "id": len(coco["annotations"]) + 1,
                    "image_id": int(stem),
                    "category_id": v,
                    "bbox": [x, y, r - x, b - y],
                    "segmentation": [[x, y, r, y, r, b, x, b]],
                }
            )
    elif metadata_format == "RCNN_Masks":
        for value in {o[0] for o in objects}:
            mask = np.zeros(size, np.uint8)
            own = [o for o in objects if o[0] == value]
            for number, (_, x, y, r, b) in enumerate(own, start=1):
                mask[y:b, x:r] = number
            write_raster(folder / "labels" / names[value] / f"{stem}.tif", mask)


@pytest.fixture
def make_squares():
    """``make_squares(count, ...)`` makes images with their objects."""
    return squares


@pytest.fixture
def export_squares():
    """``export_squares(folder, chips, metadata_format, ...)`` writes an exported folder."""
    return export_objects


@pytest.fixture(scope="module")
def module_squares():
    """Writes squares into a folder: ``module_squares(folder, metadata_format, count)``."""
    return lambda folder, kind, count=16, **options: export_objects(folder, squares(count, **options), kind)


@pytest.fixture
def object_values(tmp_path):
    """Values of a quick training on a folder of squares."""
    export_objects(tmp_path / "chips", squares(10))
    return {
        "IN_FOLDER": [str(tmp_path / "chips")],
        "OUT_FOLDER": str(tmp_path / "models" / "squares"),
        "MAX_EPOCHS": 1,
        "BATCH_SIZE": 4,
        "DEVICE": "CPU",
        "VALIDATION_PERCENTAGE": 25,
    }
