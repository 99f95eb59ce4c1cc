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
