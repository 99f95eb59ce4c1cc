"""Models of a few lines that find and name objects: Python raster functions, to Esri's contract."""

from __future__ import annotations

import json
from pathlib import Path

#: Bright patches of a block are objects: 100 is a pool, 200 a tree; the second band is the confidence.
DETECTOR = """
import json
import numpy as np


class PatchDetector:
    def initialize(self, model, device):
        pass

    def getParameterInfo(self):
        return [
            {"name": "raster", "dataType": "raster", "value": None, "required": True},
            {"name": "padding", "dataType": "numeric", "value": "4", "required": False},
            {"name": "least", "dataType": "numeric", "value": 50, "domain": (0, 100),
             "displayName": "Least", "description": "Least confidence in percent."},
        ]

    def getConfiguration(self, **scalars):
        self.padding = int(scalars["padding"])
        self.least = float(scalars["least"])
        return {"padding": self.padding, "tx": 32 - 2 * self.padding, "ty": 32 - 2 * self.padding}

    def getFields(self):
        return json.dumps({"fields": [
            {"name": "OID", "type": "esriFieldTypeOID", "alias": "OID"},
            {"name": "Class", "type": "esriFieldTypeString", "alias": "Class"},
            {"name": "Confidence", "type": "esriFieldTypeDouble", "alias": "Confidence"},
            {"name": "Shape", "type": "esriFieldTypeGeometry", "alias": "Shape"}]})

    def getGeometryType(self):
        return 4

    def vectorize(self, **pixelBlocks):
        pixels, features = pixelBlocks["raster_pixels"], []
        for position, value in ((1, 100), (2, 200)):
            left = pixels[0] == value
            while left.any():
                top, start = np.argwhere(left)[0]
                end, bottom = start, top
                while end + 1 < left.shape[1] and left[top, end + 1]:
                    end += 1
                while bottom + 1 < left.shape[0] and left[bottom + 1, start]:
                    bottom += 1
                left[top:bottom + 1, start:end + 1] = False
                sure = float(pixels[1, top, start])
                if sure < self.least:
                    continue
                x0, x1 = int(start) - self.padding, int(end) + 1 - self.padding
                y0, y1 = int(top) - self.padding, int(bottom) + 1 - self.padding
                features.append({
                    "attributes": {"OID": len(features) + 1, "Class": position, "Confidence": str(sure)},
                    "geometry": {"rings": [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]]}})
        return {"output_vectors": json.dumps({"features": features})}
"""

#: The brighter the middle of a chip, the later the class.
CLASSIFIER = """
import json


class Brightness:
    def initialize(self, model, device):
        pass

    def getParameterInfo(self):
        return [{"name": "rasters", "dataType": "rasters", "value": None, "required": True}]

    def getConfiguration(self, **scalars):
        return {"extractBands": (0, 1), "padding": 0}

    def vectorize(self, **pixelBlocks):
        features = []
        for chip in pixelBlocks["rasters_pixels"]:
            middle = chip[0][chip.shape[1] // 2, chip.shape[2] // 2]
            features.append({
                "attributes": {"Label": "Pool" if middle < 150 else "Tree", "Confidence": 87.5},
                "geometry": {"rings": [[[0, 0], [0, 8], [8, 8], [8, 0]]]}})
        return {"output_vectors": json.dumps({"features": features})}
"""

CLASSES = [
    {"Value": 1, "Name": "Pool", "Color": [10, 20, 200]},
    {"Value": 2, "Name": "Tree", "Color": [10, 200, 20]},
]


def write_model(folder: Path, name: str, code: str, model_type: str, **keys: object) -> str:
    """A definition and its function in ``folder``; returns the path of the definition."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    (folder / "weights.bin").write_bytes(b"none")
    definition = {
        "Framework": "PyTorch", "ModelConfiguration": name, "ModelType": model_type,
        "ModelFile": "weights.bin", "InferenceFunction": f"{name}.py",
        "ImageHeight": 32, "ImageWidth": 32, "ExtractBands": [0, 1], "Classes": CLASSES, **keys,
    }  # fmt: skip
    path = folder / f"{name}.emd"
    path.write_text(json.dumps(definition), encoding="utf-8")
    return str(path)


def write_detector(folder: Path) -> str:
    """A model for Detect Objects."""
    return write_model(folder, "PatchDetector", DETECTOR, "ObjectDetection")


def write_classifier(folder: Path) -> str:
    """A model for Classify Objects, which looks at 8 x 8 pixels around each object."""
    return write_model(
        folder, "Brightness", CLASSIFIER, "ObjectClassification", ImageHeight=8, ImageWidth=8, CropSizeFixed=1
    )
