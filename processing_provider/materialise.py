"""Layers that are not files, written to files the engine can read.

Made on the main thread (``__init__`` takes what it needs from the layer), written on the thread
the algorithm runs on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsFeatureSource,
    QgsFields,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsRasterBlock,
    QgsRasterDataProvider,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRectangle,
    QgsSettings,
    QgsVectorFileWriter,
    QgsWkbTypes,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QByteArray
from qgis.PyQt.QtGui import QImage

from ..engine.imagerydl.errors import DataError, OutputError, ParameterError
from ..engine.imagerydl.events import Reporter
from . import compat
from .translation import tr

#: Setting and default of the guard against a wish nobody can fetch: pixels of an online layer.
PIXELS_SETTING, PIXELS_DEFAULT = "imagerydl/max_online_pixels", 400_000_000

#: Pixels along the side of one request; map servers refuse much larger ones.
_BLOCK = 1024

#: Field of a written layer that holds the feature id, to join results back.
FEATURE_ID = "_fid"

_RASTER_OPTIONS = ["TILED=YES", "COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"]


@contextmanager
def _closed_after(opened: Any) -> Iterator[Any]:
    """Close a file of QGIS at once, whatever happened: a traceback would keep it open with its frame."""
    try:
        yield opened
    finally:
        sip.delete(opened)


class OtherwisePlacedRaster:
    """A raster file whose layer was given another CRS in QGIS: it is read as it is, but not in silence.

    Args:
        layer: The layer.
        source: The name GDAL knows its data by.
    """

    def __init__(self, layer: QgsRasterLayer, source: str) -> None:
        self._source = source
        self._warning = tr(
            "{layer} is shown in {shown}, but its file says {stated}, which is what counts here. "
            "To change the file use Assign projection, or save the layer."
        ).format(
            layer=layer.name(),
            shown=_crs_name(layer.crs()),
            stated=_crs_name(layer.dataProvider().crs()),
        )

    def write(self, folder: Path, number: int, reporter: Reporter) -> str:
        """Nothing to write; the path of the file."""
        reporter.warning(self._warning)
        return self._source


def _crs_name(crs: QgsCoordinateReferenceSystem) -> str:
    return crs.authid() or crs.description() or tr("no coordinate system")


class OnlineRaster:
    """An online layer, or any raster that is no file, for an extent and a cell size.

    Args:
        layer: The layer; its provider is cloned.
        extent: ``{"bounds": [xmin, ymin, xmax, ymax], "crs": name or ""}``; "" is the layer's CRS.
        cell_size: In units of the layer's CRS.
        context: For the coordinate transformation.

    Raises:
        ParameterError: If the extent lies outside the layer, or asks for too many pixels.
    """

    def __init__(
        self, layer: QgsRasterLayer, extent: dict[str, Any], cell_size: float, context: QgsProcessingContext
    ) -> None:
        self.name = layer.name()
        self._crs = layer.crs()
        self._cell = cell_size
        box = self._in_layer_crs(extent, context)
        if not box.intersects(layer.extent()) and not layer.extent().isEmpty():
            raise ParameterError(
                tr("EXTENT does not touch the layer {layer}.").format(layer=self.name),
                tr("Choose an extent inside it."),
            )
        self._columns = max(1, math.ceil(box.width() / cell_size - 1e-6))
        self._rows = max(1, math.ceil(box.height() / cell_size - 1e-6))
        self._left, self._top = box.xMinimum(), box.yMaximum()
        self._guard()
        self._provider: QgsRasterDataProvider = layer.dataProvider().clone()

    def _in_layer_crs(self, extent: dict[str, Any], context: QgsProcessingContext) -> QgsRectangle:
        xmin, ymin, xmax, ymax = extent["bounds"]
        box = QgsRectangle(xmin, ymin, xmax, ymax)
        if not extent["crs"]:
            return box
        crs = QgsCoordinateReferenceSystem(extent["crs"])
        if not crs.isValid():
            raise ParameterError(tr("EXTENT names no known CRS: {crs}.").format(crs=extent["crs"]))
        try:
            return QgsCoordinateTransform(crs, self._crs, context.transformContext()).transformBoundingBox(
                box
            )
        except QgsCsException as error:
            raise ParameterError(
                tr("EXTENT cannot be transformed to the CRS of {layer} ({reason}).").format(
                    layer=self.name, reason=error
                )
            ) from error

    def _guard(self) -> None:
        limit = int(QgsSettings().value(PIXELS_SETTING, PIXELS_DEFAULT))
        if self._columns * self._rows > limit:
            raise ParameterError(
                tr("{layer} would be fetched with {columns} x {rows} pixels, more than {limit}.").format(
                    layer=self.name, columns=self._columns, rows=self._rows, limit=limit
                ),
                tr("Use a smaller EXTENT or a larger CELL_SIZE, or raise the setting {name}.").format(
                    name=PIXELS_SETTING
                ),
            )

    def write(self, folder: Path, number: int, reporter: Reporter) -> str:
        """Fetch it into a GeoTIFF in ``folder``; its path."""
        path = folder / f"raster{number}.tif"
        picture = self._provider.dataType(1) in (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)
        blocks = [(x, y) for y in range(0, self._rows, _BLOCK) for x in range(0, self._columns, _BLOCK)]
        something = False
        copy = self._copy_picture if picture else self._copy_bands
        stage = tr("Fetching {layer}").format(layer=self.name)
        with _closed_after(self._provider), _closed_after(self._create(path, picture)) as output:
            for done, (x, y) in enumerate(blocks):
                reporter.progress(stage, done, len(blocks), tr("blocks"))
                size = min(_BLOCK, self._columns - x), min(_BLOCK, self._rows - y)
                something |= copy(output, x, y, *size)
            output.setEditable(False)
        if not something:
            raise DataError(
                tr("{layer} gave no pixels for this extent.").format(layer=self.name),
                tr("Check that the layer draws there in QGIS, and the connection to its server."),
            )
        return str(path)

    def _create(self, path: Path, picture: bool) -> QgsRasterDataProvider:
        writer = QgsRasterFileWriter(str(path))
        writer.setOutputFormat("GTiff")
        writer.setCreateOptions(_RASTER_OPTIONS)
        bands = 4 if picture else self._provider.bandCount()
        kind = Qgis.DataType.Byte if picture else self._provider.dataType(1)
        box = self._box(0, 0, self._columns, self._rows)
        output = writer.createMultiBandRaster(kind, self._columns, self._rows, box, self._crs, bands)
        if output is None or not output.isEditable():
            raise OutputError(
                tr("{path} cannot be written.").format(path=path),
                tr("Check the free space of the temporary folder."),
            )
        if not picture:
            for band in range(1, bands + 1):
                if self._provider.sourceHasNoDataValue(band):
                    output.setNoDataValue(band, self._provider.sourceNoDataValue(band))
        return output

    def _box(self, x: int, y: int, columns: int, rows: int) -> QgsRectangle:
        left, top = self._left + x * self._cell, self._top - y * self._cell
        return QgsRectangle(left, top - rows * self._cell, left + columns * self._cell, top)

    def _block(self, band: int, x: int, y: int, columns: int, rows: int) -> QgsRasterBlock:
        block = self._provider.block(band, self._box(x, y, columns, rows), columns, rows)
        if block is None or not block.isValid() or block.width() != columns:
            raise DataError(
                tr("{layer} could not be fetched.").format(layer=self.name),
                tr("Check the connection to its server."),
            )
        return block

    def _copy_picture(self, output: QgsRasterDataProvider, x: int, y: int, columns: int, rows: int) -> bool:
        """Write red, green, blue and alpha; whether anything is to be seen.

        Alpha tells the engine where there is no picture; it never counts as a band of data.
        """
        image = self._block(1, x, y, columns, rows).image().convertToFormat(QImage.Format.Format_RGBA8888)
        bits = image.constBits()
        bits.setsize(image.bytesPerLine() * rows)
        data = bytes(bits)
        for band in range(4):
            block = QgsRasterBlock(Qgis.DataType.Byte, columns, rows)
            block.setData(QByteArray(data[band::4]))
            _write(output, block, band + 1, x, y)
        return any(data[3::4])

    def _copy_bands(self, output: QgsRasterDataProvider, x: int, y: int, columns: int, rows: int) -> bool:
        """Write every band with its own values."""
        for band in range(1, self._provider.bandCount() + 1):
            block = self._block(band, x, y, columns, rows)
            block.convert(output.dataType(band))
            _write(output, block, band, x, y)
        return True


def _write(output: QgsRasterDataProvider, block: QgsRasterBlock, band: int, x: int, y: int) -> None:
    if not output.writeBlock(block, band, x, y):
        raise OutputError(
            tr("The fetched imagery cannot be written."), tr("Check the free space of the temporary folder.")
        )


class FeatureCopy:
    """Features that are not just a file: memory, database, filtered or selected ones.

    Args:
        source: What to write; safe to read on the thread the algorithm runs on.
        name: Name of the layer, for messages.
        context: For the writer's coordinate transformations.
    """

    def __init__(self, source: QgsFeatureSource, name: str, context: QgsProcessingContext) -> None:
        self.name = name
        self._source = source
        self._transforms = context.transformContext()

    def write(self, folder: Path, number: int, reporter: Reporter) -> str:
        """Write a GeoPackage in ``folder``; its path."""
        path = folder / f"features{number}.gpkg"
        fields = QgsFields(self._source.fields())
        joins = fields.lookupField(FEATURE_ID) < 0
        if joins:
            fields.append(compat.long_integer_field(FEATURE_ID))
        with _closed_after(self._create(path, fields)) as writer:
            self._copy(writer, fields, joins, reporter)
        return str(path)

    def _copy(self, writer: QgsVectorFileWriter, fields: QgsFields, joins: bool, reporter: Reporter) -> None:
        total = max(1, self._source.featureCount())
        for done, feature in enumerate(self._features()):
            reporter.progress(
                tr("Reading {layer}").format(layer=self.name), min(done, total - 1), total, tr("features")
            )
            copy = QgsFeature(fields)
            copy.setAttributes([*feature.attributes(), feature.id()] if joins else feature.attributes())
            copy.setGeometry(_straight(feature.geometry()))
            if not writer.addFeature(copy, QgsFeatureSink.Flag.FastInsert):
                raise DataError(
                    tr("Feature {id} of {layer} cannot be written ({reason}).").format(
                        id=feature.id(), layer=self.name, reason=writer.errorMessage()
                    )
                )

    def _features(self) -> Iterator[QgsFeature]:
        if isinstance(self._source, QgsProcessingFeatureSource):
            # Invalid geometries are the tool's business, which knows what it can mend.
            return self._source.getFeatures(QgsFeatureRequest(), compat.SKIP_VALIDITY_CHECKS)
        return self._source.getFeatures()

    def _create(self, path: Path, fields: QgsFields) -> QgsVectorFileWriter:
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = "GPKG"
        options.layerName = "features"
        # A field of the layer may be called fid, which is the format's own name for its key.
        options.layerOptions = ["FID=_row"]
        writer = QgsVectorFileWriter.create(
            str(path),
            fields,
            QgsWkbTypes.linearType(self._source.wkbType()),
            self._source.sourceCrs(),
            self._transforms,
            options,
        )
        if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
            raise OutputError(
                tr("{layer} cannot be written ({reason}).").format(
                    layer=self.name, reason=writer.errorMessage()
                ),
                tr("Check the free space of the temporary folder."),
            )
        return writer


def _straight(geometry: Any) -> Any:
    """The geometry with straight segments; the engine's library knows no curves."""
    if QgsWkbTypes.isCurvedType(geometry.wkbType()):
        geometry.convertToStraightSegment()
    return geometry
