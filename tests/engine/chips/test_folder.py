"""Exported folders, as ArcGIS and this engine write them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from imagerydl.chips.folder import ensure_replaceable, read_exported_folder
from imagerydl.errors import DataError, OutputError
from imagerydl.labels.classes import ClassEntry

DEFINITION = {
    "Framework": "e.g. TensorFlow or PyTorch",
    "ModelFile": "e.g. ./trained.model",
    "ImageHeight": "e.g. 256",
    "ImageWidth": "e.g. 256",
    "ExtractBands": "e.g. [0, 1, 2]",
    "MetaDataMode": "Classified_Tiles",
    "ImageSpaceUsed": "MAP_SPACE",
    "Classes": [
        {"Value": 1, "Name": "Roof", "Color": [-1, -1, -1]},
        {"Value": 7, "Name": "Lawn", "Color": [0, 200, 0]},
    ],
}
STATS = {
    "Version": 1,
    "NumBands": 2,
    "TileSizeX": 8,
    "TileSizeY": 6,
    "MetaDataMode": "Classified_Tiles",
    "Classes": [{"ClassValue": 1, "ClassName": "Roof"}, {"ClassValue": 7, "ClassName": "Lawn"}],
    "MinCellSize": {"x": 0.3, "y": 0.3, "spatialReference": {"wkid": 102100, "latestWkid": 3857}},
    "ClassPixelStats": {"NumPixelsPerClass": [40, 50]},
    "BandStatsState": [
        {"Min": 0, "Max": 9, "Mean": 0, "StdDev": 0, "M1": 4.0, "M2": 100.0, "Num": 25},
        {"Min": 1, "Max": 8, "Mean": 0, "StdDev": 0, "M1": 5.0, "M2": 0.0, "Num": 25},
    ],
}


def write_folder(root, definition=DEFINITION, stats=STATS, ids=("000000000", "000000003", "000000026")):
    """A folder of the shape ArcGIS Pro 2 writes: 9 digits, gaps, Windows paths, placeholders."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for name in ids:
        for folder, bands, extension in (("images", 2, ".jpg"), ("labels", 1, ".tif")):
            with rasterio.open(
                root / folder / (name + extension),
                "w",
                driver="GTiff",
                count=bands,
                width=8,
                height=6,
                dtype="uint8",
            ) as dataset:
                dataset.write(np.ones((bands, 6, 8), np.uint8))
        (root / "images" / f"{name}.jgw").write_text("1\n0\n0\n-1\n0\n0\n")
        (root / "images" / f"{name}.jpg.aux.xml").write_text("<PAMDataset/>")
    (root / "map.txt").write_text("".join(f"images\\{n}.jpg labels\\{n}.tif \n" for n in ids))
    if definition is not None:
        (root / "esri_model_definition.emd").write_text("\ufeff" + json.dumps(definition, indent=2), "utf-8")
    if stats is not None:
        (root / "esri_accumulated_stats.json").write_text(json.dumps(stats))
    return root


def test_reads_a_folder_arcgis_wrote(tmp_path):
    folder = read_exported_folder(write_folder(tmp_path / "Chips von Pro"))
    assert folder.metadata_format == "Classified_Tiles"
    assert list(folder.classes) == [ClassEntry(1, "Roof"), ClassEntry(7, "Lawn", (0, 200, 0))]
    assert folder.tile_size == (8, 6)
    assert folder.band_count == 2
    assert folder.band_names == ("", "")
    assert folder.band_stats[0] == {"BandName": "", "Min": 0, "Max": 9, "Mean": 4, "StdDev": 2}
    assert folder.image_space == "MAP_SPACE"
    assert folder.cell_size["spatialReference"]["latestWkid"] == 3857
    assert folder.pixels_per_class == {1: 40, 7: 50}
    assert [chip.image.name for chip in folder.chips] == ["000000000.jpg", "000000003.jpg", "000000026.jpg"]
    assert [chip.label.name for chip in folder.chips] == ["000000000.tif", "000000003.tif", "000000026.tif"]


def test_missing_optional_keys_are_found_elsewhere(tmp_path):
    """Old exports have few keys: the chip size then comes from the first chip."""
    stats = {"MetaDataMode": "Classified_Tiles", "Classes": STATS["Classes"]}
    folder = read_exported_folder(write_folder(tmp_path, {"Description": "e.g."}, stats))
    assert (folder.tile_size, folder.band_count) == ((8, 6), 2)
    assert folder.classes.values == (1, 7)
    assert folder.band_stats == []
    assert folder.cell_size is None
    assert folder.pixels_per_class == {}


@pytest.mark.parametrize(("definition", "stats"), [(DEFINITION, None), (None, STATS)])
def test_one_side_file_is_enough(tmp_path, definition, stats):
    assert read_exported_folder(write_folder(tmp_path, definition, stats)).classes.values == (1, 7)


def test_real_statistics_of_the_definition_come_first(tmp_path):
    tiles = [{"BandName": "Red", "Min": 0, "Max": 255, "Mean": 100.5, "StdDev": 20.25}] * 2
    properties = {"RasterCount": 1, "SensorName": "Undefined", "BandNames": ["Red", "Green"]}
    definition = {**DEFINITION, "AllTilesStats": tiles, "InputRastersProps": properties}
    folder = read_exported_folder(write_folder(tmp_path, definition))
    assert folder.band_names == ("Red", "Green")
    assert [band["BandName"] for band in folder.band_stats] == ["Red", "Green"]
    assert folder.band_stats[1]["Mean"] == 100.5


def test_overflowed_pixel_counts_are_not_trusted(tmp_path):
    stats = {**STATS, "ClassPixelStats": {"NumPixelsPerClass": [-2147483648, 50]}}
    assert read_exported_folder(write_folder(tmp_path, DEFINITION, stats)).pixels_per_class == {}


def test_chip_without_label_is_listed_without_one(tmp_path):
    root = write_folder(tmp_path)
    (root / "labels" / "000000003.tif").unlink()
    assert [chip.label is None for chip in read_exported_folder(root).chips] == [False, True, False]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere does not exist"):
        read_exported_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"neither esri_model_definition\.emd nor esri_accumulated_stats\.json"
    ):
        read_exported_folder(tmp_path / "empty")
    with pytest.raises(DataError, match="images holds no chip"):
        read_exported_folder(write_folder(tmp_path / "no chips", ids=()))
    with pytest.raises(DataError, match="MetaDataMode is missing"):
        read_exported_folder(write_folder(tmp_path / "no mode", {"Framework": "x"}, None))


def test_broken_side_file_is_named_with_its_line(tmp_path):
    root = write_folder(tmp_path)
    (root / "esri_accumulated_stats.json").write_text('{\n "Version" : 1\n "NumBands" ;\n}')
    with pytest.raises(DataError, match=r"esri_accumulated_stats\.json is not JSON.*line"):
        read_exported_folder(root)


def test_overwriting_never_deletes_other_files(tmp_path):
    export = write_folder(tmp_path / "export")
    ensure_replaceable(export, overwrite=True)
    ensure_replaceable(tmp_path / "new", overwrite=False)
    with pytest.raises(OutputError, match="already exists"):
        ensure_replaceable(export, overwrite=False)
    with pytest.raises(OutputError, match="holds the input"):
        ensure_replaceable(export, overwrite=True, inputs=[str(export / "images" / "*.jpg")])
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "letter.txt").write_text("Dear")
    with pytest.raises(OutputError, match="holds no exported chips"):
        ensure_replaceable(documents, overwrite=True)
    with pytest.raises(OutputError, match="is a file"):
        ensure_replaceable(documents / "letter.txt", overwrite=True)


# What other formats than class rasters hold


def write_chips(root, kind, files, classes=None, **definition):
    """A folder with side files and empty chips of 8 x 6 pixels; only the definition tells classes."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".xml", ".txt"):
            path.write_text("")
            continue
        driver = {".png": "PNG", ".jpg": "JPEG", ".mrf": "MRF"}.get(path.suffix, "GTiff")
        with rasterio.open(path, "w", driver, count=1, width=8, height=6, dtype="uint8") as dataset:
            dataset.write(np.ones((1, 6, 8), np.uint8))
    said = {"MetaDataMode": kind, **({"Classes": classes} if classes else {}), **definition}
    (root / "esri_model_definition.emd").write_text(json.dumps(said))
    return root


@pytest.mark.parametrize("extension", [".tif", ".png", ".jpg", ".mrf"])
@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("KITTI_rectangles", ".txt"),
        ("YOLO", ".txt"),
        ("PASCAL_VOC_rectangles", ".xml"),
        ("Labeled_Tiles", ".xml"),
    ],
)
def test_label_files_go_with_chips_of_any_kind(tmp_path, kind, label, extension):
    """The side files of some kinds of images (.mrf has two more) are no chips."""
    root = write_chips(tmp_path, kind, [f"images/000000002{extension}", f"labels/000000002{label}"])
    (root / "labels" / "000000002.tif").write_text("a raster is no label here")
    folder = read_exported_folder(root)
    (chip,) = folder.chips
    assert chip.image.name == f"000000002{extension}"
    assert chip.label.name == f"000000002{label}"
    assert (folder.tile_size, folder.band_count) == ((8, 6), 1)


def test_chips_in_folders_of_classes(tmp_path):
    """Imagenet: two classes may use one number; both chips are there."""
    names = ["images/Tree/000000001.png", "images/Pool/000000001.png", "images/Pool/000000000.png"]
    folder = read_exported_folder(write_chips(tmp_path, "Imagenet", names))
    found = [f"{chip.image.parent.name}/{chip.image.stem}" for chip in folder.chips]
    assert found == ["Pool/000000000", "Pool/000000001", "Tree/000000001"]


def test_pairs_of_images(tmp_path):
    names = ["images/000000000.tif", "images2/000000000.tif", "images/000000001.tif"]
    properties = {"RasterCount": 1, "SensorName": "Undefined", "BandNames": ["Pan"]}
    folder = read_exported_folder(write_chips(tmp_path, "Export_Tiles", names, InputRastersProps2=properties))
    assert [chip.second is not None for chip in folder.chips] == [True, False]
    assert folder.band_names2 == ("Pan",)
    assert folder.other is None
    assert len(folder.classes) == 0


def test_true_names_of_classes_and_their_folders(tmp_path):
    """A name that is no good folder name stands beside the folder's; both are understood."""
    classes = [{"Value": 1, "Name": "Car_Van", "OriginalName": "Car/Van"}, {"Value": 2, "Name": "Tree"}]
    instances = [{"Value": 3, "Name": "Pool_1", "OriginalName": "Pool 1"}]
    root = write_chips(
        tmp_path, "Panoptic_Segmentation", ["images/0.tif", "labels/0.tif"], classes,
        Panoptic_Segmentation_Instance_Classes=instances,
    )  # fmt: skip
    folder = read_exported_folder(root)
    assert [entry.name for entry in folder.classes] == ["Car/Van", "Tree"]
    assert [entry.name for entry in folder.instance_classes] == ["Pool 1"]
    assert folder.class_folders == {"Car_Van": 1, "Tree": 2, "Pool_1": 3}


def test_classes_are_found_in_either_side_file(tmp_path):
    """A definition whose classes are still a placeholder leaves them to the statistics."""
    root = write_chips(tmp_path, "RCNN_Masks", ["images/0.tif"], Classes="e.g. [0, 1]")
    stats = {"MetaDataMode": "RCNN_Masks", "Classes": [{"ClassValue": 4, "ClassName": "Roof"}]}
    (root / "esri_accumulated_stats.json").write_text(json.dumps(stats))
    folder = read_exported_folder(root)
    assert list(folder.classes) == [ClassEntry(4, "Roof")]
    assert folder.class_folders == {"Roof": 4}


@pytest.mark.parametrize(
    "classes", [["Roof"], [{"Value": "e.g. 1", "Name": "Roof"}], [{"Name": "Roof"}], [{"Value": 1}]]
)
def test_classes_that_are_none_are_named(tmp_path, classes):
    with pytest.raises(DataError, match=r"The classes of .* cannot be used"):
        read_exported_folder(write_chips(tmp_path, "RCNN_Masks", ["images/0.tif"], classes))


def test_both_sides_of_cyclegan(tmp_path):
    """Each side is complete by itself; the root gives both."""
    write_chips(tmp_path / "A", "CycleGAN", ["images/0.tif", "images/1.tif"])
    write_chips(tmp_path / "B", "CycleGAN", ["images/5.tif"])
    folder = read_exported_folder(tmp_path)
    assert folder.root == tmp_path
    assert [chip.image.stem for chip in folder.chips] == ["0", "1"]
    assert [chip.image.stem for chip in folder.other.chips] == ["5"]
    assert folder.other.root == tmp_path / "B"
    assert len(read_exported_folder(tmp_path / "B").chips) == 1
    (tmp_path / "B" / "esri_model_definition.emd").unlink()
    with pytest.raises(DataError, match="has no side B"):
        read_exported_folder(tmp_path)


@pytest.mark.parametrize("side", ["", "A"])
def test_a_divided_export_is_given_part_by_part(tmp_path, side):
    for part in ("train", "test"):
        for one in ("A", "B") if side else ("",):
            write_chips(tmp_path / part / one, "CycleGAN" if side else "Export_Tiles", ["images/0.tif"])
    with pytest.raises(DataError, match="divided into train, test") as caught:
        read_exported_folder(tmp_path)
    assert str(tmp_path / "train") in caught.value.fix
    assert len(read_exported_folder(tmp_path / "test").chips) == 1


def test_reading_loads_nothing_heavy():
    """The declaration of a tool may import this module inside QGIS."""
    code = (
        "import sys, imagerydl.chips.folder; print({'numpy', 'rasterio', 'PIL', 'torch'} & set(sys.modules))"
    )
    engine = Path(__file__).parents[3] / "engine"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=engine, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
