"""Classify Objects from job to published layer."""

from __future__ import annotations

import json
import sqlite3
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from imagerydl.errors import DataError, ModelDefinitionError, ParameterError, RuntimeMissingError
from imagerydl.events import Reporter
from imagerydl.imagery.transforms import apply, compose
from imagerydl.jobs import make_job, run_job
from imagerydl.labels.geometry import transformed
from imagerydl.tools.classifyobjects import TOOL

UTM = "EPSG:32633"


@pytest.fixture
def model(tmp_path):
    """A network whose logits are the mean of each band; the brightest band is the class."""
    onnx = pytest.importorskip("onnx", reason="the onnx package writes the test's model")

    def make(ends_with="", name="model", tile=8, **keys):
        tensor = onnx.TensorProto.FLOAT
        nodes = [onnx.helper.make_node("GlobalAveragePool", ["x"], ["p"])]
        nodes += [onnx.helper.make_node("Flatten", ["p"], ["y" if not ends_with else "f"])]
        if ends_with:
            nodes += [onnx.helper.make_node(ends_with, ["f"], ["y"])]
        graph = onnx.helper.make_graph(
            nodes,
            "means",
            [onnx.helper.make_tensor_value_info("x", tensor, ["n", 3, tile, tile])],
            [onnx.helper.make_tensor_value_info("y", tensor, ["n", 3])],
        )
        opset = [onnx.helper.make_opsetid("", 17)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / f"{name}.onnx")
        names = ("Red roof", "Green roof", "Blue roof")
        definition = {
            "Framework": "ONNX",
            "ModelConfiguration": "Means",
            "ModelType": "ObjectClassification",
            "ModelFile": f"{name}.onnx",
            "ImageHeight": tile,
            "ImageWidth": tile,
            "ExtractBands": [0, 1, 2],
            "Normalization": {"Subtract": [0, 0, 0], "Divide": [50, 50, 50]},
            "Classes": [
                {"Value": value, "Name": text, "Color": [value * 50, 10, 20]}
                for value, text in enumerate(names)
            ],
            **keys,
        }
        path = tmp_path / f"{name}.emd"
        path.write_text(json.dumps(definition))
        return str(path)

    return make


#: Left, top, right, bottom in pixels, and the band that is bright there.
ROOFS = ((10, 10, 20, 18, 0), (40, 12, 50, 20, 1), (70, 60, 79, 66, 2), (15, 80, 21, 90, 1))


@pytest.fixture
def town(make_raster):
    data = np.full((3, 100, 100), 5, np.uint8)
    for left, top, right, bottom, band in ROOFS:
        data[band, top:bottom, left:right] = 250
    return make_raster("town.tif", data)


def on_map(left, top, right, bottom):
    return shapely.box(500000 + left / 2, 5000000 - bottom / 2, 500000 + right / 2, 5000000 - top / 2)


@pytest.fixture
def layer(tmp_path):
    def write(geometries, name="roofs.gpkg", crs=UTM, **columns):
        path = tmp_path / name
        columns = columns or {"number": np.arange(len(geometries))}
        shapes = np.empty(len(geometries), object)
        shapes[:] = geometries
        kinds = {shape.geom_type for shape in geometries if shape is not None}
        pyogrio.raw.write(
            path,
            shapely.to_wkb(shapes),
            list(columns.values()),
            list(columns),
            geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
            crs=crs,
        )
        return str(path)

    return write


class Run:
    def __init__(self, folder):
        self.out = folder / "out" / "classified.gpkg"
        self.events = []

    def __call__(self, raster, model, features=None, **values):
        given = {"OUT_FEATURE_CLASS": str(self.out), "DEVICE": "CPU", "OVERWRITE": True}
        given |= {"IN_RASTER": raster, "IN_MODEL_DEFINITION": model, "IN_FEATURES": features, **values}
        return run_job(make_job("classifyobjects", given), Reporter(self.events.append))

    @property
    def said(self):
        return " ".join(event["text"] for event in self.events if event["event"] == "message")

    def result(self):
        meta, _, wkb, columns = pyogrio.raw.read(self.out, layer="objects")
        shapes = None if wkb is None else shapely.from_wkb(wkb)
        return dict(zip(meta["fields"], columns)), shapes, meta


@pytest.fixture
def classify(tmp_path):
    return Run(tmp_path)


EXPECTED = ["Red roof", "Green roof", "Blue roof", "Green roof"]


def test_parameters_stand_in_the_documented_order():
    """O13."""
    assert [param.key for param in TOOL.params][:7] == [
        "IN_RASTER",
        "OUT_FEATURE_CLASS",
        "IN_MODEL_DEFINITION",
        "IN_FEATURES",
        "CLASS_LABEL_FIELD",
        "PROCESSING_MODE",
        "MODEL_ARGUMENTS",
    ]


def test_polygons_get_a_label_each_in_their_own_order(town, model, layer, classify):
    """O1, O3, O14, O16: a label each, in ClassLabel; all fields stay."""
    roofs = [on_map(*roof[:4]) for roof in ROOFS]
    results = classify(town, model(), layer(roofs[::-1], owner=np.array(["d", "c", None, "a"], object)))
    fields, shapes, meta = classify.result()
    assert results == {"OUT_FEATURE_CLASS": str(classify.out), "CLASSIFIED": 4}
    assert list(fields) == ["owner", "ClassLabel", "Confidence"]
    assert fields["ClassLabel"].tolist() == EXPECTED[::-1]
    assert fields["owner"].tolist() == ["d", "c", None, "a"]
    assert (fields["Confidence"] > 50).all()
    assert (fields["Confidence"] <= 100).all()
    assert all(a.equals(b) for a, b in zip(shapes, roofs[::-1]))
    assert meta["crs"] == UTM


def test_the_layer_is_coloured_by_class(town, model, layer, classify):
    classify(town, model(), layer([on_map(*ROOFS[0][:4])]))
    with sqlite3.connect(classify.out) as database:
        ((style,),) = database.execute("SELECT styleQML FROM layer_styles").fetchall()
    assert 'attr="ClassLabel"' in style
    assert 'value="Green roof"' in style


@pytest.mark.parametrize("kind", ["points", "lines"])
def test_points_and_lines_come_out_as_the_ground_looked_at(town, model, layer, classify, kind):
    """O14, O20: the output geometry surrounds the object."""
    boxes = [on_map(*roof[:4]) for roof in ROOFS]
    if kind == "points":
        objects = [box.centroid for box in boxes]
    else:
        objects = [
            shapely.LineString([box.centroid, box.centroid.buffer(1).exterior.coords[0]]) for box in boxes
        ]
    classify(town, model(), layer(objects))
    fields, shapes, _ = classify.result()
    assert fields["ClassLabel"].tolist() == EXPECTED
    assert all(shape.covers(own) for shape, own in zip(shapes, objects))
    assert shapely.area(shapes).tolist() == [16.0] * 4  # 8 x 8 pixels of half a metre


def test_features_in_another_system_lie_where_they_should(town, model, layer, classify):
    roofs = np.array([on_map(*roof[:4]) for roof in ROOFS], object)
    degrees = transformed(CRS.from_epsg(32633), CRS.from_epsg(4326), roofs)
    classify(town, model(), layer(list(degrees), crs="EPSG:4326"))
    fields, _, meta = classify.result()
    assert fields["ClassLabel"].tolist() == EXPECTED
    assert meta["crs"] == "EPSG:4326"


def test_fixed_chips_show_the_surroundings_and_boxes_do_not(make_raster, model, layer, classify):
    """O9: CropSizeFixed 1 is a tile with the object in the middle, 0 the smallest box around it."""
    data = np.zeros((3, 40, 40), np.uint8)
    data[2], data[0, 18:22, 18:22] = 200, 250
    data[2, 18:22, 18:22] = 0
    raster, roof = make_raster("a.tif", data), layer([on_map(18, 18, 22, 22)])
    classify(raster, model(CropSizeFixed=1), roof)
    assert classify.result()[0]["ClassLabel"].tolist() == ["Blue roof"]
    classify(raster, model(CropSizeFixed=0), roof)
    assert classify.result()[0]["ClassLabel"].tolist() == ["Red roof"]
    # Padding shows some of the surroundings again.
    classify(raster, model(CropSizeFixed=0), roof, MODEL_ARGUMENTS="padding 2;batch_size 4")
    assert classify.result()[0]["ClassLabel"].tolist() == ["Blue roof"]


def test_surroundings_are_black_where_the_definition_says_so(make_raster, model, layer, classify):
    """O10, O8: BlackenAroundFeature 1 masks the pixels outside, 0 does not."""
    data = np.zeros((3, 40, 40), np.uint8)
    data[2], data[0, 18:22, 18:22] = 200, 250
    data[2, 18:22, 18:22] = 0
    classify(make_raster("a.tif", data), model(BlackenAroundFeature=1), layer([on_map(18, 18, 22, 22)]))
    assert classify.result()[0]["ClassLabel"].tolist() == ["Red roof"]


def test_features_that_cannot_be_classified_keep_their_row_and_are_listed(
    make_raster, model, layer, classify
):
    data = np.full((3, 100, 100), 5, np.uint8)
    data[0, 10:18, 10:20] = 250
    data[:, 60:80, 60:80] = 0
    raster = make_raster("a.tif", data, nodata=0)
    objects = [on_map(500, 500, 510, 510), None, on_map(10, 10, 20, 18), on_map(66, 66, 72, 72)]
    results = classify(raster, model(), layer(objects))
    fields, shapes, _ = classify.result()
    assert fields["ClassLabel"].tolist() == [None, None, "Red roof", None]
    assert np.isnan(fields["Confidence"]).tolist() == [True, True, False, True]
    assert results["CLASSIFIED"] == 1
    assert shapes[1] is None
    for reason in ("1 features of roofs.gpkg have no geometry", "lie outside the imagery", "has no data"):
        assert reason.split("roofs.gpkg")[-1].strip() in classify.said


def test_objects_of_several_classes_have_their_names_joined(town, model, layer, classify):
    """O1: multi-label, joined by a semicolon; threshold says which count."""
    path = model("Sigmoid", Normalization={"Subtract": [60, 60, 60], "Divide": [20, 20, 20]})
    both = on_map(10, 10, 20, 18)
    classify(town, path, layer([both]), MODEL_ARGUMENTS="threshold 0.01")
    fields, _, _ = classify.result()
    assert fields["ClassLabel"].tolist() == ["Red roof;Green roof;Blue roof"]
    assert len(fields["Confidence"][0].split(";")) == 3
    classify(town, path, layer([both]))
    assert classify.result()[0]["ClassLabel"].tolist() == ["Red roof"]


def test_without_features_each_georeferenced_image_is_an_object(make_raster, model, classify):
    """O2, O15: extent polygons."""
    rasters = []
    for number, band in enumerate((2, 0)):
        data = np.full((3, 300, 200), 5, np.uint8)
        data[band, 50:250, 20:180] = 250
        place = Affine(0.5, 0, 500000 + 1000 * number, 0, -0.5, 5000000)
        rasters.append(make_raster(f"{'ab'[number]}.tif", data, transform=place))
    classify(rasters, model(), PROCESSING_MODE="PROCESS_ITEMS_SEPARATELY")
    fields, shapes, meta = classify.result()
    assert list(fields) == ["ImageID", "Image", "ClassLabel", "Confidence"]
    assert fields["Image"].tolist() == ["a.tif", "b.tif"]
    assert fields["ClassLabel"].tolist() == ["Blue roof", "Red roof"]
    assert shapely.bounds(shapes[0]).tolist() == [500000, 4999850, 500100, 5000000]
    assert meta["crs"] == UTM


@pytest.mark.parametrize("extension", ["gpkg", "geojson"])
def test_without_features_and_georeference_the_result_is_a_table(
    make_raster, model, classify, tmp_path, extension
):
    """O15: image id and label."""
    for name, band in (("p/1.tif", 0), ("p/2.tif", 1)):
        data = np.full((3, 20, 30), 5, np.uint8)
        data[band] = 200
        make_raster(name, data, crs=None, transform=None)
    classify.out = classify.out.with_suffix(f".{extension}")
    classify([], model(), IN_FOLDER=str(tmp_path / "p"))
    meta, _, wkb, columns = pyogrio.raw.read(classify.out)
    fields = dict(zip(meta["fields"], columns))
    assert wkb is None or all(cell is None for cell in wkb)
    assert fields["ImageID"].tolist() == [1, 2]
    assert fields["ClassLabel"].tolist() == ["Red roof", "Green roof"]


def test_features_on_photos_belong_to_the_photo_they_name(make_raster, model, layer, classify, tmp_path):
    """O11: pixel space; y is minus the row, as QGIS shows such images."""
    for name, band in (("p/1.tif", 0), ("p/2.tif", 1)):
        data = np.full((3, 60, 60), 5, np.uint8)
        data[band] = 200
        make_raster(name, data, crs=None, transform=None)
    boxes = [shapely.box(10, -30, 20, -20), shapely.box(10, -30, 20, -20)]
    for images in (["2.tif", "1.tif"], ["P/2.TIF", "1"]):
        features = layer(boxes, crs=None, Image=np.array(images, object))
        classify([], model(), features, IN_FOLDER=str(tmp_path / "p"))
        assert classify.result()[0]["ClassLabel"].tolist() == ["Green roof", "Red roof"]


def test_map_space_cuts_chips_along_the_map_and_pixel_space_along_the_image(
    make_raster, model, layer, classify
):
    """O11: a bar along the rows of a turned image fills its box there, and not on the map."""
    data = np.zeros((3, 60, 60), np.uint8)
    data[2] = 200
    data[0, 29:31, 26:34], data[2, 29:31, 26:34] = 250, 0
    turned = compose(Affine.translation(500000, 5000000), Affine.rotation(45), Affine.scale(1, -1))
    bar = shapely.Polygon([apply(turned, *corner) for corner in ((26, 29), (34, 29), (34, 31), (26, 31))])
    for space, label in (("PIXEL_SPACE", "Red roof"), ("MAP_SPACE", "Blue roof")):
        path = model(ImageSpaceUsed=space, CropSizeFixed=0)
        classify(make_raster("a.tif", data, transform=turned), path, layer([bar]))
        assert classify.result()[0]["ClassLabel"].tolist() == [label]


@pytest.mark.parametrize("arguments", ["batch_size 1", "batch_size 3", "test_time_augmentation True"])
def test_neither_batch_nor_views_change_what_does_not_depend_on_them(town, model, layer, classify, arguments):
    """O18: arguments as text."""
    classify(town, model(), layer([on_map(*roof[:4]) for roof in ROOFS]), MODEL_ARGUMENTS=arguments)
    assert classify.result()[0]["ClassLabel"].tolist() == EXPECTED


def test_a_field_of_the_label_s_name_is_replaced_and_confidence_kept(town, model, layer, classify):
    features = layer([on_map(*ROOFS[0][:4])], Kind=np.array(["old"], object), Confidence=np.array([12.5]))
    classify(town, model(), features, CLASS_LABEL_FIELD="Kind")
    fields, _, _ = classify.result()
    assert fields["Kind"].tolist() == ["Red roof"]
    assert fields["Confidence"].tolist() == [12.5]
    assert fields["ClassConfidence"][0] > 50


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"CLASS_LABEL_FIELD": "Confidence"}, "CLASS_LABEL_FIELD"),
        ({"MODEL_ARGUMENTS": "threshold 2"}, "threshold"),
        ({"IN_FOLDER": "x"}, "all given"),
    ],
)
def test_values_that_cannot_be_are_refused(model, classify, values, said):
    with pytest.raises(ParameterError, match=said):
        classify("a.tif", model(), **values)


def test_a_layer_without_any_geometry_is_refused(town, model, layer, classify):
    with pytest.raises(DataError, match="geometry"):
        classify(town, model(), layer([None, None]))


#: A function to Esri's contract: tuples of chips, one feature a chip.
FUNCTION = """
    import json
    import numpy as np

    class RoofFunction:
        def initialize(self, model, device):
            self.names = [c["Name"] for c in json.load(open(model))["Classes"]]

        def getParameterInfo(self):
            return [{"name": "rasters", "dataType": "rasters", "value": None, "required": True},
                    {"name": "swap", "dataType": "string", "value": "no", "domain": ("no", "yes")}]

        def getConfiguration(self, **scalars):
            self.swap = scalars["swap"] == "yes"
            return {"extractBands": (0, 1, 2), "padding": 0}

        def vectorize(self, **pixelBlocks):
            chips, masks = pixelBlocks["rasters_pixels"], pixelBlocks["rasters_mask"]
            assert isinstance(chips, tuple) and len(chips) == len(masks)
            features = []
            for chip in chips:
                order = np.argsort(chip.astype(float).mean(axis=(1, 2)))
                label = self.names[order[0] if self.swap else order[-1]]
                features.append({"attributes": {"Label": label, "Confidence": 87.5},
                                 "geometry": {"rings": [[[0, 0], [0, 8], [8, 8], [8, 0]]]}})
            return {"output_vectors": json.dumps({"features": features})}
"""


def test_a_raster_function_classifies_each_object(town, model, layer, classify, tmp_path, monkeypatch):
    """O6, O19: the user's function is called with the objects; its arguments become the tool's."""
    monkeypatch.setenv("IMAGERYDL_TRUST", str(tmp_path / "trust.json"))
    (tmp_path / "RoofFunction.py").write_text(textwrap.dedent(FUNCTION))
    path = model(InferenceFunction="RoofFunction.py")
    classify(town, path, layer([on_map(*roof[:4]) for roof in ROOFS]), TRUST_MODEL=True)
    fields, _, _ = classify.result()
    assert fields["ClassLabel"].tolist() == EXPECTED
    assert fields["Confidence"].tolist() == [87.5] * 4
    with pytest.raises(ParameterError, match="no argument 'swop'"):
        classify(town, path, layer([on_map(*ROOFS[0][:4])]), TRUST_MODEL=True, MODEL_ARGUMENTS="swop yes")


def test_a_function_whose_framework_is_missing_is_an_error_that_names_it(
    town, model, layer, classify, tmp_path, monkeypatch
):
    """O5."""
    monkeypatch.setenv("IMAGERYDL_TRUST", str(tmp_path / "trust.json"))
    (tmp_path / "RoofFunction.py").write_text("import framework_nobody_has\n" + textwrap.dedent(FUNCTION))
    path = model(InferenceFunction="RoofFunction.py")
    with pytest.raises(RuntimeMissingError, match="framework_nobody_has"):
        classify(town, path, layer([on_map(*ROOFS[0][:4])]), TRUST_MODEL=True)
    assert not classify.out.exists()


def test_the_processing_mode_matters_for_several_rasters_only(make_raster, model, classify):
    """O17: a mosaic is one object or one for each of its items; a single raster is one either way."""
    rasters = []
    for number, band in enumerate((2, 0)):
        data = np.full((3, 20, 20), 5, np.uint8)
        data[band] = 250
        place = Affine(0.5, 0, 500000 + 10 * number, 0, -0.5, 5000000)
        rasters.append(make_raster(f"{'ab'[number]}.tif", data, transform=place))
    counts = {}
    for mode in ("PROCESS_AS_MOSAICKED_IMAGE", "PROCESS_ITEMS_SEPARATELY"):
        for number in (1, 2):
            classify(rasters[:number], model(), PROCESSING_MODE=mode)
            counts[mode, number] = [tuple(row) for row in shapely.bounds(classify.result()[1]).tolist()]
    left, right = (500000, 4999990, 500010, 5000000), (500010, 4999990, 500020, 5000000)
    assert counts == {
        ("PROCESS_AS_MOSAICKED_IMAGE", 1): [left],
        ("PROCESS_ITEMS_SEPARATELY", 1): [left],
        ("PROCESS_AS_MOSAICKED_IMAGE", 2): [(500000, 4999990, 500020, 5000000)],
        ("PROCESS_ITEMS_SEPARATELY", 2): [left, right],
    }


def test_three_spellings_of_a_model_give_the_same_labels(town, model, layer, classify, tmp_path):
    """O4, O7: a definition, its JSON text, or a package."""
    path = model()
    raw = json.loads(Path(path).read_text())
    raw["ModelFile"] = str(Path(path).with_suffix(".onnx"))
    package = tmp_path / "model.dlpk"
    with zipfile.ZipFile(package, "w") as archive:
        archive.write(path, "model.emd")
        archive.write(raw["ModelFile"], "model.onnx")
    roofs = layer([on_map(*roof[:4]) for roof in ROOFS])
    for spelling in (path, json.dumps(raw), str(package)):
        classify(town, spelling, roofs)
        assert classify.result()[0]["ClassLabel"].tolist() == EXPECTED


def test_a_missing_model_file_is_named(town, model, layer, classify):
    """O4: a definition whose model file is missing is an error that names it."""
    path = Path(model())
    path.with_suffix(".onnx").unlink()
    with pytest.raises(ModelDefinitionError, match=r"model\.onnx"):
        classify(town, str(path), layer([on_map(*roof[:4]) for roof in ROOFS]))
