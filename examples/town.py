"""A small made-up town seen from an aeroplane, with exact labels: the scene `make demo` learns.

    python examples/town.py town/            writes train.tif, train.gpkg, train_classes.tif,
                                             and the same for another part of the town, "held_out"

Streets, a river, houses with gardens, blocks of flats, works, parks and fields, at 0.3 m; with
roofs, shadows, furrows, cars, and noise. The same seed gives the same town.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from rasterio.features import rasterize
from shapely import unary_union
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry
from town_layout import plan_town
from town_painting import Painter
from town_things import Town

CRS = "EPSG:32631"
CELL_SIZE = 0.3
#: Lower left corner of the training part; the held-out part lies to the east of it.
ORIGIN = (500_000.0, 5_400_000.0)

#: value -> (name, colour)
CLASSES = {
    1: ("Building", (214, 69, 65)),
    2: ("Road", (140, 140, 150)),
    3: ("Tree", (38, 115, 58)),
    4: ("Water", (58, 134, 210)),
    5: ("Bare land", (206, 164, 108)),
    6: ("Grass", (158, 204, 96)),
}


@dataclass(frozen=True)
class Scene:
    """A picture of a town, and what is where in it.

    Attributes:
        picture: uint8 ``[height, width, 3]``.
        classes: Class values, uint8 ``[height, width]``.
        shapes: Polygons in map coordinates, with their class values; together they cover the
            scene, and no two overlap.
        transform: Pixel to map.
    """

    picture: np.ndarray
    classes: np.ndarray
    shapes: list[tuple[BaseGeometry, int]]
    transform: Affine


def make_scene(width: int, height: int, seed: int, origin: tuple[float, float] = ORIGIN) -> Scene:
    """Make up a scene.

    Args:
        width: Pixels.
        height: Pixels.
        seed: Which town.
        origin: Map coordinates of its lower left corner.
    """
    town = plan_town(width * CELL_SIZE, height * CELL_SIZE, seed)
    painter = Painter(town, CELL_SIZE, seed)
    place = Affine.translation(*origin)
    shapes = [(translate(shape, *origin), value) for shape, value in divide_ground(town)]
    transform = place @ painter.transform
    classes = rasterize(shapes, (height, width), transform=transform, dtype="uint8")
    return Scene(painter.paint(), classes, shapes, transform)


def divide_ground(town: Town) -> list[tuple[BaseGeometry, int]]:
    """Every spot of the town belongs to exactly one polygon: what is seen from above."""
    kinds = {
        1: [house.footprint for house in town.houses],
        3: [tree.crown for tree in town.trees],
        2: [town.roads],
        4: [town.water],
        5: [area for area, _ in town.fields],
        6: [town.extent],
    }
    shapes: list[tuple[BaseGeometry, int]] = []
    taken: list[BaseGeometry] = []
    for value, parts in kinds.items():
        # On a grid of millimetres, so that moving the outlines to large coordinates leaves no
        # crossings behind.
        seen = unary_union(parts, grid_size=0.001).intersection(town.extent, grid_size=0.001)
        visible = seen.difference(unary_union(taken), grid_size=0.001)
        taken.append(visible)
        pieces = getattr(visible, "geoms", [visible])
        shapes += [(piece, value) for piece in pieces if piece.geom_type == "Polygon" and not piece.is_empty]
    return shapes


def write_scene(scene: Scene, folder: Path, name: str) -> None:
    """Write ``<name>.tif``, ``<name>.gpkg`` (fields classvalue, classname) and ``<name>_classes.tif``."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = scene.classes.shape
    profile = {
        "driver": "GTiff", "height": height, "width": width, "crs": CRS, "transform": scene.transform,
        "dtype": "uint8", "compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256,
    }  # fmt: skip
    with rasterio.open(folder / f"{name}.tif", "w", count=3, photometric="RGB", **profile) as file:
        file.write(np.moveaxis(scene.picture, -1, 0))
    with rasterio.open(folder / f"{name}_classes.tif", "w", count=1, nodata=0, **profile) as file:
        file.write(scene.classes, 1)
        file.write_colormap(1, {value: (*colour, 255) for value, (_, colour) in CLASSES.items()})
    polygons = folder / f"{name}.gpkg"
    polygons.unlink(missing_ok=True)  # or the layer would join the file that is there
    values = np.array([value for _, value in scene.shapes], np.int32)
    pyogrio.raw.write(
        str(polygons),
        shapely.to_wkb(np.array([shape for shape, _ in scene.shapes])),
        [values, np.array([CLASSES[value][0] for value in values], object)],
        ["classvalue", "classname"],
        layer=name,
        driver="GPKG",
        geometry_type="Polygon",
        crs=CRS,
        dataset_options={"VERSION": "1.2"},  # which every QGIS from 3.22 on reads without a warning
    )


def class_schema() -> str:
    """The classes as a class schema: one ``value, name, #RRGGBB`` a line."""
    lines = [f"{value}, {name}, #{r:02X}{g:02X}{b:02X}" for value, (name, (r, g, b)) in CLASSES.items()]
    return "\n".join(lines) + "\n"


def write_town(folder: Path, size: int = 1500, held_out_size: int = 900, seed: int = 7) -> None:
    """Write the part to learn from and the part to be judged on, two different areas.

    Args:
        folder: Is created.
        size: Width and height of the training part, pixels.
        held_out_size: Width and height of the held-out part, pixels.
        seed: Which town.
    """
    write_scene(make_scene(size, size, seed), folder, "train")
    east = (ORIGIN[0] + size * CELL_SIZE + 60, ORIGIN[1])
    write_scene(make_scene(held_out_size, held_out_size, seed + 1000, east), folder, "held_out")
    (folder / "classes.txt").write_text(class_schema(), encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=1500, help="pixels of the training part, each way")
    parser.add_argument("--held-out-size", type=int, default=900, help="pixels of the held-out part")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    write_town(given.folder, given.size, given.held_out_size, given.seed)


if __name__ == "__main__":
    main()
