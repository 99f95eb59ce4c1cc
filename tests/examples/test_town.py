"""The generated town: exact labels, the same for the same seed, everything in it."""

from __future__ import annotations

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import town
from rasterio.features import rasterize

SIZE = 500


@pytest.fixture(scope="module")
def scene():
    return town.make_scene(SIZE, SIZE, seed=5)


def test_every_spot_belongs_to_exactly_one_polygon(scene):
    shapes = np.array([shape for shape, _ in scene.shapes])
    whole = (SIZE * town.CELL_SIZE) ** 2
    assert shapely.is_valid(shapes).all()
    assert shapely.area(shapes).sum() == pytest.approx(whole, rel=1e-5)
    assert shapely.area(shapely.union_all(shapes)) == pytest.approx(whole, rel=1e-5)


def test_the_class_raster_is_what_the_polygons_cover(scene):
    burnt = rasterize(scene.shapes, scene.classes.shape, transform=scene.transform)
    assert np.array_equal(burnt, scene.classes)
    assert set(np.unique(scene.classes)) == set(town.CLASSES)


def test_classes_can_be_told_apart_by_eye(scene):
    """Mean colours differ, so that there is something to learn; a black picture would not pass."""
    colours = np.array([scene.picture[scene.classes == value].mean(axis=0) for value in town.CLASSES])
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    assert distances[~np.eye(len(colours), dtype=bool)].min() > 10


def test_the_same_seed_gives_the_same_town(scene):
    again, other = town.make_scene(SIZE, SIZE, seed=5), town.make_scene(SIZE, SIZE, seed=6)
    assert np.array_equal(scene.picture, again.picture)
    assert not np.array_equal(scene.classes, other.classes)


def test_what_is_written_lies_on_one_map(tmp_path):
    town.write_town(tmp_path, size=400, held_out_size=300, seed=2)
    with rasterio.open(tmp_path / "train.tif") as train, rasterio.open(tmp_path / "held_out.tif") as held_out:
        assert train.crs.to_epsg() == 32631
        assert train.res == (town.CELL_SIZE, town.CELL_SIZE)
        assert train.bounds.right < held_out.bounds.left
        extent = shapely.box(*train.bounds)
    _, _, geometries, (values, names) = pyogrio.raw.read(tmp_path / "train.gpkg")
    assert extent.buffer(0.01).covers(shapely.union_all(shapely.from_wkb(geometries)))
    assert {int(value): name for value, name in zip(values, names)}.items() <= {
        (value, name) for value, (name, _) in town.CLASSES.items()
    }
    with rasterio.open(tmp_path / "train_classes.tif") as classes:
        assert classes.colormap(1)[4][:3] == town.CLASSES[4][1]


def test_its_class_schema_is_one_the_engine_reads(tmp_path):
    from imagerydl.labels.classes import ClassSchema

    schema = ClassSchema.parse(town.class_schema())
    assert [entry.name for entry in schema] == [name for name, _ in town.CLASSES.values()]
