"""Export Training Data, end to end on tiny rasters; results read with plain rasterio and json."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

from imagerydl import tools
from imagerydl.chips.folder import read_exported_folder
from imagerydl.errors import CancelledError, DataError, EngineError, OutputError, ParameterError
from imagerydl.events import Reporter
from imagerydl.imagery.transforms import apply, compose
from imagerydl.jobs import make_job, run_job

DUBAI = Path(__file__).parents[4] / "shared" / "data" / "seg_dubai_mbrsc"

#: 2 m pixels in UTM 33 N.
TRANSFORM = Affine(2, 0, 500000, 0, -2, 5000100)
SMALL = {"TILE_SIZE_X": 16, "TILE_SIZE_Y": 16, "STRIDE_X": 16, "STRIDE_Y": 16}


class Scene:
    """A 64 x 48 pixel place to export from, and what the exports of a test said."""

    def __init__(self, folder):
        self.folder = folder
        self.said = []

    def raster(
        self, name="image.tif", bands=3, dtype="uint8", size=(64, 48), crs="EPSG:32633", data=None, **profile
    ):
        width, height = size
        if data is None:
            data = np.random.default_rng(7).integers(1, 250, (bands, height, width)).astype(dtype)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        driver = {".png": "PNG", ".jpg": "JPEG"}.get(path.suffix, "GTiff")
        place = {"crs": crs, "transform": TRANSFORM} if crs else {}
        if driver == "GTiff" and len(data) > 3:
            # Else GDAL declares the fourth of four bands transparency.
            place.update(photometric="minisblack", alpha="no")
        with rasterio.open(
            path, "w", driver=driver, width=width, height=height, count=len(data), dtype=data.dtype.name,
            **{**place, **profile},
        ) as dataset:  # fmt: skip
            dataset.write(data)
        return str(path)

    def polygons(self, *boxes, name="labels.gpkg", crs="EPSG:32633", **fields):
        """Polygons that cover (column, row, width, height) exactly."""
        wkb = []
        for column, row, width, height in boxes:
            (x0, y0), (x1, y1) = apply(TRANSFORM, column, row), apply(TRANSFORM, column + width, row + height)
            wkb.append(shapely.to_wkb(shapely.box(x0, y1, x1, y0)))
        pyogrio.raw.write(
            self.folder / name, np.array(wkb, dtype=object), [np.array(f) for f in fields.values()],
            list(fields), geometry_type="Polygon", crs=crs,
        )  # fmt: skip
        return str(self.folder / name)

    def export(self, **values):
        self.said.clear()
        defaults = {
            "OUT_FOLDER": str(self.folder / "chips"),
            "METADATA_FORMAT": "Classified_Tiles",
            "PREVIEW": False,
        }
        values = {**defaults, **SMALL, **values}
        self.result = run_job(make_job("exporttrainingdata", values), Reporter(self.said.append))
        return Path(values["OUT_FOLDER"])

    @property
    def messages(self):
        return [event["text"] for event in self.said if event["event"] == "message"]

    @property
    def left_behind(self):
        """What a failed export left in the folder of its output."""
        return [name for name in os.listdir(self.folder) if name.startswith((".chips", "chips"))]


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def ids(folder, kind="images"):
    return sorted(p.stem for p in (folder / kind).iterdir() if p.suffix in {".tif", ".png", ".jpg", ".mrf"})


def side_file(folder, name):
    return json.loads((folder / name).read_text("utf-8"))


def test_polygons_become_chips_and_labels(scene):
    """E1, E3, E14, E27: every chip and label is the exact part of image and polygons; parents are made."""
    image = scene.raster()
    labels = scene.polygons((4, 4, 6, 6), (30, 10, 8, 8), value=[1, 5])
    out = scene.export(
        IN_RASTER=[image], IN_CLASS_DATA=labels, OUT_FOLDER=str(scene.folder / "new" / "chips")
    )
    truth = np.zeros((48, 64), np.uint8)
    truth[4:10, 4:10], truth[10:18, 30:38] = 1, 5
    pixels = read(image)
    # Tiles of 16 pixels, four in a row: polygons touch the tiles 0, 1, 2 of the first row and 5, 6 below.
    assert ids(out) == ids(out, "labels") == [f"{i:012d}" for i in (0, 1, 2, 5, 6)]
    for name in ids(out):
        row, column = divmod(int(name), 4)
        part = (slice(16 * row, 16 * row + 16), slice(16 * column, 16 * column + 16))
        assert np.array_equal(read(out / "images" / f"{name}.tif"), pixels[(slice(None), *part)])
        label = read(out / "labels" / f"{name}.tif")
        assert label.dtype == np.uint8
        assert np.array_equal(label[0], truth[part])
        assert label.any()
    assert scene.result["NUM_CHIPS"] == 5
    assert scene.result["NUM_CLASSES"] == 2


def test_every_combination_of_source_gives_the_same_labels(scene):
    """E1, E9, E15, E16: polygons, class raster, and label images paired by name."""
    image = scene.raster("images/a.tif")
    truth = np.zeros((1, 48, 64), np.uint8)
    truth[0, 4:10, 4:10], truth[0, 10:18, 30:38] = 1, 5
    labels = scene.polygons((4, 4, 6, 6), (30, 10, 8, 8), value=[1, 5])
    raster = scene.raster("truth/a.tif", data=truth)
    sources = [
        {"IN_RASTER": [image], "IN_CLASS_DATA": labels},
        {"IN_RASTER": [image], "IN_CLASS_DATA": raster},
        {"IN_FOLDER": f"{scene.folder}/images", "IN_CLASS_FOLDER": f"{scene.folder}/truth"},
        {"IN_RASTER": [image], "IN_CLASS_FOLDER": f"{scene.folder}/truth/*.tif"},
    ]
    exports = [
        scene.export(**source, OUT_FOLDER=str(scene.folder / f"out{i}")) for i, source in enumerate(sources)
    ]
    first = exports[0]
    for other in exports[1:]:
        assert ids(other) == ids(first)
        for name in ids(first):
            for kind in ("images", "labels"):
                assert np.array_equal(read(other / kind / f"{name}.tif"), read(first / kind / f"{name}.tif"))


def test_side_files_are_written_as_arcgis_writes_them(scene):
    """E2, E27, E41: key order, spelling and blanks; the contract's own words."""
    image = scene.raster(crs="EPSG:3857")
    out = scene.export(
        IN_RASTER=[image],
        IN_CLASS_DATA=scene.polygons((4, 4, 6, 6), (30, 10, 8, 8), crs="EPSG:3857", kind=["Roof", "Lawn"]),
        CLASS_VALUE_FIELD="kind",
        CLASS_SCHEMA="1, Roof, #FF0000\n5, Lawn",
    )
    assert (
        (out / "map.txt")
        .read_bytes()
        .startswith(b"images\\000000000000.tif labels\\000000000000.tif \nimages\\000000000001.tif labels\\")
    )
    text = (out / "esri_accumulated_stats.json").read_text()
    assert text.startswith('{\n  "Version" : 1,\n  "NumBands" : 3,\n')
    stats = json.loads(text)
    assert list(stats) == [
        "Version", "NumBands", "TileSizeX", "TileSizeY", "NumClasses", "NumTiles", "NumTilesAsDouble",
        "NextTileIndex", "OutputFeatures", "MetaDataMode", "Classes", "MinCellSize", "MaxCellSize",
        "InputRastersProps", "ClassPixelStats", "BandStatsState",
    ]  # fmt: skip
    assert (stats["NumTiles"], stats["NextTileIndex"], stats["OutputFeatures"]) == (5, 12, False)
    assert stats["Classes"] == [
        {"ClassValue": 1, "ClassName": "Roof"},
        {"ClassValue": 5, "ClassName": "Lawn"},
    ]
    assert stats["MinCellSize"] == {"x": 2, "y": 2, "spatialReference": {"wkid": 102100, "latestWkid": 3857}}
    assert stats["ClassPixelStats"]["NumPixelsPerClass"] == [36, 64]
    assert stats["ClassPixelStats"]["NumImagesPerClass"] == [1, 4]

    definition = side_file(out, "esri_model_definition.emd")
    assert definition["Framework"].startswith("e.g. ")
    assert (definition["ImageHeight"], definition["ImageWidth"]) == (16, 16)
    assert (definition["MetaDataMode"], definition["ImageSpaceUsed"]) == ("Classified_Tiles", "MAP_SPACE")
    assert definition["Classes"] == [
        {"Value": 1, "Name": "Roof", "Color": [255, 0, 0]},
        {"Value": 5, "Name": "Lawn", "Color": [-1, -1, -1]},
    ]
    assert "WellKnownBandNames (FYI, these band names can be used in ExtractBands)" in definition

    chips = np.stack([read(out / "images" / f"{name}.tif") for name in ids(out)]).astype(float)
    for band in range(3):
        values = chips[:, band]
        state, summary = stats["BandStatsState"][band], definition["AllTilesStats"][band]
        assert list(state) == ["Min", "Max", "Mean", "StdDev", "M1", "M2", "Num"]
        assert (state["Mean"], state["StdDev"], state["Num"]) == (0, 0, values.size)
        assert state["M1"] == pytest.approx(values.mean())
        assert state["M2"] == pytest.approx(values.var() * values.size)
        assert summary["Mean"] == pytest.approx(values.mean())
        assert summary["StdDev"] == pytest.approx(values.std())
    assert definition["InputRastersProps"]["BandNames"] == [
        s["BandName"] for s in definition["AllTilesStats"]
    ]
    lines = (out / "stats.txt").read_text().splitlines()
    assert lines[0] == "images = 5 *3*16*16"
    assert re.match(r"Roof +1 +1 +36 +36\.00 +36\.00 +36\.00", lines[-2])


def test_the_training_side_reads_the_folder_back(scene):
    """E2."""
    out = scene.export(IN_RASTER=[scene.raster()], IN_CLASS_DATA=scene.polygons((4, 4, 6, 6)))
    folder = read_exported_folder(out)
    assert folder.metadata_format == "Classified_Tiles"
    assert folder.pixels_per_class == {1: 36}
    assert folder.band_names == ("Red", "Green", "Blue")
    assert [(chip.image.name, chip.label.name) for chip in folder.chips] == [
        ("000000000000.tif", "000000000000.tif")
    ]


@pytest.mark.parametrize(
    ("bands", "dtype"), [(1, "uint8"), (3, "uint8"), (4, "uint8"), (13, "uint16"), (2, "float32")]
)
def test_any_number_of_bands_and_type(scene, bands, dtype):
    """E13."""
    image = scene.raster(bands=bands, dtype=dtype)
    out = scene.export(IN_RASTER=[image], IN_CLASS_DATA=scene.polygons((0, 0, 4, 4)))
    chip = read(out / "images" / "000000000000.tif")
    assert chip.dtype == dtype
    assert np.array_equal(chip, read(image)[:, :16, :16])
    assert side_file(out, "esri_accumulated_stats.json")["NumBands"] == bands


@pytest.mark.parametrize(
    ("keyword", "image", "label", "world"),
    [
        ("TIFF", ".tif", ".tif", ".tfw"),
        ("PNG", ".png", ".png", ".pgw"),
        ("JPEG", ".jpg", ".tif", ".jgw"),
        ("MRF", ".mrf", ".tif", None),
    ],
)
def test_image_formats(scene, keyword, image, label, world):
    """E18, E25: chip and label share their name; georeferenced ones have world files."""
    out = scene.export(
        IN_RASTER=[scene.raster()], IN_CLASS_DATA=scene.polygons((0, 0, 4, 4)), IMAGE_CHIP_FORMAT=keyword
    )
    assert (out / "images" / f"000000000000{image}").is_file()
    assert read(out / "labels" / f"000000000000{label}")[0, :4, :4].all()
    if world:
        assert (out / "images" / f"000000000000{world}").read_text().split()[4:] == ["500001", "5000099"]
    assert not list(out.rglob("*.aux.xml"))
    assert f"images\\000000000000{image} labels\\000000000000{label} \n" == (out / "map.txt").read_text()


def test_four_bands_do_not_fit_into_png(scene):
    """E18: refused before anything is written."""
    with pytest.raises(ParameterError, match=r"4 bands.*PNG.*TIFF"):
        scene.export(
            IN_RASTER=[scene.raster(bands=4)],
            IN_CLASS_DATA=scene.polygons((0, 0, 4, 4)),
            IMAGE_CHIP_FORMAT="PNG",
        )
    assert scene.left_behind == []


@pytest.mark.parametrize(("stride", "columns", "rows"), [(16, 4, 3), (8, 7, 5), (48, 2, 1)])
def test_stride_places_the_tiles(scene, stride, columns, rows):
    """E19, E20, U5: equal to the tile size tiles touch, half of it they overlap by 50 %."""
    out = scene.export(
        IN_RASTER=[scene.raster()],
        METADATA_FORMAT="Export_Tiles",
        STRIDE_X=stride,
        STRIDE_Y=stride,
    )
    assert len(ids(out)) == columns * rows
    with rasterio.open(out / "images" / "000000000001.tif") as dataset:
        assert dataset.shape == (16, 16)
        assert dataset.transform == compose(TRANSFORM, Affine.translation(stride, 0))
        assert dataset.crs.to_epsg() == 32633


def test_only_complete_tiles(scene):
    """U3: 1817 x 2061 pixels in patches of 160 give 11 x 12."""
    image = scene.raster(bands=1, size=(1817, 2061))
    out = scene.export(
        IN_RASTER=[image], METADATA_FORMAT="Export_Tiles",
        TILE_SIZE_X=160, TILE_SIZE_Y=160, STRIDE_X=160, STRIDE_Y=160,
    )  # fmt: skip
    assert scene.result["NUM_CHIPS"] == len(ids(out)) == 132


def test_tiles_without_labels(scene):
    """E21: off by default; with them, the names of the others stay the same."""
    values = {"IN_RASTER": [scene.raster()], "IN_CLASS_DATA": scene.polygons((20, 20, 4, 4))}
    assert ids(scene.export(**values)) == ["000000000005"]
    assert scene.messages[-1] == "1 chips of 12 tiles written; left out: 11 without labels."
    out = scene.export(**values, OUTPUT_NOFEATURE_TILES="ALL_TILES", OUT_FOLDER=str(scene.folder / "all"))
    assert ids(out) == [f"{i:012d}" for i in range(12)]
    assert not read(out / "labels" / "000000000000.tif").any()


def test_tiles_without_data_are_never_written(scene):
    """Contract 3: no-data in, no-data out."""
    data = np.full((1, 48, 64), 9, np.uint8)
    data[:, :16] = 0
    data[:, 20, 20] = 0
    out = scene.export(
        IN_RASTER=[scene.raster(data=data, nodata=0)],
        IN_CLASS_DATA=scene.polygons((0, 0, 64, 48)),
        OUTPUT_NOFEATURE_TILES=True,
    )
    assert ids(out) == [f"{i:012d}" for i in range(4, 12)]
    assert "left out: 4 without data" in scene.messages[-1]
    label = read(out / "labels" / "000000000005.tif")[0]
    assert label[4, 4] == 0, "a pixel without data has no class"
    assert label.sum() == 255
    with rasterio.open(out / "images" / "000000000005.tif") as dataset:
        assert dataset.nodata == 0
    assert side_file(out, "esri_accumulated_stats.json")["BandStatsState"][0]["Min"] == 9


def test_export_tiles_have_no_labels(scene):
    """E32."""
    out = scene.export(IN_RASTER=[scene.raster()], METADATA_FORMAT="Export_Tiles")
    assert len(ids(out)) == 12
    assert not (out / "labels").exists()
    assert (out / "map.txt").read_text().splitlines()[0] == "images\\000000000000.tif "
    assert "Classes" not in side_file(out, "esri_model_definition.emd")
    stats = side_file(out, "esri_accumulated_stats.json")
    assert (stats["MetaDataMode"], stats["OutputFeatures"], stats["NumClasses"]) == ("Export_Tiles", True, 0)
    assert scene.result["NUM_CLASSES"] == 0


def test_export_tiles_where_labels_are(scene):
    """E21: with class data only tiles that hold a feature are written, also for points."""
    path = scene.folder / "points.gpkg"
    point = shapely.to_wkb(shapely.Point(*apply(TRANSFORM, 20, 20)))
    pyogrio.raw.write(path, np.array([point], dtype=object), [], [], geometry_type="Point", crs="EPSG:32633")
    out = scene.export(IN_RASTER=[scene.raster()], IN_CLASS_DATA=str(path), METADATA_FORMAT="Export_Tiles")
    assert ids(out) == ["000000000005"]


def test_mask_polygons(scene):
    """E38: only chips completely inside."""
    out = scene.export(
        IN_RASTER=[scene.raster()],
        METADATA_FORMAT="Export_Tiles",
        IN_MASK_POLYGONS=scene.polygons((0, 0, 40, 33), name="mask.gpkg"),
    )
    assert ids(out) == [f"{i:012d}" for i in (0, 1, 4, 5)]
    assert "8 outside the mask polygons" in scene.messages[-1]


def test_extent_and_cell_size_change_the_grid(scene):
    """E11."""
    image = scene.raster()
    (x0, y0), (x1, y1) = apply(TRANSFORM, 10, 12), apply(TRANSFORM, 43, 45)
    extent = f"{x0},{x1},{y1},{y0} [EPSG:32633]"
    out = scene.export(IN_RASTER=[image], METADATA_FORMAT="Export_Tiles", EXTENT=extent)
    assert len(ids(out)) == 4
    assert np.array_equal(read(out / "images" / "000000000000.tif"), read(image)[:, 12:28, 10:26])
    coarse = scene.export(
        IN_RASTER=[image],
        METADATA_FORMAT="Export_Tiles",
        CELL_SIZE=4,
        OUT_FOLDER=str(scene.folder / "coarse"),
    )
    assert len(ids(coarse)) == 2
    assert side_file(coarse, "esri_model_definition.emd")["MinCellSize"]["x"] == 4


def test_labels_follow_a_coarser_cell_size(scene):
    """E11: labels are burnt on the grid of the chips."""
    out = scene.export(IN_RASTER=[scene.raster()], IN_CLASS_DATA=scene.polygons((8, 8, 8, 16)), CELL_SIZE=4)
    label = read(out / "labels" / "000000000000.tif")[0]
    expected = np.zeros((16, 16), np.uint8)
    expected[4:12, 4:8] = 1
    assert np.array_equal(label, expected)


def test_start_index_is_accepted_and_ignored(scene):
    """E35."""
    out = scene.export(IN_RASTER=[scene.raster()], METADATA_FORMAT="Export_Tiles", START_INDEX=500)
    assert ids(out)[0] == "000000000000"
    assert any("START_INDEX is ignored" in text for text in scene.messages)


@pytest.mark.parametrize(("field", "expected"), [("value", 4), ("ClassValue", 4), ("code", 1)])
def test_class_field_is_found_or_all_is_one_class(scene, field, expected):
    """E36: value or classvalue in any case; otherwise one class 1."""
    out = scene.export(IN_RASTER=[scene.raster()], IN_CLASS_DATA=scene.polygons((0, 0, 4, 4), **{field: [4]}))
    classes = side_file(out, "esri_model_definition.emd")["Classes"]
    assert [(c["Value"], c["Name"]) for c in classes] == [(expected, str(expected))]


def test_integer_raster_without_classes(scene):
    """E17: bare integers are classes named by their value."""
    truth = np.zeros((1, 48, 64), np.uint16)
    truth[0, :4, :4], truth[0, 8:10, 8:10] = 1, 300
    out = scene.export(IN_RASTER=[scene.raster()], IN_CLASS_DATA=scene.raster("truth.tif", data=truth))
    classes = side_file(out, "esri_model_definition.emd")["Classes"]
    assert [(c["Value"], c["Name"]) for c in classes] == [(1, "1"), (300, "300")]
    label = read(out / "labels" / "000000000000.tif")
    assert label.dtype == np.uint16
    assert np.array_equal(label[0], truth[0, :16, :16])


def test_colour_masks_of_a_folder(scene):
    """U2, U5, E9, E16: the article's masks; 0 may be a class; what the schema lacks is reported."""
    schema = "0, Building, #3C1098\n1, Land, #8429F6"
    colors = np.array([(60, 16, 152), (132, 41, 246), (0, 0, 0)], np.uint8)
    rng = np.random.default_rng(5)
    codes = {}
    for tile in (1, 2, 10):
        codes[tile] = rng.integers(0, 3, (20, 36))
        scene.raster(f"Tile {tile}/images/p.jpg", size=(36, 20), crs=None)
        scene.raster(
            f"Tile {tile}/masks/p.png", size=(36, 20), crs=None, data=colors[codes[tile]].transpose(2, 0, 1)
        )
    out = scene.export(
        IN_FOLDER=f"{scene.folder}/Tile */images/*.jpg",
        IN_CLASS_FOLDER=f"{scene.folder}/Tile */masks/*.png",
        CLASS_SCHEMA=schema,
        OUTPUT_NOFEATURE_TILES=True,
    )
    assert len(ids(out)) == 6, "two complete tiles of each image, none across images"
    for index, tile in enumerate((1, 2, 10)):
        expected = np.where(codes[tile] == 1, 1, 0)[:16]
        for column in (0, 1):
            label = read(out / "labels" / f"{2 * index + column:012d}.tif")[0]
            assert np.array_equal(label, expected[:, 16 * column : 16 * column + 16])
    unknown = sum(int((code == 2).sum()) for code in codes.values())
    assert any(
        f"{unknown:,} pixels" in text and "#000000" in text and "'Building'" in text
        for text in scene.messages
    )
    assert not list(out.rglob("*w")), "images without georeference give no world files"
    classes = side_file(out, "esri_model_definition.emd")["Classes"]
    assert classes[0] == {"Value": 0, "Name": "Building", "Color": [60, 16, 152]}


def test_unknown_colours_may_be_an_error(scene):
    data = np.zeros((3, 48, 64), np.uint8)
    data[:, :4, :4] = 255
    mask = scene.raster("mask.tif", data=data)
    values = {"IN_RASTER": [scene.raster()], "IN_CLASS_DATA": mask}
    with pytest.raises(DataError, match=r"#000000 \(3,056\).*UNKNOWN_COLORS"):
        scene.export(**values, CLASS_SCHEMA="1, White, #FFFFFF", UNKNOWN_COLORS="ERROR")
    with pytest.raises(DataError, match="No pixel of the label images has a colour of the class schema"):
        scene.export(**values, CLASS_SCHEMA="1, Red, #FF0000")
    assert scene.left_behind == []


def test_several_rasters_are_one_mosaic(scene):
    """E42: the default; a chip may cross the seam."""
    data = np.arange(48 * 64, dtype=np.uint16).reshape(1, 48, 64) + 1
    left = scene.raster("left.tif", data=data[:, :, :40], size=(40, 48))
    right = scene.raster(
        "right.tif",
        data=data[:, :, 40:],
        size=(24, 48),
        transform=compose(TRANSFORM, Affine.translation(40, 0)),
    )
    out = scene.export(IN_RASTER=[left, right], METADATA_FORMAT="Export_Tiles")
    assert len(ids(out)) == 12
    assert np.array_equal(read(out / "images" / "000000000002.tif"), data[:, :16, 32:48])


def test_images_of_a_folder_stay_apart(scene):
    """E9: every image gives its own chips, numbered through."""
    scene.raster("photos/2.tif", bands=1, size=(20, 20))
    scene.raster("photos/10.tif", bands=1, size=(40, 20))
    scene.raster("photos/11.tif", bands=1, size=(8, 8))
    out = scene.export(IN_FOLDER=str(scene.folder / "photos"), METADATA_FORMAT="Export_Tiles")
    assert len(ids(out)) == 3
    assert any(
        "1 of 3 images are smaller than a tile" in text and "11.tif" in text for text in scene.messages
    )


def test_existing_output_is_only_replaced_when_asked(scene):
    values = {"IN_RASTER": [scene.raster()], "METADATA_FORMAT": "Export_Tiles"}
    out = scene.export(**values)
    before = (out / "map.txt").read_bytes()
    with pytest.raises(OutputError, match="already exists"):
        scene.export(**values, STRIDE_X=8)
    assert (out / "map.txt").read_bytes() == before
    scene.export(**values, STRIDE_X=8, OVERWRITE=True)
    assert len(ids(out)) == 21


def test_progress_only_goes_forward_and_ends_at_the_end(scene):
    scene.export(IN_RASTER=[scene.raster()], IN_CLASS_DATA=scene.polygons((0, 0, 4, 4)))
    events = [event for event in scene.said if event["event"] == "progress"]
    fractions = [event["fraction"] for event in events]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    last = [event for event in events if event["stage"] == "Exporting chips"][-1]
    assert (last["done"], last["note"]) == (12, "written 1, skipped 11 without labels")


def test_cancelling_leaves_nothing_under_the_final_name(scene):
    values = {"IN_RASTER": [scene.raster()], "METADATA_FORMAT": "Export_Tiles", **SMALL}
    job = make_job("exporttrainingdata", {**values, "OUT_FOLDER": str(scene.folder / "chips")})
    written = []

    def cancelled():
        written.extend(scene.folder.glob(".chips*/images/*5.tif"))
        return bool(written)

    with pytest.raises(CancelledError):
        run_job(job, Reporter(is_cancelled=cancelled))
    assert written, "it was cancelled in the middle"
    assert scene.left_behind == [".chips.unfinished"], "to go on from"


BAD = {
    "no imagery": ({}, "There is no imagery"),
    "two kinds of imagery": ({"IN_RASTER": ["a.tif"], "IN_FOLDER": "b"}, "both given"),
    "two kinds of labels": ({"IN_FOLDER": "b", "IN_CLASS_DATA": "c", "IN_CLASS_FOLDER": "d"}, "both given"),
    "no labels": ({"IN_FOLDER": "b"}, "PASCAL_VOC_rectangles needs labels"),
    "stride 0": (
        {"IN_FOLDER": "b", "IN_CLASS_DATA": "c", "STRIDE_X": 0},
        r"STRIDE_X \(Stride X\) cannot be 0",
    ),
    "tile 0": ({"IN_FOLDER": "b", "IN_CLASS_DATA": "c", "TILE_SIZE_Y": 0}, "TILE_SIZE_Y"),
    "no such format": ({"IN_FOLDER": "b", "METADATA_FORMAT": "TFRecord"}, "KITTI_rectangles, PASCAL_VOC"),
}


@pytest.mark.parametrize("case", BAD)
def test_parameters_that_do_not_go_together(case):
    values, named = BAD[case]
    with pytest.raises(ParameterError, match=named):
        make_job("exporttrainingdata", {"OUT_FOLDER": "out", **values})


def fail(scene, **values):
    """Export, expect it to be refused, and check that nothing was left."""
    with pytest.raises(EngineError) as caught:
        scene.export(**values)
    assert scene.left_behind == []
    return str(caught.value)


def test_refusals_name_the_thing_and_the_fix(scene):
    image, labels = scene.raster(), scene.polygons((0, 0, 4, 4), kind=["a"])
    good = {"IN_RASTER": [image], "IN_CLASS_DATA": labels}
    assert "nowhere.tif" in fail(scene, **{**good, "IN_RASTER": ["nowhere.tif"]})
    assert "nothing.gpkg" in fail(scene, **{**good, "IN_CLASS_DATA": "nothing.gpkg"})
    assert "Its fields are kind" in fail(scene, **good, CLASS_VALUE_FIELD="class")
    message = fail(scene, **{**good, "TILE_SIZE_X": 65})
    assert "65 x 16 pixels is larger than" in message
    assert "image.tif (64 x 48)" in message
    outside = scene.polygons((5000, 0, 4, 4), name="outside.gpkg")
    message = fail(scene, **{**good, "IN_CLASS_DATA": outside})
    assert "outside.gpkg lie outside the imagery" in message
    assert "EPSG:32633" in message
    no_system = scene.polygons((0, 0, 4, 4), name="nosystem.gpkg", crs=None)
    assert "nosystem.gpkg has no coordinate system" in fail(scene, **{**good, "IN_CLASS_DATA": no_system})
    empty = scene.polygons(name="empty.gpkg")
    assert "empty.gpkg is empty" in fail(scene, **{**good, "IN_CLASS_DATA": empty})
    elsewhere = scene.polygons((40, 40, 8, 8), name="elsewhere.gpkg")
    message = fail(scene, **good, IN_MASK_POLYGONS=elsewhere)
    assert "No chip came out of 12 tiles: 12 outside the mask polygons" in message


def test_image_without_its_label_or_of_another_size_is_named_first(scene):
    """E16: before anything is written."""
    for name in ("a", "b"):
        scene.raster(f"images/{name}.jpg", crs=None)
    scene.raster("masks/a.png", bands=1, crs=None)
    folders = {"IN_FOLDER": f"{scene.folder}/images", "IN_CLASS_FOLDER": f"{scene.folder}/masks"}
    assert re.search(r"1 of 2 images have no label image: .*b\.jpg", fail(scene, **folders))
    scene.raster("masks/b.png", bands=1, crs=None, size=(64, 47))
    assert re.search(r"b\.jpg \(64 x 48 .*b\.png \(64 x 47 .* differ in size", fail(scene, **folders))


def test_images_of_different_kinds_are_refused(scene):
    scene.raster("images/a.tif", bands=3)
    scene.raster("images/b.tif", bands=4)
    message = fail(scene, IN_FOLDER=f"{scene.folder}/images", METADATA_FORMAT="Export_Tiles")
    assert re.search(r"b\.tif has 4 bands .*a\.tif has 3", message)


def test_defaults_are_the_documented_ones():
    """E5, E20, E21, E35, E41."""
    tool = tools.load("exporttrainingdata")
    defaults = {param.key: param.default for param in tool.params}
    assert (defaults["TILE_SIZE_X"], defaults["TILE_SIZE_Y"]) == (256, 256)
    assert (defaults["STRIDE_X"], defaults["STRIDE_Y"]) == (128, 128)
    assert defaults["OUTPUT_NOFEATURE_TILES"] is False
    assert (defaults["IMAGE_CHIP_FORMAT"], defaults["START_INDEX"]) == ("TIFF", 0)


@pytest.mark.skipif(not DUBAI.is_dir(), reason=f"the Dubai images are not in {DUBAI}")
def test_dubai_gives_the_chips_of_the_article(tmp_path):
    """U2, U3, U5, U6: 72 images, patches of 160 that do not overlap: 3,483."""
    scene = Scene(tmp_path)
    schema = (
        "1, Building, #3C1098\n2, Land, #8429F6\n3, Road, #6EC1E4\n"
        "4, Vegetation, #FEDD3A\n5, Water, #E2A929\n6, Unlabeled, #9B9B9B"
    )
    out = scene.export(
        IN_FOLDER=f"{DUBAI}/Tile */images/*.jpg", IN_CLASS_FOLDER=f"{DUBAI}/Tile */masks/*.png",
        CLASS_SCHEMA=schema, OUTPUT_NOFEATURE_TILES=True,
        TILE_SIZE_X=160, TILE_SIZE_Y=160, STRIDE_X=160, STRIDE_Y=160,
    )  # fmt: skip
    assert scene.result["NUM_CHIPS"] == len(ids(out)) == 3483
    assert any("552,156 pixels" in text and "#000000" in text for text in scene.messages)
    stats = side_file(out, "esri_accumulated_stats.json")
    assert sum(stats["ClassPixelStats"]["NumPixelsPerClass"]) > 0.99 * 3483 * 160 * 160
