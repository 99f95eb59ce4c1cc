"""Detect Objects from job to published layer."""

from __future__ import annotations

import json
import sqlite3
import textwrap

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine

from imagerydl.errors import CancelledError, DataError, OutputError, ParameterError, TrustError
from imagerydl.events import Reporter
from imagerydl.imagery.transforms import apply, compose
from imagerydl.jobs import make_job, run_job

#: A raster function to Esri's contract: a batch of one, class id as 1-based position, confidence in percent,
#: rings in pixels of the block without its padding, y down. It reports every bright patch of a block.
FUNCTION = """
    import json
    import numpy as np

    class PatchDetector:
        def initialize(self, model, device):
            with open(model) as file:
                self.definition = json.load(file)

        def getParameterInfo(self):
            return [
                {"name": "raster", "dataType": "raster", "value": None, "required": True},
                {"name": "padding", "dataType": "numeric", "value": "8", "required": False},
                {"name": "least", "dataType": "numeric", "value": 50, "domain": (0, 100)},
            ]

        def getConfiguration(self, **scalars):
            self.padding = int(scalars["padding"])
            self.least = float(scalars["least"])
            side = self.definition["ImageHeight"]
            return {"padding": self.padding, "tx": side - 2 * self.padding, "ty": side - 2 * self.padding}

        def getFields(self):
            return json.dumps({"fields": [
                {"name": "OID", "type": "esriFieldTypeOID", "alias": "OID"},
                {"name": "Class", "type": "esriFieldTypeString", "alias": "Class"},
                {"name": "Confidence", "type": "esriFieldTypeDouble", "alias": "Confidence"},
                {"name": "Shape", "type": "esriFieldTypeGeometry", "alias": "Shape"}]})

        def getGeometryType(self):
            return 4

        def vectorize(self, **pixelBlocks):
            pixels, mask = pixelBlocks["raster_pixels"], pixelBlocks["raster_mask"]
            assert pixels.dtype == np.uint8 and mask.shape == pixels.shape
            values = np.where(mask[0] == 0, 0, pixels[0])
            features = []
            for position, value in ((1, 100), (2, 200)):
                left = values == value
                while left.any():
                    y, x = np.argwhere(left)[0]
                    right, bottom = x, y
                    while right + 1 < left.shape[1] and left[y, right + 1]:
                        right += 1
                    while bottom + 1 < left.shape[0] and left[bottom + 1, x]:
                        bottom += 1
                    left[y:bottom + 1, x:right + 1] = False
                    confidence = float(pixels[1, y, x])
                    if confidence < self.least:
                        continue
                    p = self.padding
                    x0, y0, x1, y1 = int(x) - p, int(y) - p, int(right) + 1 - p, int(bottom) + 1 - p
                    features.append({
                        "attributes": {"OID": len(features) + 1, "Class": position,
                                       "Confidence": str(confidence)},
                        "geometry": {"rings": [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]]}})
            return {"output_vectors": json.dumps({"features": features})}
"""


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    """What is trusted in a test is not trusted by the user."""
    monkeypatch.setenv("IMAGERYDL_TRUST", str(tmp_path / "trust.json"))


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "PatchDetector.py").write_text(textwrap.dedent(FUNCTION))
    (folder / "weights.bin").write_bytes(b"none")
    definition = {
        "Framework": "PyTorch",
        "ModelConfiguration": "Patches",
        "ModelType": "ObjectionDetection",
        "ModelFile": ".\\\\weights.bin",
        "InferenceFunction": "PatchDetector.py",
        "ImageHeight": 32,
        "ImageWidth": 32,
        "ExtractBands": [0, 1],
        "Classes": [
            {"Value": 0, "Name": "Pool", "Color": [10, 20, 200]},
            {"Value": 9, "Name": "Tree", "Color": [10, 200, 20]},
        ],
    }
    path = folder / "patches.emd"
    path.write_text(json.dumps(definition))
    return str(path)


class Run:
    """Runs the tool; keeps what it said."""

    def __init__(self, folder):
        self.out = folder / "out" / "objects.gpkg"
        self.events = []

    def __call__(self, raster, model, **values):
        given = {"OUT_DETECTED_OBJECTS": str(self.out), "DEVICE": "CPU", "TRUST_MODEL": True}
        given |= {"IN_RASTER": raster, "IN_MODEL_DEFINITION": model, **values}
        return run_job(make_job("detectobjects", given), Reporter(self.events.append))

    @property
    def said(self):
        return " ".join(event["text"] for event in self.events if event["event"] == "message")

    def features(self, path=None):
        meta, _, geometries, columns = pyogrio.raw.read(path or self.out, layer=None if path else "objects")
        return dict(zip(meta["fields"], columns)), shapely.from_wkb(geometries), meta


@pytest.fixture
def detect(tmp_path):
    return Run(tmp_path)


def picture(height=90, width=100, *boxes):
    data = np.zeros((2, height, width), np.uint8)
    for left, top, right, bottom, value, confidence in boxes or SCENE:
        data[0, top:bottom, left:right], data[1, top:bottom, left:right] = value, confidence
    return data


#: One in a tile, one on a corner of four tiles, one larger than a tile.
SCENE = ((2, 3, 9, 12, 100, 90), (27, 30, 37, 36, 200, 80), (30, 50, 95, 84, 200, 70))


def test_a_raster_function_finds_objects_once_and_whole(make_raster, model, detect):
    """5.7: class id as 1-based position, confidence 0-100, rings in inner-block pixels, unmodified. W19."""
    results = detect(make_raster("town.tif", picture()), model)
    fields, shapes, meta = detect.features()
    assert results == {"OUT_DETECTED_OBJECTS": str(detect.out), "OBJECTS": 3}
    assert list(fields) == ["Class", "ClassName", "Confidence", "Image", "Model"]
    order = np.argsort(shapely.area(shapes))
    assert fields["Class"][order].tolist() == [9, 0, 9]
    assert fields["ClassName"][order].tolist() == ["Tree", "Pool", "Tree"]
    assert fields["Confidence"][order].tolist() == [80, 90, 70]
    assert set(fields["Image"]) == {"town.tif"}
    assert set(fields["Model"]) == {"weights"}
    assert meta["crs"] == "EPSG:32633"
    # Half a metre a pixel, rows to the south.
    assert shapely.bounds(shapes[order]).tolist() == [
        [500013.5, 4999982, 500018.5, 4999985],
        [500001, 4999994, 500004.5, 4999998.5],
        [500015, 4999958, 500047.5, 4999975],
    ]


def test_the_layer_carries_a_style_in_the_colours_of_the_model(make_raster, model, detect):
    detect(make_raster("town.tif", picture()), model)
    with sqlite3.connect(detect.out) as database:
        ((layer, style),) = database.execute("SELECT f_table_name, styleQML FROM layer_styles").fetchall()
    assert layer == "objects"
    assert 'attr="Class"' in style
    assert "10,20,200,255" in style
    assert "Confidence" in style


def test_arguments_of_the_function_reach_it(make_raster, model, detect):
    """O18, P12: names and values as text; those the function declares, and those of the run."""
    detect(make_raster("a.tif", picture()), model, MODEL_ARGUMENTS="padding 4;least 75;return_bboxes True")
    assert sorted(detect.features()[0]["Confidence"].tolist()) == [80, 90]
    with pytest.raises(ParameterError, match="no argument 'lest'"):
        detect(make_raster("a.tif", picture()), model, MODEL_ARGUMENTS="lest 75", OVERWRITE=True)


@pytest.mark.parametrize(
    "text", ["threshold 50", "threshold -0.1", "batch_size 0", "nms_overlap 2", "padding -1"]
)
def test_arguments_out_of_range_are_refused_at_once(model, detect, text):
    with pytest.raises(ParameterError, match=text.split()[0]):
        detect("missing.tif", model, MODEL_ARGUMENTS=text)


def test_code_runs_only_with_consent(make_raster, model, detect):
    with pytest.raises(TrustError):
        detect(make_raster("a.tif", picture()), model, TRUST_MODEL=False)
    assert not detect.out.exists()


def test_an_image_without_georeference_gives_pixel_coordinates(make_raster, model, detect):
    """QGIS shows such an image below the x axis: y is minus the row."""
    detect(make_raster("photo.tif", picture(), crs=None, transform=None), model)
    _, shapes, meta = detect.features()
    assert meta["crs"] is None
    assert [2, -12, 9, -3] in shapely.bounds(shapes).tolist()


def test_pixel_space_counts_pixels_of_the_image_itself(make_raster, model, detect):
    detect(
        make_raster("a.tif", picture()),
        model,
        USE_PIXELSPACE="PIXELSPACE",
        EXTENT="500010,500050,4999955,5000000 [EPSG:32633]",
    )
    _, shapes, meta = detect.features()
    assert meta["crs"] is None
    assert sorted(shapely.bounds(shapes).tolist()) == [[27, -36, 37, -30], [30, -84, 95, -50]]


@pytest.mark.parametrize(
    "transform",
    [
        Affine(2, 0, 5e5, 0, 2, 5e6),
        compose(Affine.translation(5e5, 5e6), Affine.rotation(25), Affine.scale(2, -2)),
    ],
    ids=["south-up", "rotated"],
)
def test_odd_grids_place_objects_by_their_transform(make_raster, model, detect, transform):
    detect(make_raster("odd.tif", picture(), transform=transform), model)
    _, shapes, _ = detect.features()
    smallest = shapes[np.argmin(shapely.area(shapes))]
    expected = shapely.transform(
        shapely.box(27, 30, 37, 36), lambda xy: np.array([apply(transform, *p) for p in xy])
    )
    assert shapely.equals_exact(shapely.normalize(smallest.geoms[0]), shapely.normalize(expected), 1e-6)


def test_items_of_a_folder_go_into_one_layer_each_under_its_name(make_raster, model, detect, tmp_path):
    """O12: a folder of images; one that cannot be read is listed and left out."""
    for name in ("photos/a.tif", "photos/b.tif"):
        make_raster(name, picture(), crs=None, transform=None)
    (tmp_path / "photos" / "broken.tif").write_bytes(b"II*\0 nothing")
    detect([], model, IN_FOLDER=str(tmp_path / "photos"))
    fields, _, _ = detect.features()
    assert sorted(fields["Image"].tolist()) == ["a.tif"] * 3 + ["b.tif"] * 3
    assert "broken.tif is left out" in detect.said


def test_mosaics_are_one_image_or_several(make_raster, model, detect):
    left, right = picture()[:, :, :60], picture()[:, :, 60:]
    beside = Affine(0.5, 0, 500030, 0, -0.5, 5000000)
    rasters = [make_raster("l.tif", left), make_raster("r.tif", right, transform=beside)]
    assert detect(rasters, model)["OBJECTS"] == 3
    found = detect(rasters, model, PROCESSING_MODE="PROCESS_ITEMS_SEPARATELY", OVERWRITE=True)
    assert found["OBJECTS"] == 4  # the large one lies on both


def test_only_candidates_are_looked_at(make_raster, model, detect, tmp_path):
    for name in "abc":
        make_raster(f"{name}.tif", picture())
    index = tmp_path / "index.gpkg"
    pyogrio.raw.write(
        index,
        shapely.to_wkb(shapely.box([0] * 3, 0, 1, 1)),
        [np.array(["a.tif", "b.tif", "c.tif"], object), np.array([0, 2, 1])],
        ["location", "Candidate"],
        geometry_type="Polygon",
        crs="EPSG:32633",
    )
    mode = {"PROCESSING_MODE": "PROCESS_CANDIDATE_ITEMS_ONLY"}
    detect([], model, IN_IMAGE_FEATURES=str(index), **mode)
    assert set(detect.features()[0]["Image"]) == {"b.tif", "c.tif"}
    with pytest.raises(ParameterError, match="IN_IMAGE_FEATURES"):
        detect(str(tmp_path / "a.tif"), model, **mode, OVERWRITE=True)


def test_objects_of_interest_are_chosen_by_name(make_raster, model, detect):
    detect(make_raster("a.tif", picture()), model, IN_OBJECTS_OF_INTEREST="tree")
    assert set(detect.features()[0]["ClassName"]) == {"Tree"}
    with pytest.raises(ParameterError, match="It knows Pool, Tree"):
        detect(make_raster("a.tif", picture()), model, IN_OBJECTS_OF_INTEREST="Car", OVERWRITE=True)


def test_polygons_of_interest_hold_the_centres(make_raster, model, detect, tmp_path):
    area = tmp_path / "area.gpkg"
    box = shapely.box(500000, 4999975, 500020, 5000000)
    pyogrio.raw.write(area, shapely.to_wkb([box]), [], [], geometry_type="Polygon", crs="EPSG:32633")
    detect(make_raster("a.tif", picture()), model, IN_POLYGONS_OF_INTEREST=str(area))
    assert sorted(detect.features()[0]["Confidence"].tolist()) == [80, 90]


def test_suppression_removes_what_overlaps_a_surer_object(make_raster, model, detect):
    scene = picture(64, 64, (4, 4, 20, 20, 100, 60), (12, 12, 28, 28, 200, 90))
    raster = make_raster("a.tif", scene)
    before = detect(raster, model)["OBJECTS"]
    assert before > 1
    assert detect(raster, model, RUN_NMS="NMS", OVERWRITE=True)["OBJECTS"] < before


@pytest.mark.parametrize("extension", ["geojson", "fgb"])
def test_other_formats_hold_the_same_objects(make_raster, model, detect, tmp_path, extension):
    path = tmp_path / f"objects.{extension}"
    detect(make_raster("a.tif", picture()), model, OUT_DETECTED_OBJECTS=str(path))
    fields, shapes, meta = detect.features(path)
    assert sorted(fields["Confidence"].tolist()) == [70, 80, 90]
    assert len(shapes) == 3
    assert meta["crs"] == "EPSG:32633"


def test_nothing_found_is_an_empty_layer(make_raster, model, detect):
    assert detect(make_raster("a.tif", picture() * 0), model)["OBJECTS"] == 0
    fields, shapes, _ = detect.features()
    assert "Confidence" in fields
    assert len(shapes) == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"CLASS_VALUE_FIELD": "Confidence"}, "both"),
        ({"CLASS_VALUE_FIELD": "image"}, "has already"),
        ({"IN_FOLDER": "x"}, "all given"),
        ({"IN_RASTER": []}, "nothing to look at"),
        ({"MAX_OVERLAP_RATIO": 1.5}, "MAX_OVERLAP_RATIO"),
    ],
)
def test_values_that_cannot_be_are_refused(model, detect, values, said):
    with pytest.raises(ParameterError, match=said):
        detect(**{"raster": "a.tif", "model": model, **values}) if "IN_RASTER" not in values else detect(
            [], model
        )


def test_the_fields_have_the_names_asked_for(make_raster, model, detect):
    detect(make_raster("a.tif", picture()), model, CLASS_VALUE_FIELD="Kind", CONFIDENCE_SCORE_FIELD="Sure")
    assert list(detect.features()[0]) == ["Kind", "ClassName", "Sure", "Image", "Model"]


def test_an_existing_layer_is_kept_unless_it_may_be_replaced(make_raster, model, detect):
    raster = make_raster("a.tif", picture())
    detect(raster, model)
    before = detect.out.read_bytes()
    with pytest.raises(OutputError):
        detect(raster, model)
    assert detect.out.read_bytes() == before


def test_a_cancelled_run_leaves_nothing(make_raster, model, detect):
    job = make_job(
        "detectobjects",
        {
            "IN_RASTER": make_raster("a.tif", picture()),
            "IN_MODEL_DEFINITION": model,
            "OUT_DETECTED_OBJECTS": str(detect.out),
            "TRUST_MODEL": True,
        },
    )
    with pytest.raises(CancelledError):
        run_job(job, Reporter(is_cancelled=lambda: True))
    assert list(detect.out.parent.glob("*")) == []


def test_images_with_and_without_georeference_do_not_mix_silently(make_raster, model, detect):
    rasters = [make_raster("a.tif", picture()), make_raster("b.tif", picture(), crs=None, transform=None)]
    detect(rasters, model, PROCESSING_MODE="PROCESS_ITEMS_SEPARATELY")
    assert set(detect.features()[0]["Image"]) == {"a.tif"}
    assert "b.tif has no coordinate system" in detect.said


def test_a_folder_without_a_readable_image_is_an_error(model, detect, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.tif").write_bytes(b"II*\0 nothing")
    with pytest.raises(DataError, match="none of the 2 images"):
        detect([], model, IN_FOLDER=str(folder))
