"""Raster functions through the tool Classify Pixels, from raster to raster."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from imagerydl.errors import ModelError, ParameterError, TrustError
from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job


@pytest.fixture
def classify(tmp_path):
    """Run the tool; returns the class raster, its validity and its no-data value."""

    def run(raster, model, **values):
        out = tmp_path / "out" / "classes.tif"
        values = {
            "OUT_CLASSIFIED_RASTER": str(out),
            "DEVICE": "CPU",
            "TRUST_MODEL": True,
            "OVERWRITE": True,
            **values,
        }
        run_job(
            make_job("classifypixels", {"IN_RASTER": raster, "IN_MODEL_DEFINITION": model, **values}),
            Reporter(),
        )
        with rasterio.open(out) as file:
            return file.read(1), file.read_masks(1) > 0

    return run


def picture(height, width):
    return np.random.default_rng(7).integers(0, 255, (2, height, width), dtype=np.uint8)


def expected(image, reach=2, modulus=5):
    """What the sample's network says, computed at once for the whole image."""
    wide = np.pad((image[0] - image[1]).astype(np.int64), reach)
    height, width = image.shape[1:]
    total = sum(
        wide[y : y + height, x : x + width] for y in range(2 * reach + 1) for x in range(2 * reach + 1)
    )
    return total % modulus + 1


@pytest.mark.parametrize(
    "arguments", ["", "batch_size 6", "padding 5;batch_size 17", "batch_size 1;padding 3"]
)
@pytest.mark.parametrize("size", [(103, 157), (1, 1), (7, 300)])
def test_a_raster_function_is_pixel_exact(town, make_raster, classify, arguments, size):
    """P5, P11: the user's function is called; a batch of 6 becomes 4."""
    image = picture(*size)
    classes, valid = classify(make_raster("a.tif", image), town(), ARGUMENTS=arguments)
    assert valid.all()
    np.testing.assert_array_equal(classes, expected(image))


def test_three_spellings_of_a_function_give_the_same_raster(town, make_raster, classify, tmp_path):
    """P2: definition, text and package."""
    image = picture(60, 80)
    raster, emd = make_raster("a.tif", image), Path(town())
    with zipfile.ZipFile(tmp_path / "town.dlpk", "w") as package:
        for path in emd.parent.rglob("*"):
            package.write(path, path.relative_to(emd.parent))
    absolute = {
        "ModelFile": str(emd.parent / "weights.json"),
        "InferenceFunction": str(emd.parent / "TownClassifier.py"),
    }
    text = json.dumps({**json.loads(emd.read_text()), **absolute})
    for model in (str(emd), text, str(tmp_path / "town.dlpk")):
        np.testing.assert_array_equal(classify(raster, model)[0], expected(image))


def test_no_data_stays_no_data(town, make_raster, classify):
    image = picture(60, 80)
    mask = np.full((60, 80), 255, np.uint8)
    mask[20:40, 10:30] = 0
    classes, valid = classify(make_raster("a.tif", image, mask=mask), town())
    np.testing.assert_array_equal(valid, mask > 0)
    np.testing.assert_array_equal(classes[valid], expected(np.where(mask, image, 0).astype(np.uint8))[valid])


def test_a_range_is_that_of_the_raster(write_function, make_raster, classify):
    source = """
        class Ranged:
            def getConfiguration(self, **scalars):
                return {"dataRange": (0, 10)}
            def updatePixels(self, tlc, shape, props, **pixelBlocks):
                return {"output_pixels": pixelBlocks["raster_pixels"][0].round().astype("u1")}
    """
    image = np.repeat(np.linspace(1000, 3000, 21).astype(np.uint16)[None, None], 2, axis=0)
    classes, _ = classify(make_raster("a.tif", image), write_function({"Ranged.py": source}))
    np.testing.assert_array_equal(classes[0], np.linspace(0, 10, 21).astype(np.float32).round())


def test_nothing_runs_without_consent_nor_with_arguments_nobody_knows(town, make_raster, classify):
    """O19, P12: the function's arguments are all there are."""
    raster, emd = make_raster("a.tif", picture(20, 20)), town()
    with pytest.raises(TrustError):
        classify(raster, emd, TRUST_MODEL=False)
    with pytest.raises(ParameterError, match="overlap"):
        classify(raster, emd, ARGUMENTS="overlap 0.5")


def test_a_function_that_fails_in_the_middle_leaves_nothing(write_function, make_raster, classify, tmp_path):
    source = """
        class Late:
            calls = 0
            def updatePixels(self, tlc, shape, props, **pixelBlocks):
                self.calls += 1
                if self.calls > 3:
                    raise RuntimeError("enough")
                return {"output_pixels": pixelBlocks["raster_pixels"][0]}
    """
    with pytest.raises(ModelError, match=r"Late\.py failed in updatePixels \(line 7 of Late\.py\): .*enough"):
        classify(make_raster("a.tif", picture(60, 80)), write_function({"Late.py": source}))
    assert not (tmp_path / "out" / "classes.tif").exists()
