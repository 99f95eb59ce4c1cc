"""Small layers made for tests, with QGIS alone."""

from __future__ import annotations

from pathlib import Path

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsRasterBlock,
    QgsRasterFileWriter,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor, QImage

PLUGIN = Path(__file__).resolve().parents[2]


def write_raster(path: Path, columns: int = 8, rows: int = 4, bands: int = 3, crs: str = "EPSG:32636") -> str:
    """A GeoTIFF of 1 m cells with its corner at (0, rows); band b holds 10 * b."""
    writer = QgsRasterFileWriter(str(path))
    output = writer.createMultiBandRaster(
        Qgis.DataType.Byte, columns, rows, QgsRectangle(0, 0, columns, rows),
        QgsCoordinateReferenceSystem(crs), bands,
    )  # fmt: skip
    for band in range(1, bands + 1):
        block = QgsRasterBlock(Qgis.DataType.Byte, columns, rows)
        block.setData(bytes([10 * band]) * (columns * rows))
        output.writeBlock(block, band)
    output.setEditable(False)
    return str(path)


def squares(count: int = 4, crs: str = "EPSG:32636", name: str = "squares") -> QgsVectorLayer:
    """A memory layer of unit squares in a row, with a class field."""
    layer = QgsVectorLayer(f"Polygon?crs={crs}&field=class:integer&field=fid:string", name, "memory")
    features = []
    for number in range(count):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(2 * number, 0, 2 * number + 1, 1)))
        feature.setAttributes([number % 2 + 1, f"no {number}"])
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    return layer


def tile_pyramid(folder: Path, levels: int = 3) -> str:
    """XYZ tiles of the whole world on disk; west is red, east is green, one tile of level 2 is missing.

    Returns:
        The URI of the layer for the provider "wms".
    """
    for level in range(levels):
        for x in range(2**level):
            for y in range(2**level):
                tile = QImage(256, 256, QImage.Format.Format_ARGB32)
                tile.fill(QColor("#ff0000" if x < 2**level / 2 or level == 0 else "#00ff00"))
                path = folder / str(level) / str(x) / f"{y}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                if (level, x, y) != (2, 3, 3):
                    tile.save(str(path))
    url = folder.as_uri() + "/{z}/{x}/{y}.png"
    return f"type=xyz&url={url}&zmin=0&zmax={levels - 1}"
