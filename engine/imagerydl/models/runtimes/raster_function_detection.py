"""Detectors that are Esri Python raster functions: those with ``vectorize``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import ModelDefinitionError, ModelError
from ..definition import ModelDefinition
from ..raster_functions.blocks import pixel_blocks
from ..raster_functions.definition_file import DefinitionFile
from ..raster_functions.files import function_code
from ..raster_functions.vectors import VectorReader
from ..trust import ensure_trusted
from .detection import DetectionModel, Detections
from .options import RunOptions
from .protocol import ModelInput, Position, Scene
from .raster_function import (
    PACKAGES,
    configured,
    foreign_code,
    initialised,
    model_arguments,
    read_parameters,
)

__all__ = ["PACKAGES", "foreign_code", "model_arguments", "open_detection_model"]

_CPU = -1

#: ``getGeometryType`` of polygons.
_POLYGON = 4


def open_detection_model(definition: ModelDefinition, options: RunOptions) -> DetectionModel:
    """Load a raster function; see :mod:`.detection_opening`."""
    ensure_trusted(function_code(definition), options.consent)
    return RasterFunctionDetector(definition, options)


class RasterFunctionDetector(DetectionModel):
    """A raster function that finds objects; see :class:`DetectionModel`.

    A tile is one block of the function: it has the function's padding as its margin, and may hold a whole
    batch of the function as a grid.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        gpu = options.device.index if options.device.kind == "cuda" else _CPU
        self.device = options.device.name
        self._file = DefinitionFile(definition)
        try:
            self._function, self._name = initialised(definition, self._file, options.reporter, gpu)
            self._check()
            self._parameters = read_parameters(self._function)
            self.arguments = self._parameters.arguments
            # The others belong to the run, which refuses what nobody knows.
            known = {argument.name.lower() for argument in self.arguments}
            own = {name: text for name, text in options.arguments.items() if name in known}
            _, blocks = configured(
                self._function, self._parameters, definition, replace(options, arguments=own)
            )
        except BaseException:
            self._file.close()
            raise
        if not len(definition.classes):
            self._file.close()
            raise ModelDefinitionError(
                f"{definition.name} lists no classes.", "Add Classes: one for each kind of object."
            )
        self.tile_size, self.margin = blocks.outer, blocks.padding
        self.extract_bands, self.data_range = blocks.extract_bands, blocks.data_range
        self.input = ModelInput(blank=0.0, mirrored=False, as_read=self.data_range is None)
        self.classes = definition.classes
        self._reader = VectorReader(self._name, definition.classes)
        self._pixel_type = None

    @property
    def description(self) -> str:
        """Function and device."""
        return f"the Python raster function {self._name}, told to use {self.device}"

    def begin(self, scene: Scene) -> None:
        """Take the type its pixels are handed over in."""
        self._pixel_type = None if self.data_range else scene.pixel_type

    def fitting_batch(self, size: int) -> int:
        """A block is a batch already."""
        return 1

    def detect(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> list[Detections]:
        """Run the function on each block; see :meth:`DetectionModel.detect`."""
        if batch.shape[2:] != self.tile_size:
            height, width = self.tile_size
            raise ModelError(
                f"{self._name} takes blocks of {width} x {height} pixels and was given {list(batch.shape)}.",
                "Leave the tile size to the function.",
            )
        found = []
        for block, mask in zip(batch, valid):
            pixels = block if self._pixel_type is None else block.astype(self._pixel_type, copy=False)
            answer = self._function.call(
                "vectorize",
                **pixel_blocks(self._parameters.raster, self._parameters.is_list, pixels, mask),
            )
            found.append(self._reader.read(answer, self.margin))
        return found

    def close(self) -> None:
        """Remove what was made for the function."""
        self._file.close()

    def _check(self) -> None:
        if not self._function.has("vectorize"):
            raise ModelDefinitionError(
                f"The raster function {self._name} has no vectorize: it does not detect objects.",
                "Use the tool for what it does: Classify Pixels where it has updatePixels.",
            )
        kind = self._function.call("getGeometryType") if self._function.has("getGeometryType") else _POLYGON
        if kind != _POLYGON:
            raise ModelDefinitionError(
                f"getGeometryType of {self._name} gives {kind!r}.", f"Only polygons ({_POLYGON}) are taken."
            )
