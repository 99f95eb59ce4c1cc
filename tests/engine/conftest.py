"""Tiny rasters and models that the engine's tests are made of."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import settings

# A busy machine is no fault, and no two runs should differ by what an earlier one found.
settings.register_profile("imagerydl", deadline=None, database=None)
settings.load_profile("imagerydl")

UTM = "EPSG:32633"
NORTH_UP = Affine(0.5, 0, 500000, 0, -0.5, 5000000)


@pytest.fixture
def make_raster(tmp_path):
    """Write ``[bands, h, w]`` to a GeoTIFF; georeferenced unless ``crs=None, transform=None``."""

    def make(name, data, crs=UTM, transform=NORTH_UP, mask=None, names=(), **profile):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = np.asarray(data)
        shape = {"count": data.shape[0], "height": data.shape[1], "width": data.shape[2]}
        place = {"crs": crs, "transform": transform} if transform is not None else {}
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            with rasterio.open(path, "w", "GTiff", dtype=data.dtype, **shape, **place, **profile) as file:
                file.write(data)
                if mask is not None:
                    file.write_mask(mask)
                for index, band_name in enumerate(names, start=1):
                    file.set_band_description(index, band_name)
        return str(path)

    return make


@pytest.fixture
def make_model(tmp_path):
    """Write an ONNX network of one 1 x 1 convolution, and the definition that goes with it.

    Each pixel's logits are ``weights @ values + bias``: a model that looks at one pixel at a time.
    """

    def make(weights, bias=None, *, name="model", tile=32, classes=None, shape=("n", None, "h", "w"), **keys):
        onnx = pytest.importorskip("onnx", reason="the onnx package writes the test's model")
        weights = np.asarray(weights, np.float32)
        outputs, bands = weights.shape
        bias = np.zeros(outputs, np.float32) if bias is None else np.asarray(bias, np.float32)
        in_shape = [bands if side is None else side for side in shape]
        out_shape = [in_shape[0], outputs, *in_shape[2:]]
        tensor = onnx.TensorProto.FLOAT
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("Conv", ["x", "w", "b"], ["y"])],
            "pixelwise",
            [onnx.helper.make_tensor_value_info("x", tensor, in_shape)],
            [onnx.helper.make_tensor_value_info("y", tensor, out_shape)],
            [
                onnx.numpy_helper.from_array(weights[:, :, None, None], "w"),
                onnx.numpy_helper.from_array(bias, "b"),
            ],
        )
        opset = [onnx.helper.make_opsetid("", 17)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / f"{name}.onnx")
        values = list(range(1, outputs + 1)) if classes is None else classes
        size = (tile, tile) if isinstance(tile, int) else tile
        definition = {
            "Framework": "ONNX",
            "ModelConfiguration": "Pixelwise",
            "ModelType": "ImageClassification",
            "ModelFile": f"{name}.onnx",
            "ImageHeight": size[0],
            "ImageWidth": size[1],
            "ExtractBands": list(range(bands)),
            "Classes": [
                {"Value": value, "Name": f"class {value}", "Color": [value % 256, 10, 20]} for value in values
            ],
        }
        path = tmp_path / f"{name}.emd"
        path.write_text(json.dumps({**definition, **keys}), encoding="utf-8")
        return str(path)

    return make
