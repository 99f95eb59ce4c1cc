"""A raster function behind the interface of every pixel model, block by block."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagerydl.errors import (
    ModelDefinitionError,
    ModelError,
    ParameterError,
    RuntimeMissingError,
    TrustError,
)
from imagerydl.events import Reporter
from imagerydl.labels.classes import ClassEntry
from imagerydl.models.definition import load_definition
from imagerydl.models.runtimes import open_pixel_model, opening
from imagerydl.models.runtimes.protocol import Gives, Scene

#: A function with nothing but the method under test.
BARE = """
    import numpy as np
    class Bare:
        def updateRasterInfo(self, **kwargs):
            kwargs["output_info"]["pixelType"] = "{pixel_type}"
            return kwargs
        def updatePixels(self, tlc, shape, props, **pixelBlocks):
            pixels = pixelBlocks["raster_pixels"]
            {body}
"""


def open_function(emd, arguments=None, **options):
    return open_pixel_model(load_definition(emd), "CPU", arguments=arguments or {}, consent=True, **options)


def classify(model, image, valid=None, transform=(2.0, 0.0, 100.0, 0.0, -2.0, 900.0)):
    """Classes of a whole image, cut into the model's blocks and put together again."""
    height, width = image.shape[1:]
    valid = np.ones((height, width), bool) if valid is None else valid
    outer, margin = model.tile_size, model.margin
    inner = outer[0] - 2 * margin, outer[1] - 2 * margin
    model.begin(Scene(width, height, transform, 32633, image.dtype.name))
    result = np.zeros((height, width), model.pixel_type)
    wide = np.pad(image, ((0, 0), *((margin, margin + size) for size in inner)))
    wide_valid = np.pad(valid, [(margin, margin + size) for size in inner])
    for row in range(0, height, inner[0]):
        for column in range(0, width, inner[1]):
            place = np.s_[row : row + outer[0], column : column + outer[1]]
            block = model.scores(
                wide[(slice(None), *place)][None], wide_valid[place][None], [(column - margin, row - margin)]
            )
            part = result[row : row + inner[0], column : column + inner[1]]
            part[:] = block[0, 0, : part.shape[0], : part.shape[1]]
    return result


def bytes_image(height, width, bands=2, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (bands, height, width), dtype=np.uint8)


def neighbourhood_classes(image, reach=2, modulus=5):
    """What the sample's network says, computed at once for the whole image."""
    difference = (image[0] - image[1]).astype(np.int64)
    wide = np.pad(difference, reach)
    height, width = difference.shape
    total = sum(
        wide[y : y + height, x : x + width] for y in range(2 * reach + 1) for x in range(2 * reach + 1)
    )
    return total % modulus + 1


@pytest.mark.parametrize(("batch", "used"), [(1, 1), (4, 4), (5, 4), (6, 4), (17, 16)])
def test_a_function_that_looks_around_is_pixel_exact_whatever_its_batch(town, batch, used):
    """P5, P10, P11: the user's function is called; a batch of 6 becomes 4."""
    side = int(used**0.5)
    model = open_function(town(), {"batch_size": str(batch)})
    assert (model.tile_size, model.margin) == ((8 * side + 4, 12 * side + 4), 2)
    assert (model.gives, model.blends, model.outputs, model.fitting_batch(8)) == (Gives.VALUES, False, 1, 1)
    image = bytes_image(37, 61)
    np.testing.assert_array_equal(classify(model, image), neighbourhood_classes(image))


@given(
    height=st.integers(1, 60), width=st.integers(1, 60), padding=st.integers(2, 5), batch=st.integers(1, 20)
)
def test_any_size_padding_and_batch_give_the_same_classes(shared_town, height, width, padding, batch):
    model = open_function(shared_town, {"padding": str(padding), "batch_size": str(batch)})
    image = bytes_image(height, width, seed=height * 64 + width)
    np.testing.assert_array_equal(classify(model, image), neighbourhood_classes(image))


def test_a_function_of_single_pixels_needs_no_padding(town):
    model = open_function(town(ModelConfiguration="Pixelwise"), {"padding": "0"})
    image = bytes_image(30, 50)
    expected = (image[0] - image[1]) % 5 + 1  # bytes: the difference wraps
    np.testing.assert_array_equal(classify(model, image), expected)


def test_what_is_invalid_is_masked_and_outside_the_raster_is_zero(town):
    image = bytes_image(20, 30)
    valid = np.random.default_rng(1).random((20, 30)) > 0.3
    classes = classify(open_function(town()), image, valid)
    np.testing.assert_array_equal(
        classes[valid], neighbourhood_classes(np.where(valid, image, 0).astype(np.uint8))[valid]
    )


def test_the_users_arguments_reach_the_function(town):
    """W16, O19: variables of the function are its arguments."""
    image = bytes_image(8, 12)
    plain = classify(open_function(town(), {"batch_size": "1"}), image)
    changed = classify(open_function(town(), {"batch_size": "1", "shift": "20", "mode": "Swapped"}), image)
    np.testing.assert_array_equal(changed, (plain + 20)[::-1])


def test_what_a_function_says_reaches_the_user(town):
    said = []
    open_function(town(), {"loud": "yes", "batch_size": "6"}, reporter=Reporter(said.append))
    assert [event["text"] for event in said] == [
        "batch_size 6 fills no square: 4 is used.",
        "batches of 4",
    ]


def test_the_class_table_gives_names_and_colours(town):
    model = open_function(town())
    assert model.pixel_type == "int32"
    assert next(iter(model.classes)) == ClassEntry(1, "zone 1", (1, 20, 30))
    assert model.classes.values == (1, 2, 3, 4, 5)


def test_bands_are_the_functions_choice(town):
    assert open_function(town(ExtractBands=["Red", 3])).extract_bands == ("Red", 3)


def test_a_model_path_of_another_system_and_a_definition_with_a_comma_too_many_are_read(town):
    emd = Path(town(ModelFile=".\\weights.json"))
    emd.write_text("\ufeff" + emd.read_text()[:-1] + ",}", encoding="utf-8")
    image = bytes_image(20, 30)
    model = open_function(str(emd))
    np.testing.assert_array_equal(classify(model, image), neighbourhood_classes(image))
    copy = model._file.path
    assert copy.is_file()
    model.close()
    assert not copy.exists()


def test_a_definition_as_text_is_the_same_model(town):
    """P2: a definition file and its text give the same classes."""
    emd = Path(town())
    absolute = {
        name: str(emd.parent / file)
        for name, file in (("ModelFile", "weights.json"), ("InferenceFunction", "TownClassifier.py"))
    }
    text = json.dumps({**json.loads(emd.read_text()), **absolute})
    image = bytes_image(20, 30)
    np.testing.assert_array_equal(
        classify(open_function(text), image), classify(open_function(str(emd)), image)
    )


def test_the_function_is_told_where_its_block_lies(write_function):
    source = """
        import numpy as np
        class Place:
            def getConfiguration(self, **scalars):
                return {"padding": 3, "tx": 10, "ty": 10}
            def updateRasterInfo(self, **kwargs):
                info = kwargs["raster_info"]
                self.told = info["width"], info["pixelType"], info["spatialReference"], info["extent"]
                kwargs["output_info"]["pixelType"] = "f8"
            def updatePixels(self, tlc, shape, props, **pixelBlocks):
                xmin, ymin, xmax, ymax = props["extent"]
                columns = (tlc[0] - xmin) / props["cellSize"][0] + np.arange(shape[1])
                rows = (ymax - tlc[1]) / props["cellSize"][1] + np.arange(shape[0])
                assert self.told == (25, "u2", 32633, (100.0, 860.0, 150.0, 900.0)), self.told
                assert props["pixelType"] == "f8" and (props["width"], props["height"]) == (25, 20)
                return {"output_pixels": rows[:, None] * 1000 + columns}
    """
    model = open_function(write_function({"Place.py": source}))
    assert model.wants_positions
    told = classify(model, np.zeros((2, 20, 25), np.uint16))
    np.testing.assert_array_equal(told, np.arange(20)[:, None] * 1000 + np.arange(25))


def test_the_example_of_the_documentation_runs(write_function):
    page = (Path(__file__).resolve().parents[4] / "docs" / "raster-functions.md").read_text(encoding="utf-8")
    source = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    emd = write_function({"RoofClassifier.py": source}, ImageHeight=256, ImageWidth=256)
    image = bytes_image(300, 280, bands=1)
    roofs = classify(open_function(emd, {"limit": "200"}), image)
    np.testing.assert_array_equal(roofs, image[0] > 200)


def test_a_mask_of_the_function_says_where_it_has_no_class(write_function):
    body = 'return {"output_pixels": pixels[0], "output_mask": pixels[0] > 99}'
    model = open_function(write_function({"Bare.py": BARE.format(pixel_type="u1", body=body)}))
    image = bytes_image(12, 16)
    assert model.no_value == 255
    np.testing.assert_array_equal(classify(model, image), np.where(image[0] > 99, image[0], 255))


def test_a_range_the_function_asks_for_is_passed_on(write_function):
    source = """
        class Ranged:
            def getConfiguration(self, **scalars):
                return {"dataRange": (0.0, 1.0)}
            def updatePixels(self, tlc, shape, props, **pixelBlocks):
                pixels = pixelBlocks["raster_pixels"]
                assert str(pixels.dtype) == "float32"
                return {"output_pixels": (pixels[:1] * 4).astype(props["pixelType"])}
    """
    model = open_function(write_function({"Ranged.py": source}))
    assert model.data_range == (0.0, 1.0)
    assert not model.input.as_read
    part = np.full((1, 2, 12, 16), 0.5, np.float32)
    assert (model.scores(part, np.ones((1, 12, 16), bool)) == 2).all()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return None", r"updatePixels of Bare\.py gives NoneType"),
        ("return pixelBlocks", r"without output_pixels"),
        ("return {'output_pixels': pixels[0, :3]}", r"\[3, 16\] for a block of 16 x 12"),
        ("return {'output_pixels': pixels[0] + 0.5}", r"gives the value \d+\.5"),
        ("return {'output_pixels': pixels[0] * 1000.0}", r"its pixelType is uint8"),
        ("return {'output_pixels': np.full((12, 16), np.nan)}", r"gives the value nan"),
        ("return {'output_pixels': pixels[0], 'output_mask': pixels[0, 0]}", r"output_mask of \[16\]"),
        (
            "return {'output_pixels': pixels[0] + pixels[7]}",
            r"failed in updatePixels \(line 9 of Bare\.py\): Ind",
        ),
        (
            "return {'output_pixels': pixels[0] * 0 + 255}",
            r"the value 255, which stands for no data in uint8",
        ),
        ("raise SystemExit(3)", r"Bare\.py failed in updatePixels .*SystemExit: 3"),
        ("import arcpy; arcpy.sa.Slope(pixels)", r"arcpy\.sa is not available outside ArcGIS"),
    ],
)
def test_what_a_function_does_wrong_is_told_by_name(write_function, body, said):
    model = open_function(write_function({"Bare.py": BARE.format(pixel_type="u1", body=body)}))
    with pytest.raises(ModelError, match=said):
        classify(model, bytes_image(12, 16) | 1)


def test_a_function_without_memory_says_so_to_the_pipeline(write_function):
    body = 'raise RuntimeError("CUDA out of memory")'
    model = open_function(write_function({"Bare.py": BARE.format(pixel_type="u1", body=body)}))
    with pytest.raises(MemoryError, match=r"Bare\.py"):
        classify(model, bytes_image(12, 16))


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("import no_such_package", RuntimeMissingError, "package 'no_such_package' is not installed"),
        ("import cv2_missing.part", RuntimeMissingError, r"Odd\.py imports cv2_missing: .* 'cv2_missing'"),
        (
            "import prf_utils",
            ModelDefinitionError,
            r"Odd\.py needs prf_utils\.py, which does not lie beside it",
        ),
        ("from arcgis.learn import UnetClassifier", RuntimeMissingError, "which only ArcGIS has"),
        ("from arcpy.ia import Raster", RuntimeMissingError, "arcpy.ia, which only ArcGIS has"),
        ("def broken(:", ModelError, r"import \(line 1 of Odd\.py\): SyntaxError"),
        ("x = 1", ModelDefinitionError, r"Odd\.py has no class Odd"),
        ("class Odd:\n    def vectorize(self): pass", ModelDefinitionError, "does not classify pixels"),
        (
            "class A:\n    def updatePixels(self): pass\nclass B:\n    def updatePixels(self): pass",
            ModelDefinitionError,
            r"several \(A, B\)",
        ),
        (
            "class Odd:\n    def __init__(self): raise KeyError('weights')\n    def updatePixels(self): pass",
            ModelError,
            r"failed in __init__ \(line 2 of Odd\.py\): KeyError: 'weights'",
        ),
    ],
)
def test_a_function_that_cannot_be_loaded_says_why(write_function, source, error, said):
    """P4: a missing package is named when the model is opened."""
    emd = write_function({"Odd.py": source})
    with pytest.raises(error, match=said):
        open_function(emd)


def test_the_only_class_that_fits_is_taken_where_none_has_the_files_name(write_function):
    source = BARE.format(pixel_type="u1", body='return {"output_pixels": pixels[0]}').replace(
        "Bare", "Another"
    )
    model = open_function(write_function({"draft-1.2.py": source}))
    image = bytes_image(12, 16)
    np.testing.assert_array_equal(classify(model, image), image[0])


def test_padding_of_half_a_tile_leaves_nothing(town):
    with pytest.raises(ParameterError, match="padding of 6 nothing is left of tiles of 16 x 12"):
        open_function(town(), {"padding": "6"})


def test_a_missing_function_is_named(town):
    """P3: the definition must lead to the function."""
    with pytest.raises(ModelDefinitionError, match=r"town\.emd is \.\\Missing\.py, which does not exist"):
        open_function(town(InferenceFunction=".\\Missing.py"))


def test_nothing_of_a_function_runs_before_somebody_agrees(write_function, tmp_path):
    source = (
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n" + "class Mine:\n    def updatePixels(self): pass\n"
    )
    definition = load_definition(write_function({"Mine.py": source, "helper.py": "", "net/part.py": ""}))
    with pytest.raises(TrustError, match=r"Python raster function .*Mine\.py.*TRUST_MODEL"):
        open_pixel_model(definition, "CPU")
    with pytest.raises(TrustError):
        opening.declared_arguments(definition)
    assert not (tmp_path / "ran").exists()
    names = {path.name for path in opening.foreign_code(definition).files}
    assert names == {"Mine.py", "helper.py", "part.py", "weights.json"}


def test_consent_ends_when_a_module_beside_the_function_changes(town):
    emd = town()
    open_function(emd)
    open_pixel_model(load_definition(emd), "CPU")  # remembered
    helper = Path(emd).with_name("prf_utils.py")
    helper.write_text(helper.read_text() + "# changed\n")
    with pytest.raises(TrustError, match=r"prf_utils\.py"):
        open_pixel_model(load_definition(emd), "CPU")


def test_a_function_among_everything_else_is_refused(write_function):
    """Whatever lies beside a function could run with it: nobody can agree to a whole library."""
    emd = write_function({"Mine.py": "", **{f"library/module_{n}.py": "" for n in range(501)}})
    with pytest.raises(ModelDefinitionError, match=r"function of town\.emd lies among very many other files"):
        opening.foreign_code(load_definition(emd))


def test_the_dialogs_arguments_are_the_functions_own(town):
    """P12, W16: names, types, defaults and choices come from getParameterInfo."""
    emd = town()
    arguments = opening.declared_arguments(load_definition(emd), consent=True)
    assert open_function(emd).arguments == arguments
    assert [(a.name, a.kind, a.default) for a in arguments] == [
        ("padding", "number", "2"),
        ("batch_size", "number", "4"),
        ("Shift", "number", "0"),
        ("mode", "choice", "plain"),
        ("loud", "boolean", "False"),
    ]
    assert (arguments[0].label, arguments[0].help) == ("Padding", "Pixels around a tile.")
    assert (arguments[2].minimum, arguments[2].maximum) == (0, 100)
    assert arguments[3].choices == ("plain", "swapped")
