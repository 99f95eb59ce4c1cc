"""Reads exported folders with nothing but standard parsers: none of the writer's own code.

What another program would do: map.txt tells the files, XML and text are parsed as their formats
say, rasters are opened with rasterio.
"""

import json
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import rasterio


def chip_map(root):
    """Lines of map.txt as lists of paths, images first."""
    lines = (Path(root) / "map.txt").read_text("utf-8").splitlines()
    assert all(line.endswith(" ") for line in lines)
    return [[Path(root, *token.split("\\")) for token in line.split()] for line in lines]


def definition(root):
    return json.loads((Path(root) / "esri_model_definition.emd").read_text("utf-8"))


def stats(root):
    return json.loads((Path(root) / "esri_accumulated_stats.json").read_text("utf-8"))


def size_of(image):
    with rasterio.open(image) as dataset:
        return dataset.width, dataset.height


def transform_of(image):
    with rasterio.open(image) as dataset:
        return dataset.transform


def kitti(path):
    """(class value, box) of each line."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        columns = line.split(" ")
        assert len(columns) == 15
        assert all(float(column) >= 0 for column in columns)
        assert all(float(columns[i]) == 0 for i in (1, 2, 3, *range(8, 15)))
        found.append((int(columns[0]), tuple(float(column) for column in columns[4:8])))
    return found


def annotation(path):
    """(name, box) of each object of a PASCAL VOC file."""
    tree = ElementTree.parse(path).getroot()
    assert tree.tag == "annotation"
    assert tree.findtext("filename")
    assert tree.findtext("size/width")
    assert tree.findtext("size/depth")
    return [
        (
            one.findtext("name"),
            tuple(float(one.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")),
        )
        for one in tree.findall("object")
    ]


def voc(path):
    """(class value, box) of each object; the name must be a value."""
    return [(int(name), box) for name, box in annotation(path)]


def yolo(path, classes, size):
    """(class value, box) of each line."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        index, x, y, width, height = line.split()
        x, width = float(x) * size[0], float(width) * size[0]
        y, height = float(y) * size[1], float(height) * size[1]
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        found.append((classes[int(index)], box))
    return found


def coco(root):
    """(class value, box, rings) of each annotation by file name."""
    content = json.loads((Path(root) / "annotations.json").read_text("utf-8"))
    names = {image["id"]: image["file_name"] for image in content["images"]}
    known = {category["id"] for category in content["categories"]}
    found = {name: [] for name in names.values()}
    for one in content["annotations"]:
        assert one["category_id"] in known
        x, y, width, height = one["bbox"]
        box = (x, y, x + width, y + height)
        found[names[one["image_id"]]].append((one["category_id"], box, one["segmentation"]))
    assert len({one["id"] for one in content["annotations"]}) == len(content["annotations"])
    return found


def boxes(root, kind):
    """(class value, box) of each object, by image file, in any of the formats of boxes."""
    root = Path(root)
    if kind == "COCO":
        return {root / name: [one[:2] for one in ones] for name, ones in coco(root).items()}
    classes = [item["Value"] for item in definition(root)["Classes"]]
    result = {}
    for files in chip_map(root):
        image, label = files[0], root / "labels" / files[0].stem
        if kind == "KITTI_rectangles":
            assert files[1] == label.with_suffix(".txt")
            result[image] = kitti(files[1])
        elif kind == "PASCAL_VOC_rectangles":
            assert files[1] == label.with_suffix(".xml")
            result[image] = voc(files[1])
        else:
            result[image] = yolo(label.with_suffix(".txt"), classes, size_of(image))
    return result


def masks(folder, stem, classes):
    """Masks of the instances of a chip by class value; ``classes`` is value by folder name."""
    found = defaultdict(list)
    for name, value in classes.items():
        path = Path(folder) / name / f"{stem}.tif"
        if not path.is_file():
            continue
        with rasterio.open(path) as dataset:
            bands = dataset.read()
        for band in bands:
            numbers = np.unique(band[band > 0])
            assert numbers.tolist() == list(range(1, len(numbers) + 1))
            found[value] += [band == number for number in numbers]
    return dict(found)


def pixels(path):
    with rasterio.open(path) as dataset:
        assert dataset.count == 1
        return dataset.read(1)
