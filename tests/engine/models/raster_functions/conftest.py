"""Raster functions written to Esri's contract, as somebody else would write them, and their definitions."""

from __future__ import annotations

import json
import textwrap

import pytest

# What Esri's own functions have beside them: how a batch is laid out as a grid, and the way back.
GRID = """
    import numpy as np

    GRIDS = {1: (1, 1), 4: (2, 2), 6: (2, 3), 9: (3, 3), 16: (4, 4)}

    def grid_of(batch_size):
        return GRIDS[batch_size]

    def cut(block, rows, columns, height, width, padding):
        step_y, step_x = height - 2 * padding, width - 2 * padding
        return np.stack([
            block[:, y * step_y : y * step_y + height, x * step_x : x * step_x + width]
            for y in range(rows) for x in range(columns)
        ])

    def join(tiles, rows, columns):
        return np.concatenate([np.concatenate(list(tiles[r * columns : (r + 1) * columns]), axis=1)
                               for r in range(rows)], axis=0)
"""

# The outer function: finds the network by framework and configuration, cuts the batch, joins the classes.
CLASSIFIER = """
    import importlib
    import json
    import os
    import sys

    import numpy as np

    import prf_utils

    class TownClassifier:
        def __init__(self):
            self.name = "Town Classifier"
            self.description = "Classifies towns."

        def initialize(self, **kwargs):
            sys.path.append(os.path.dirname(__file__))
            with open(kwargs["model"]) as file:
                self.definition = json.load(file)
            folder = os.path.dirname(kwargs["model"])
            with open(os.path.join(folder, self.definition["ModelFile"])) as file:
                weights = json.load(file)
            self.device = kwargs["device"]
            os.environ["TOWN_DEVICE"] = str(self.device)
            module = importlib.import_module(
                self.definition["Framework"] + "." + self.definition["ModelConfiguration"])
            self.network = module.Network(weights)

        def getParameterInfo(self):
            return [
                {"name": "raster", "dataType": "raster", "value": None, "required": True},
                {"name": "model", "dataType": "string", "value": None, "required": True},
                {"name": "device", "dataType": "numeric", "value": -2, "required": False},
                "a stray text",
                {"name": "padding", "dataType": "numeric", "value": "2", "required": False,
                 "displayName": "Padding", "description": "Pixels around a tile."},
                {"name": "batch_size", "dataType": "numeric", "value": "4", "required": False,
                 "displayName": "Batch Size"},
                {"name": "Shift", "dataType": "numeric", "value": 0, "domain": (0, 100)},
                {"name": "mode", "dataType": "GPStringKeyword", "value": "plain",
                 "domain": ("plain", "swapped"), "displayName": "Mode"},
                {"name": "loud", "dataType": "boolean", "value": False},
            ]

        def getConfiguration(self, **scalars):
            self.padding = int(scalars["padding"])
            self.batch_size = int(scalars["batch_size"])
            self.shift = np.float(scalars["Shift"])
            self.swapped = scalars["mode"] == "swapped"
            if scalars["loud"] == "True":
                arcpy.AddMessage("batches of " + str(self.batch_size))
            self.rows, self.columns = prf_utils.grid_of(self.batch_size)
            height, width = self.definition["ImageHeight"], self.definition["ImageWidth"]
            return {
                "extractBands": tuple(self.definition["ExtractBands"]),
                "padding": self.padding,
                "tx": (width - 2 * self.padding) * self.columns,
                "ty": (height - 2 * self.padding) * self.rows,
                "fixedTileSize": 1,
                "inheritProperties": 2 | 4 | 8,
                "inputMask": True,
            }

        def updateRasterInfo(self, **kwargs):
            kwargs["output_info"]["bandCount"] = 1
            kwargs["output_info"]["pixelType"] = "i4"
            features = [
                {"attributes": {"OID": i, "Value": c["Value"], "Class": c["Name"],
                                "Red": c["Color"][0], "Green": c["Color"][1], "Blue": c["Color"][2]}}
                for i, c in enumerate(self.definition["Classes"])
            ]
            kwargs["output_info"]["rasterAttributeTable"] = json.dumps({"features": features})
            return kwargs

        def updatePixels(self, tlc, shape, props, **pixelBlocks):
            pixels = pixelBlocks["raster_pixels"]
            pixels[np.where(pixelBlocks["raster_mask"] == 0)] = 0
            height, width = self.definition["ImageHeight"], self.definition["ImageWidth"]
            tiles = prf_utils.cut(pixels, self.rows, self.columns, height, width, self.padding)
            assert tiles.shape[2:] == (height, width), tiles.shape
            p = self.padding
            classes = self.network.classes(tiles)[:, p : height - p, p : width - p] + int(self.shift)
            if self.swapped:
                classes = classes[:, ::-1]
            joined = prf_utils.join(classes, self.rows, self.columns)
            pixelBlocks["output_pixels"] = joined[None].astype(props["pixelType"], copy=False)
            return pixelBlocks
"""

# The networks. They count on the pixels' own type: the difference of two bytes is a byte.
PIXELWISE = """
    class Network:
        def __init__(self, weights):
            self.modulus = weights["modulus"]

        def classes(self, tiles):
            return (tiles[:, 0] - tiles[:, 1]) % self.modulus + 1
"""
NEIGHBOURHOOD = """
    import numpy as np

    class Network:
        def __init__(self, weights):
            self.modulus, self.reach = weights["modulus"], weights["reach"]

        def classes(self, tiles):
            reach = self.reach
            difference = (tiles[:, 0] - tiles[:, 1]).astype(np.int64)
            n, height, width = difference.shape
            wide = np.pad(difference, ((0, 0), (reach, reach), (reach, reach)))
            total = sum(wide[:, y : y + height, x : x + width]
                        for y in range(2 * reach + 1) for x in range(2 * reach + 1))
            return total % self.modulus + 1
"""


TOWN = {
    "TownClassifier.py": CLASSIFIER,
    "prf_utils.py": GRID,
    "ToyNet/Neighbourhood.py": NEIGHBOURHOOD,
    "ToyNet/Pixelwise.py": PIXELWISE,
}


def write_sample(place, sources, **keys):
    """Write files of Python source, a model file and a definition; returns the definition's path.

    The first file is the inference function unless ``InferenceFunction`` says otherwise.
    """
    for name, source in sources.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
    (place / "weights.json").write_text(json.dumps({"modulus": 5, "reach": 2}))
    definition = {
        "Framework": "ToyNet",
        "ModelConfiguration": "Neighbourhood",
        "ModelType": "ImageClassification",
        "ModelFile": "weights.json",
        "InferenceFunction": next(iter(sources)),
        "ImageHeight": 12,
        "ImageWidth": 16,
        "ExtractBands": [0, 1],
        "Classes": [
            {"Value": value, "Name": f"zone {value}", "Color": [value, 20, 30]} for value in range(1, 6)
        ],
        **keys,
    }
    (place / "town.emd").write_text(json.dumps(definition), encoding="utf-8")
    return str(place / "town.emd")


@pytest.fixture
def write_function(tmp_path):
    """A model of given sources, in a folder of the test; see :func:`write_sample`."""

    def write(sources, folder="model", **keys):
        return write_sample(tmp_path / folder, sources, **keys)

    return write


@pytest.fixture
def town(write_function):
    """A function of two classes, one around the other, and a helper; the ``.emd`` it belongs to."""

    def write(**keys):
        return write_function(TOWN, **keys)

    return write


@pytest.fixture(scope="session")
def shared_town(tmp_path_factory):
    """The same once for all; nobody changes it."""
    return write_sample(tmp_path_factory.mktemp("town"), TOWN)


@pytest.fixture(autouse=True)
def no_remembered_consent(tmp_path, monkeypatch):
    """Consent of one test must not reach another, nor the user's settings."""
    monkeypatch.setenv("IMAGERYDL_TRUST", str(tmp_path / "trusted.json"))
