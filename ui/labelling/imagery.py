"""The imagery that samples are drawn on: its pixels, its edge, its coordinate system or the lack of one."""

from __future__ import annotations

import os
from typing import Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
)

from ...processing_provider.layers import raster_file
from .shapes import areal


class Imagery:
    """A raster layer as something to draw on.

    Args:
        layer: The layer.
    """

    def __init__(self, layer: QgsRasterLayer) -> None:
        self.layer = layer

    @property
    def crs(self) -> QgsCoordinateReferenceSystem:
        """Its system; invalid where it has none."""
        return self.layer.crs()

    @property
    def is_pixel_space(self) -> bool:
        """Whether coordinates are its columns and rows: QGIS shows rows below the x axis then."""
        box = self.layer.extent()
        return (
            not self.crs.isValid()
            and (box.xMinimum(), box.yMaximum()) == (0.0, 0.0)
            and (box.width(), box.height()) == (float(self.layer.width()), float(self.layer.height()))
        )

    @property
    def name(self) -> str:
        """Its file, by which tables of labels tell images apart."""
        path = raster_file(self.layer)
        return os.path.basename(path) if path else self.layer.name()

    def outline(self) -> QgsGeometry:
        """The whole image, in its own system."""
        return QgsGeometry.fromRect(self.layer.extent())

    def pixels(self, shape: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> Optional[int]:
        """Pixels that a shape covers, by its area; None where the imagery cannot say.

        Args:
            shape: Polygons.
            crs: Their system.
        """
        cell = self.layer.rasterUnitsPerPixelX() * self.layer.rasterUnitsPerPixelY()
        moved = in_system(shape, crs, self.crs)
        # An online layer has no pixels of its own.
        if moved is None or cell <= 0 or not self.layer.width():
            return None
        return max(1, round(moved.area() / cell))

    def fitted(self, shape: QgsGeometry) -> QgsGeometry:
        """A shape in the imagery's own system, cut at its edge where rows and columns are all there is.

        Rows above the first one would turn the sign that tells rows from coordinates.
        """
        return areal(shape.intersection(self.outline())) if self.is_pixel_space else shape


def in_system(
    shape: QgsGeometry, source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem
) -> Optional[QgsGeometry]:
    """A shape of one system in another; None where it cannot be shown there.

    Where one of both is not known, coordinates are taken as they are, as QGIS does on the map.
    """
    moved = QgsGeometry(shape)
    if not source.isValid() or not target.isValid() or source == target:
        return moved
    try:
        moved.transform(QgsCoordinateTransform(source, target, QgsProject.instance()))
    except QgsCsException:
        return None
    return moved
