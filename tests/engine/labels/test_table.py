"""Label tables in image space: which image, which pixels, which class."""

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from imagerydl.errors import DataError, ParameterError
from imagerydl.imagery.grid import Grid
from imagerydl.imagery.source import open_source
from imagerydl.labels.classes import ClassEntry, ClassSchema
from imagerydl.labels.image_names import ImageNames
from imagerydl.labels.opening import Labels
from imagerydl.labels.pixel_shapes import shapes_from_texts

TREES = Path(__file__).parents[4] / "shared" / "data" / "det_deepforest_trees"

IMAGE = Grid(None, Affine.identity(), 100, 80)


@pytest.fixture
def write_csv(tmp_path):
    """Write lines as a CSV file; returns its path."""

    def write(*lines, name="labels.csv"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    return write


def opened(path, images=("/data/a.tif",), **kwargs):
    said = []
    labels = Labels(path, say=said.append, **kwargs)
    labels.pair(images)
    return labels, said


def boxes_of(labels, image="/data/a.tif", grid=IMAGE):
    return labels.open(grid, image).objects(grid, grid.window).boxes.tolist()


@pytest.mark.parametrize("image", ["image", "ImageName", "image_path", "FILENAME", "Path", "chip"])
@pytest.mark.parametrize("sides", ["xmin,ymin,xmax,ymax", "left,top,right,bottom", "MinX,MinY,MaxX,MaxY"])
def test_boxes_in_four_columns(write_csv, image, sides):
    """E15: a table of boxes in pixels, row down."""
    labels, said = opened(
        write_csv(f"{image},{sides},label", "a.tif,10,20,30,50,Tree", "a.tif,5,6,7,8.5,Car")
    )
    assert labels.is_table
    assert labels.is_vector
    assert not labels.per_image
    assert labels.features is None
    found = labels.open(IMAGE, "/data/a.tif").objects(IMAGE, IMAGE.window)
    assert found.boxes.tolist() == [[10, 20, 30, 50], [5, 6, 7, 8.5]]
    assert found.values.tolist() == [2, 1]
    assert [(e.value, e.name) for e in labels.open(IMAGE, "/data/a.tif").classes] == [(1, "Car"), (2, "Tree")]
    assert said == []


@pytest.mark.parametrize(
    "text",
    [
        "POLYGON ((10 20, 30 20, 30 50, 10 20))",
        '{"rings": [[[10, 20], [30, 20], [30, 50], [10, 20]]]}',
        '{"type": "Polygon", "coordinates": [[[10, 20], [30, 20], [30, 50], [10, 20]]]}',
        "10 20 30 20 30 50",
        "[10, 20, 30, 20, 30, 50]",
        "[[10, 20], [30, 20], [30, 50]]",
        "[[10, 20, 30, 20, 30, 50]]",
        "[(10, 20), (30, 20), (30, 50)]",
    ],
)
def test_polygons_written_into_one_column(write_csv, text):
    quoted = '"' + text.replace('"', '""') + '"'
    labels, _ = opened(write_csv("filename,Segmentation", f"a.tif,{quoted}"))
    found = labels.open(IMAGE, "/data/a.tif").objects(IMAGE, IMAGE.window)
    assert found.geometries[0].equals(shapely.Polygon([(10, 20), (30, 20), (30, 50)]))


def test_rings_inside_rings_are_holes():
    text = json.dumps(
        {"rings": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]], [[2, 2], [2, 4], [4, 4], [4, 2], [2, 2]]]}
    )
    several = "[[0,0,4,0,4,4,0,4],[10,0,12,0,12,2]]"
    hole, two = shapes_from_texts(np.array([text, several], dtype=object))
    assert hole.area == 81 - 4
    assert two.area == 16 + 2


def test_geometries_that_the_file_itself_holds(write_csv):
    """GDAL reads a column called WKT as geometry: with an image column those are pixels."""
    labels, _ = opened(write_csv("WKT,image,classvalue", '"POLYGON ((1 2,5 2,5 6,1 6,1 2))",a.tif,7'))
    assert labels.is_table
    assert boxes_of(labels) == [[1, 2, 5, 6]]
    assert labels.open(IMAGE, "/data/a.tif").classes.values == (7,)


@pytest.mark.parametrize(
    ("columns", "cells", "field", "expected"),
    [
        ("value,label", "4,Tree", None, ClassEntry(4, "4")),
        ("ClassValue,ClassName", "4,Tree", None, ClassEntry(4, "Tree")),
        ("label,score", "Tree,0.4", None, ClassEntry(1, "Tree")),
        ("class", "3", None, ClassEntry(3, "3")),
        ("name", "Tree", None, ClassEntry(1, "Tree")),
        ("label,Kind", "Tree,oak", "kind", ClassEntry(1, "oak")),
        ("score", "0.4", None, ClassEntry(1, "1")),
    ],
)
def test_which_column_is_the_class(write_csv, columns, cells, field, expected):
    """E36, for tables."""
    path = write_csv(f"image,xmin,ymin,xmax,ymax,{columns}", f"a.tif,1,1,2,2,{cells}")
    labels, _ = opened(path, field=field)
    assert list(labels.open(IMAGE, "/data/a.tif").classes) == [expected]


def test_a_class_field_that_is_not_there_is_named(write_csv):
    path = write_csv("image,xmin,ymin,xmax,ymax", "a.tif,1,1,2,2")
    with pytest.raises(ParameterError, match=r"no field 'kind'.*xmin"):
        Labels(path, "kind")


def test_schema_gives_names_their_values(write_csv):
    path = write_csv("image,xmin,ymin,xmax,ymax,label", "a.tif,1,1,2,2,tree")
    labels, _ = opened(path, schema=ClassSchema.parse("8, Tree, #00FF00"))
    assert labels.open(IMAGE, "/data/a.tif").objects(IMAGE, IMAGE.window).values.tolist() == [8]


def test_unusable_rows_are_left_out_and_counted_by_reason(write_csv):
    labels, said = opened(
        write_csv(
            "image,xmin,ymin,xmax,ymax,label",
            "a.tif,1,1,2,2,Tree",
            "a.tif,5,1,2,2,Tree",
            "a.tif,5,1,5,2,Tree",
            "a.tif,many,1,5,2,Tree",
            "a.tif,,1,5,2,Tree",
            ",1,1,2,2,Tree",
            "a.tif,1,1,3,3,",
            "elsewhere.tif,1,1,3,3,Tree",
        )
    )
    assert boxes_of(labels) == [[1, 1, 2, 2]]
    told = " ".join(said)
    assert "2 rows" in told
    assert "a box that is not four numbers" in told
    assert "1 rows" in told
    for reason in (
        "a reversed box",
        "a box without size",
        "without an image",
        "empty 'label'",
        "not exported",
    ):
        assert reason in told


def test_unreadable_polygons_are_left_out_and_counted(write_csv):
    labels, said = opened(
        write_csv(
            "image,polygon",
            "a.tif,nonsense",
            "a.tif,1 2 3",
            "a.tif,POINT (3 4)",
            'a.tif,"POLYGON ((0 0, 4 0, 2 0, 0 0))"',
            'a.tif,"POLYGON ((0 0, 4 4, 4 0, 0 4, 0 0))"',
        )
    )
    found = labels.open(IMAGE, "/data/a.tif").objects(IMAGE, IMAGE.window)
    assert found.geometries[0].area == 8, "a bow tie is two triangles"
    assert len(found) == 1
    told = " ".join(said)
    for reason in ("2 rows", "no readable shape", "points or lines", "a polygon without area"):
        assert reason in told


def test_points_become_circles(write_csv):
    path = write_csv("image,geometry", "a.tif,POINT (30 40)")
    with pytest.raises(DataError, match="BUFFER_RADIUS"):
        Labels(path)
    labels, _ = opened(path, buffer_radius=5.0)
    found = labels.open(IMAGE, "/data/a.tif").objects(IMAGE, IMAGE.window)
    assert np.allclose(found.boxes, [[25, 35, 35, 45]])
    assert found.geometries[0].area == pytest.approx(np.pi * 25, rel=1e-3)


def test_a_table_that_does_not_name_images_lists_its_columns(write_csv):
    with pytest.raises(DataError, match=r"no column that names the image.*xmin, ymin"):
        Labels(write_csv("xmin,ymin,xmax,ymax", "1,1,2,2"))
    with pytest.raises(DataError, match=r"no column that holds a shape.*image, label"):
        Labels(write_csv("image,label", "a.tif,Tree"))


def test_rows_find_their_image_by_the_longest_common_path():
    images = ["/data/north/a.tif", "/data/south/a.tif", "/data/south/b.JPG"]
    names = ImageNames(images)
    assert names.find("NORTH/A.TIF", "t") == images[0]
    assert names.find("C:\\old\\south\\a.tif", "t") == images[1]
    assert names.find("b.jpg", "t") == images[2]
    assert names.find("elsewhere/b.png", "t") == images[2], "the stem decides where the name does not"
    assert names.find("south/b", "t") == images[2]
    assert names.find("south/a.png", "t") == images[1], "folders count for stems too"
    assert names.find("c.tif", "t") is None
    with pytest.raises(DataError, match=r"'a.tif' in t could be /data/north/a.tif or /data/south/a.tif"):
        names.find("a.tif", "t")


def test_dots_in_names_are_no_extensions_where_they_are_not():
    names = ImageNames(["/d/tile.1.tif", "/d/tile.2.tif", "/d/tile.2.tif"])
    assert names.find("tile.2", "t") == "/d/tile.2.tif"
    assert names.find("tile.1.png", "t") == "/d/tile.1.tif"


def test_each_image_gets_its_rows_in_the_order_of_the_table(write_csv):
    rows = ["b.tif,1,1,2,2", "a.tif,3,3,4,4", "b.tif,5,5,6,6", "a.tif,1,1,9,9"]
    labels, _ = opened(write_csv("image,xmin,ymin,xmax,ymax", *rows), ["/x/a.tif", "/x/b.tif", "/x/c.tif"])
    assert boxes_of(labels, "/x/a.tif") == [[3, 3, 4, 4], [1, 1, 9, 9]]
    assert boxes_of(labels, "/x/b.tif") == [[1, 1, 2, 2], [5, 5, 6, 6]]
    assert boxes_of(labels, "/x/c.tif") == []
    none = labels.open(IMAGE, "/x/c.tif")
    assert not none.overlaps(IMAGE)
    assert not none.rasterise(IMAGE, IMAGE.window).any()


def test_no_row_names_an_image(write_csv):
    labels = Labels(write_csv("image,xmin,ymin,xmax,ymax", "z.tif,1,1,2,2"))
    with pytest.raises(DataError, match=r"'z.tif'.*/data/a.tif"):
        labels.pair(["/data/a.tif"])


def test_pixels_of_a_georeferenced_image_are_brought_to_the_map(write_csv):
    """Also for a rotated one, and seen on another cell size."""
    image = Grid(
        CRS.from_epsg(32633),
        Affine.translation(500000, 5000000) @ Affine.rotation(20) @ Affine.scale(0.5, -0.5),
        100,
        80,
    )
    labels, _ = opened(write_csv("image,xmin,ymin,xmax,ymax", "a.tif,10,20,30,50"))
    assert np.allclose(boxes_of(labels, grid=image), [[10, 20, 30, 50]])
    coarse = image.with_cell_size(1.0)
    found = labels.open(image, "/data/a.tif").objects(coarse, coarse.window)
    assert np.allclose(found.boxes, [[5, 10, 15, 25]])


def test_tables_in_a_geopackage(tmp_path):
    path = tmp_path / "labels.gpkg"
    columns = {
        "Image": np.array(["a.tif", "b.tif"], object),
        "XMin": np.array([1.5, 2]),
        "YMin": np.array([1, 2]),
        "XMax": np.array([3, 4]),
        "YMax": np.array([3, 4]),
        "Classvalue": np.array([5, 9]),
        "Classname": np.array(["Tree", "Car"], object),
    }
    pyogrio.raw.write(
        path, None, list(columns.values()), list(columns), geometry_type=None, layer="crowns", driver="GPKG"
    )
    labels, _ = opened(f"{path}|layername=crowns", ["/data/a.tif", "/data/b.tif"])
    assert boxes_of(labels) == [[1.5, 1, 3, 3]]
    assert {e.value: e.name for e in labels.open(IMAGE, "/data/a.tif").classes} == {5: "Tree", 9: "Car"}


def test_a_layer_with_a_system_stays_a_layer(write_layer):
    """A column called path does not make a table of it."""
    labels = Labels(write_layer([shapely.box(500000, 5000000, 500010, 5000010)], path=["a.tif"]))
    assert not labels.is_table
    assert labels.features is not None
    labels.pair(["/data/a.tif"])


@pytest.mark.skipif(not TREES.is_dir(), reason="needs ../shared/data/det_deepforest_trees")
def test_tree_crowns_as_published():
    """E15, on boxes and polygons of real trees; pixels of a georeferenced and of a plain image."""
    image = str(TREES / "OSBS_029.tif")
    with open_source(image) as source:
        grid = source.grid
    labels, _ = opened(str(TREES / "OSBS_029.csv"), [image])
    source = labels.open(grid, image)
    found = source.objects(grid, grid.window)
    lines = (TREES / "OSBS_029.csv").read_text().splitlines()[1:]
    boxes = np.array([[float(cell) for cell in line.split(",")[1:5]] for line in lines])
    assert np.allclose(found.boxes, boxes.clip(0, [grid.width, grid.height] * 2), atol=1e-6)
    assert [entry.name for entry in source.classes] == ["Tree"]

    photo = str(TREES / "2019_BLAN_3_751000_4330000_image_crop.jpg")
    with open_source(photo) as source:
        grid = source.grid
    boxes, _ = opened(str(TREES / "2019_BLAN_3_751000_4330000_image_crop_bbox.csv"), [photo])
    polygons, _ = opened(str(TREES / "2019_BLAN_3_751000_4330000_image_crop_polygon.csv"), [photo])
    boxes, polygons = (one.open(grid, photo).objects(grid, grid.window) for one in (boxes, polygons))
    assert len(boxes) == len(polygons) > 0
    # The boxes are those of the polygons, give or take the pixel they were drawn in.
    assert np.abs(boxes.boxes - polygons.boxes).max() <= 2


def test_shapes_drawn_where_qgis_shows_the_photo_count_rows_down(tmp_path):
    """Row r lies at y = -r there; Detect Objects writes what it finds likewise."""
    path = tmp_path / "drawn.gpkg"
    shapes = shapely.box([10, 5], [-50, -8.5], [30, 7], [-20, -6])
    for name, geometries in (("down", shapes), ("up", shapely.transform(shapes, lambda xy: xy * (1, -1)))):
        images = np.array(["a.tif", "a.tif"], object)
        pyogrio.raw.write(
            path, shapely.to_wkb(geometries), [images], ["Image"], geometry_type="Polygon", layer=name
        )
        labels, _ = opened(f"{path}|layername={name}")
        assert boxes_of(labels) == [[10, 20, 30, 50], [5, 6, 7, 8.5]]


def test_a_geopackage_that_calls_having_no_system_a_system_is_a_table_too(tmp_path):
    """So QGIS writes layers without a coordinate system."""
    undefined = (
        'GEOGCS["Undefined geographic SRS",DATUM["unknown",SPHEROID["unknown",6378137,298.257223563]],'
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
    )
    path = tmp_path / "drawn.gpkg"
    pyogrio.raw.write(
        str(path),
        np.array([shapely.to_wkb(shapely.box(10, -40, 30, -20))], dtype=object),
        [np.array([4], np.int32), np.array(["a.tif"], dtype=object)],
        np.array(["Classvalue", "Image"]),
        geometry_type="Polygon",
        layer="samples",
        crs=CRS.from_wkt(undefined).to_wkt(),
    )
    labels, _ = opened(str(path))
    assert labels.is_table
    assert boxes_of(labels) == [[10, 20, 30, 40]]
