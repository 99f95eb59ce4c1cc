"""Exported folders, as ArcGIS and this engine write them."""

import json

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
