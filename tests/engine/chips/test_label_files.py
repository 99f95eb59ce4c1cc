"""Labels of every format, in files written by hand as ArcGIS writes them."""

import json

import numpy as np
import pytest
import rasterio

from imagerydl.chips.folder import read_exported_folder
from imagerydl.chips.label_files import LabelReader
from imagerydl.errors import DataError

WIDTH, HEIGHT = 20, 16

#: The name of the first class is the value of another one: they must not be mixed up.
CLASSES = [{"Value": 5, "Name": "7"}, {"Value": 7, "Name": "Oak tree", "Color": [0, 200, 0]}]


def write_raster(path, data, driver="GTiff", **profile):
    data = np.asarray(data)
    data = data[None] if data.ndim == 2 else data
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = dict(zip(("count", "height", "width"), data.shape))
    with rasterio.open(path, "w", driver, dtype=data.dtype, **shape, **profile) as dataset:
        dataset.write(data)


def write_folder(root, kind, files=None, ids=("000000000", "000000007"), classes=CLASSES, **definition):
    """A folder as Pro 2 leaves it: 9 digits, a gap, Windows paths, texts where values belong."""
    placeholders = {
        "Framework": "e.g. TensorFlow or PyTorch",
        "ImageHeight": "e.g. 256",
        "ExtractBands": "e.g.",
    }
    said = {**placeholders, "MetaDataMode": kind, "Classes": classes, **definition}
    root.mkdir(exist_ok=True)
    (root / "esri_model_definition.emd").write_text(json.dumps(said))
    stats = {"NumBands": 3, "TileSizeX": WIDTH, "TileSizeY": HEIGHT, "MetaDataMode": kind}
    (root / "esri_accumulated_stats.json").write_text(json.dumps(stats))
    for name in ids:
        write_raster(root / "images" / f"{name}.tif", np.ones((3, HEIGHT, WIDTH), np.uint8))
    (root / "map.txt").write_text("".join(f"images\\{n}.tif labels\\{n}.xml \n" for n in ids))
    for name, content in (files or {}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, "utf-8")
        else:
            write_raster(path, content)
    return read_exported_folder(root)


def read_first(folder):
    return LabelReader(folder).read(folder.chips[0])


def as_pairs(labels):
    return list(zip(labels.box_classes.tolist(), labels.boxes.round(6).tolist()))


def annotation(*objects, size=(WIDTH, HEIGHT)):
    """A file in the form of ArcGIS; an object is a name and four sides, on lines of their own."""
    text = "<annotation>\n<filename>000000000.tif</filename>\n<source><annotation>ArcGIS Pro 2.1</annotation>"
    text += f"</source>\n<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>\n"
    for name, *sides in objects:
        box = "".join(f"<{s}>{v}</{s}>" for s, v in zip(("xmin", "ymin", "xmax", "ymax"), sides))
        text += f"<object>\n<name>{name}</name>\n<bndbox>{box}</bndbox>\n</object>\n"
    return text + "</annotation>\n"


def kitti(name, *sides):
    return f"{name} 0.00 0 0.00 {' '.join(str(side) for side in sides)} " + "0 " * 6 + "0\n"


# What each format says


def test_pascal_voc(tmp_path):
    """The name is the class value, even where another class has that name; names are understood, too."""
    text = annotation(
        (7, "1.25", "2.50", "20.00", "16.00"), ("Oak tree", 0, 0, 3, 4), (5, "0.00", "1.00", "2.00", "3.00")
    )
    folder = write_folder(tmp_path, "PASCAL_VOC_rectangles", {"labels/000000000.xml": text})
    assert as_pairs(read_first(folder)) == [(7, [1.25, 2.5, 20, 16]), (7, [0, 0, 3, 4]), (5, [0, 1, 2, 3])]


def test_annotation_without_objects_is_a_chip_without_objects(tmp_path):
    folder = write_folder(tmp_path, "PASCAL_VOC_rectangles", {"labels/000000000.xml": annotation()})
    labels = read_first(folder)
    assert labels.boxes.shape == (0, 4)
    assert labels.box_classes.shape == (0,)
    assert labels.pixels is None


def test_kitti(tmp_path):
    """Only the columns 1 and 5 to 8 mean anything; a name may hold a blank; empty lines are nothing."""
    text = kitti(5, "1.00", "2.00", "3.50", "4.25") + "\n" + kitti("Oak tree", 4, 5, 6, 7)
    folder = write_folder(tmp_path, "KITTI_rectangles", {"labels/000000000.txt": text})
    assert as_pairs(read_first(folder)) == [(5, [1, 2, 3.5, 4.25]), (7, [4, 5, 6, 7])]


def test_yolo(tmp_path):
    """Shares of the chip's sides; the class is its place in the definition, whatever its value."""
    folder = write_folder(
        tmp_path, "YOLO", {"labels/000000000.txt": "1 0.5 0.25 0.1 0.5\n0 0.1 0.5 0.2 0.25\n"}
    )
    assert as_pairs(read_first(folder)) == [(7, [9, 0, 11, 8]), (5, [0, 6, 4, 10])]


def coco(annotations, **image):
    images = [
        {"id": 0, "file_name": "images/000000000.tif", "width": WIDTH, "height": HEIGHT, **image},
        {"id": 7, "file_name": "images\\000000007.tif", "width": WIDTH, "height": HEIGHT},
    ]
    categories = [{"id": item["Value"], "name": item["Name"]} for item in CLASSES]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def test_coco(tmp_path):
    ring = [2, 3, 6, 3, 6, 8, 2, 8]
    one = {"id": 1, "image_id": 0, "category_id": 7, "bbox": [2, 3, 4, 5], "segmentation": [ring], "area": 20}
    other = {"id": 2, "image_id": 7, "category_id": 5, "bbox": [0.5, 1, 2, 3]}
    folder = write_folder(tmp_path, "COCO", {"annotations.json": coco([one, other])})
    reader = LabelReader(folder)
    first, second = (reader.read(chip) for chip in folder.chips)
    assert as_pairs(first) == [(7, [2, 3, 6, 8])]
    ((value, mask),) = first.instances
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[3:8, 2:6] = True
    assert value == 7
    assert np.array_equal(mask, expected)
    assert as_pairs(second) == [(5, [0.5, 1, 2.5, 4])]
    assert second.instances == ()


@pytest.mark.parametrize(("dtype", "extension"), [("uint8", ".png"), ("uint16", ".tif"), ("int32", ".tif")])
def test_classified_tiles(tmp_path, dtype, extension):
    """The label's extension may differ from the image's."""
    pixels = np.zeros((HEIGHT, WIDTH), dtype)
    pixels[2:5, 3:9] = 7
    driver = {"driver": "PNG"} if extension == ".png" else {}
    write_raster(tmp_path / "labels" / f"000000000{extension}", pixels, **driver)
    labels = read_first(write_folder(tmp_path, "Classified_Tiles"))
    assert labels.pixels.dtype == np.uint16
    assert np.array_equal(labels.pixels, pixels)


def test_no_data_of_a_class_raster_is_background(tmp_path):
    pixels = np.full((HEIGHT, WIDTH), 255, np.uint8)
    pixels[0] = 5
    write_raster(tmp_path / "labels" / "000000000.tif", pixels, nodata=255)
    labels = read_first(write_folder(tmp_path, "Classified_Tiles"))
    assert np.unique(labels.pixels).tolist() == [0, 5]


def instance_masks():
    """Three instances, two of which overlap and so lie in two bands."""
    bands = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    bands[0, 1:4, 1:4], bands[0, 8:10, 5:15], bands[1, 2:6, 2:6] = 1, 2, 1
    return bands


def test_rcnn_masks(tmp_path):
    """Folders bear the names of the definition, where the true name may be no good folder name."""
    classes = [{"Value": 5, "Name": "Car_Van", "OriginalName": "Car/Van"}, CLASSES[1]]
    single = np.zeros((HEIGHT, WIDTH), np.uint8)
    single[-1, -1] = 1
    files = {"labels/Car_Van/000000000.tif": instance_masks(), "labels/Oak tree/000000000.tif": single}
    folder = write_folder(tmp_path, "RCNN_Masks", files, classes=classes)
    assert [entry.name for entry in folder.classes] == ["Car/Van", "Oak tree"]
    labels = read_first(folder)
    assert [value for value, _ in labels.instances] == [5, 5, 5, 7]
    assert [int(mask.sum()) for _, mask in labels.instances] == [9, 20, 16, 1]
    boxes = [[1, 1, 4, 4], [5, 8, 15, 10], [2, 2, 6, 6], [19, 15, 20, 16]]
    assert as_pairs(labels) == list(zip([5, 5, 5, 7], boxes))
    # A chip without a class lacks that file; one without any instance has none.
    assert LabelReader(folder).read(folder.chips[1]).instances == ()


def test_panoptic(tmp_path):
    instances = [{"Value": 7, "Name": "Oak_tree", "OriginalName": "Oak tree"}]
    pixels = np.full((HEIGHT, WIDTH), 5, np.uint8)
    pixels[1:10] = 7
    files = {"labels/000000000.tif": pixels, "labels2/Oak_tree/000000000.tif": instance_masks()}
    folder = write_folder(
        tmp_path, "Panoptic_Segmentation", files, Panoptic_Segmentation_Instance_Classes=instances
    )
    assert [entry.name for entry in folder.instance_classes] == ["Oak tree"]
    labels = read_first(folder)
    assert np.array_equal(labels.pixels, pixels)
    assert [value for value, _ in labels.instances] == [7, 7, 7]


def test_labeled_tiles(tmp_path):
    """Only the first object counts; its box says nothing about the class, so it may be anything."""
    text = annotation((5, 3, 3, 3, 3), (7, 1, 1, 2, 2))
    folder = write_folder(tmp_path, "Labeled_Tiles", {"labels/000000000.xml": text})
    labels = read_first(folder)
    assert labels.classes == (5,)
    assert len(labels.boxes) == 0


def test_chips_cropped_to_their_objects_have_sizes_of_their_own(tmp_path):
    text = annotation((7, 0, 0, 90.5, 70), size=(90, 70))
    folder = write_folder(
        tmp_path, "Labeled_Tiles", {"labels/000000000.xml": text}, CropTileMode="Variable_Size"
    )
    labels = read_first(folder)
    assert labels.classes == (7,)
    assert as_pairs(labels) == [(7, [0, 0, 90, 70])]


def test_multilabeled_tiles(tmp_path):
    """Names as they are, with commas between; a comma in a name may stand as a blank, or as it is."""
    classes = [*CLASSES, {"Value": 9, "Name": "Pool, small"}]
    for text, expected in (
        ("Oak tree,7", (7, 5)),
        ("Oak tree,Pool  small", (7, 9)),
        ("Pool, small", (9,)),
        ("", ()),
    ):
        objects = [(text, 0, 0, 20, 16)] if text else []
        files = {"labels/000000000.xml": annotation(*objects)}
        assert (
            read_first(write_folder(tmp_path, "MultiLabeled_Tiles", files, classes=classes)).classes
            == expected
        )


def test_imagenet(tmp_path):
    """The class is the image's folder; two folders may use one number."""
    for name in ("7/000000000", "Oak tree/000000000", "Oak tree/000000001"):
        write_raster(tmp_path / "images" / f"{name}.png", np.ones((3, 9, 9), np.uint8), driver="PNG")
    folder = write_folder(tmp_path, "Imagenet", ids=())
    reader = LabelReader(folder)
    found = [(chip.image.parent.name, reader.read(chip).classes) for chip in folder.chips]
    assert found == [("7", (5,)), ("Oak tree", (7,)), ("Oak tree", (7,))]


def test_formats_without_labels(tmp_path):
    labels = read_first(write_folder(tmp_path, "Export_Tiles", classes=[]))
    assert (len(labels.boxes), labels.classes, labels.pixels, labels.instances) == (0, (), None, ())


def test_boxes_that_reach_over_the_edge_by_a_pixel_are_cut(tmp_path):
    text = annotation((5, -1, 0, 21, 16.5))
    folder = write_folder(tmp_path, "PASCAL_VOC_rectangles", {"labels/000000000.xml": text})
    assert as_pairs(read_first(folder)) == [(5, [0, 0, 20, 16])]


# What is wrong with them

VOC, KITTI = "PASCAL_VOC_rectangles", "KITTI_rectangles"
GOOD_VOC, GOOD_KITTI, GOOD_YOLO = (7, 1, 1, 4, 4), kitti(7, 1, 1, 4, 4), "1 0.5 0.5 0.1 0.1\n"

BAD_ITEMS = [
    (VOC, annotation(GOOD_VOC, (9, 1, 1, 2, 2)), r"Line 9 of .*\.xml names the class '9'"),
    (VOC, annotation(GOOD_VOC, (7, 5, 1, 2, 2)), r"Line 9 .*\[5, 1, 2, 2\].* reversed"),
    (VOC, annotation(GOOD_VOC, (7, 2, 1, 2, 2)), "Line 9 .* no area"),
    (VOC, annotation(GOOD_VOC, (7, 2, 1, 30, 2)), "Line 9 .* outside its chip of 20 x 16"),
    (VOC, annotation(GOOD_VOC, (7, 2, 1, "wide", 2)), "Line 9 .* no box of four numbers"),
    (VOC, annotation(GOOD_VOC, (7, 2, 1)), "Line 9 .* no box of four numbers"),
    (VOC, annotation(GOOD_VOC, (7, 2, 1, "nan", 2)), "Line 9 .* no box of four numbers"),
    (KITTI, GOOD_KITTI + "7 0 0 0 1 1 4 4\n", r"Line 2 of .*\.txt has 8 columns in place of 15"),
    (KITTI, GOOD_KITTI + GOOD_KITTI[:-1] + " 0.9\n", "Line 2 of .* has 16 columns in place of 15"),
    (KITTI, GOOD_KITTI + kitti("Tree", 1, 1, 2, 2), "Line 2 of .* names the class 'Tree'"),
    (KITTI, GOOD_KITTI + kitti(7, 1, 1, "x", 2), "Line 2 of .* no box of four numbers"),
    ("YOLO", GOOD_YOLO + "1 0.5 0.5 0.1\n", "Line 2 of .* has 4 columns in place of 5"),
    ("YOLO", GOOD_YOLO + "2 0.5 0.5 0.1 0.1\n", "Line 2 of .* names the class 2, of 2 counted from 0"),
    ("YOLO", GOOD_YOLO + "-1 0.5 0.5 0.1 0.1\n", "Line 2 of .* names the class -1"),
    ("YOLO", GOOD_YOLO + "1 0.5 1.5 0.1 0.1\n", "Line 2 of .* outside its chip"),
    ("YOLO", GOOD_YOLO + "1 0.5 0.5 -0.1 0.1\n", "Line 2 of .* reversed"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "message"), BAD_ITEMS)
def test_a_wrong_item_is_named_or_skipped(tmp_path, kind, text, message):
    extension = ".xml" if kind == VOC else ".txt"
    folder = write_folder(tmp_path, kind, {f"labels/000000000{extension}": text})
    reader = LabelReader(folder)
    with pytest.raises(DataError, match=message):
        reader.read(folder.chips[0])
    problems = []
    labels = reader.read_tolerantly(folder.chips[0], problems)
    assert labels.box_classes.tolist() == [7]
    assert len(problems) == 1
    assert "000000000" in problems[0]


def test_wrong_annotations_of_coco(tmp_path):
    good = {"id": 1, "image_id": 0, "category_id": 7, "bbox": [2, 3, 4, 5]}
    bad = {"id": 2, "image_id": 0, "category_id": 8, "bbox": [2, 3, 4, 5]}
    short = {"id": 3, "image_id": 0, "category_id": 7, "bbox": [2, 3, 4]}
    folder = write_folder(tmp_path, "COCO", {"annotations.json": coco([good, bad, short])})
    reader = LabelReader(folder)
    with pytest.raises(DataError, match=r"Annotation 2 of .*annotations\.json names the class '8'"):
        reader.read(folder.chips[0])
    problems = []
    assert reader.read_tolerantly(folder.chips[0], problems).box_classes.tolist() == [7]
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "annotations.json cannot be read"),
        ('{"images": []}', "annotations.json cannot be read.*'annotations'"),
        (coco([{"id": 1, "image_id": 99, "category_id": 7, "bbox": [0, 0, 1, 1]}]), "1 belongs to no image"),
    ],
)
def test_a_broken_file_for_all_chips_is_named_at_once(tmp_path, text, message):
    folder = write_folder(tmp_path, "COCO", {"annotations.json": text})
    with pytest.raises(DataError, match=message):
        LabelReader(folder)


BAD_FILES = [
    (VOC, {"labels/000000000.xml": "<annotation>\n<object>\n"}, r"no annotation .*line 3"),
    (VOC, {"labels/000000000.xml": ""}, "is no annotation"),
    (VOC, {}, r"000000000\.tif has no label"),
    ("Labeled_Tiles", {"labels/000000000.xml": annotation()}, "names no class"),
    ("Labeled_Tiles", {"labels/000000000.xml": annotation((8, 0, 0, 1, 1))}, "Line 5 .* names the class '8'"),
    ("Classified_Tiles", {}, "has no label"),
    ("Classified_Tiles", {"labels/000000000.tif": "no raster"}, r"label .*000000000\.tif cannot be read"),
    ("Classified_Tiles", {"labels/000000000.tif": np.zeros((4, 5), np.uint8)}, "5 x 4 pixels, not 20 x 16"),
    ("Classified_Tiles", {"labels/000000000.tif": np.full((HEIGHT, WIDTH), 1.5)}, "values that are no class"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "files", "message"), BAD_FILES)
def test_a_chip_whose_label_is_unusable_is_not_one_without_objects(tmp_path, kind, files, message):
    folder = write_folder(tmp_path, kind, files)
    reader = LabelReader(folder)
    with pytest.raises(DataError, match=message):
        reader.read(folder.chips[0])
    problems = []
    assert reader.read_tolerantly(folder.chips[0], problems) is None
    assert len(problems) == 1


def test_text_that_is_no_text_is_named(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "000000000.txt").write_bytes(b"\xff\xfe\x00 broken \xe9")
    folder = write_folder(tmp_path, "KITTI_rectangles")
    with pytest.raises(DataError, match=r"000000000\.txt cannot be read"):
        read_first(folder)


def test_pixels_of_an_unknown_class_are_named_or_left_out(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[0], pixels[1] = 7, 9
    folder = write_folder(tmp_path, "Classified_Tiles", {"labels/000000000.tif": pixels})
    reader = LabelReader(folder)
    with pytest.raises(DataError, match=r"000000000\.tif holds the class 9"):
        reader.read(folder.chips[0])
    problems = []
    labels = reader.read_tolerantly(folder.chips[0], problems)
    assert np.unique(labels.pixels).tolist() == [0, 7]
    assert len(problems) == 1


def test_a_folder_of_an_unknown_class_is_named_or_skipped(tmp_path):
    files = {"labels/Boat/000000000.tif": instance_masks(), "labels/7/000000000.tif": instance_masks()}
    folder = write_folder(tmp_path, "RCNN_Masks", files)
    reader = LabelReader(folder)
    with pytest.raises(DataError, match="names the class 'Boat'"):
        reader.read(folder.chips[0])
    problems = []
    assert set(reader.read_tolerantly(folder.chips[0], problems).box_classes.tolist()) == {5}
    assert len(problems) == 1
