"""Pixel models that are Esri Python raster functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ...errors import ModelDefinitionError, ModelError
from ...events import Reporter
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..raster_functions.blocks import output_mask, output_pixels, pixel_blocks
from ..raster_functions.configuration import BlockConfiguration, square_batch
from ..raster_functions.definition_file import DefinitionFile
from ..raster_functions.files import code_folders, function_code, function_file
from ..raster_functions.function import RasterFunction
from ..raster_functions.host import Host
from ..raster_functions.parameters import FunctionParameters
from ..raster_functions.raster_info import OutputInfo, describe, map_coordinates
from ..trust import ForeignCode, ensure_trusted
from .options import RunOptions
from .protocol import Gives, ModelInput, PixelModel, Position, Scene

#: What a function imports beyond numpy is its own affair, and is told when it is loaded.
PACKAGES = {"numpy": "numpy"}

_CPU = -1

#: Stands in for a raster nobody has told of.
_NOWHERE = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def open_model(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    """Load a raster function; see :mod:`.opening`."""
    ensure_trusted(function_code(definition), options.consent)
    return RasterFunctionModel(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """What ``getParameterInfo`` declares, which only running the function tells."""
    ensure_trusted(function_code(definition), consent)
    file = DefinitionFile(definition)
    try:
        function, _ = initialised(definition, file, Reporter(), _CPU)
        return read_parameters(function).arguments
    finally:
        file.close()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """The function and everything it could import from beside it."""
    return function_code(definition)


class RasterFunctionModel(PixelModel):
    """A raster function that classifies pixels; see :class:`PixelModel`.

    A tile is one block of the function: it has the function's padding as its margin, and may hold a whole
    batch of the network inside.

    Args:
        definition: The model; its inference function is what runs.
        options: Device, arguments, and who hears the function.
    """

    outputs = 1
    gives = Gives.VALUES
    blends = False
    pads_itself = True
    wants_positions = True

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        gpu = options.device.index if options.device.kind == "cuda" else _CPU
        self.device = options.device.name
        self._file = DefinitionFile(definition)
        try:
            self._function, self._name = initialised(definition, self._file, options.reporter, gpu)
            if not self._function.has("updatePixels"):
                raise ModelDefinitionError(
                    f"The raster function {self._name} has no updatePixels: it does not classify pixels.",
                    "Use the tool for what it does: Detect Objects where it has vectorize.",
                )
            self._parameters = read_parameters(self._function)
            self.arguments = self._parameters.arguments
            self._configure(definition, options)
            self._begin(None)
        except BaseException:
            self._file.close()
            raise

    @property
    def description(self) -> str:
        """Function and device."""
        return f"the Python raster function {self._name}, told to use {self.device}"

    def begin(self, scene: Scene) -> None:
        """Tell the function of its raster: ``updateRasterInfo``."""
        self._begin(scene)

    def fitting_batch(self, size: int) -> int:
        """A block is a batch already."""
        return 1

    def scores(
        self, batch: np.ndarray, valid: np.ndarray, positions: Optional[Sequence[Position]] = None
    ) -> np.ndarray:
        """Run the function on each block; see :meth:`PixelModel.scores`."""
        height, width = self._blocks.outer
        if batch.ndim != 4 or batch.shape[2:] != (height, width):
            raise ModelError(
                f"{self._name} takes blocks of {width} x {height} pixels and was given {list(batch.shape)}.",
                "Leave the tile size to the function.",
            )
        result = np.empty((len(batch), 1, *self._blocks.inner), dtype=self.pixel_type)
        for index, block in enumerate(batch):
            result[index, 0] = self._run(block, valid[index], None if positions is None else positions[index])
        return result

    def close(self) -> None:
        """Remove what was made for the function."""
        self._file.close()

    def _configure(self, definition: ModelDefinition, options: RunOptions) -> None:
        self._values, self._blocks = configured(self._function, self._parameters, definition, options)
        self.tile_size, self.margin = self._blocks.outer, self._blocks.padding
        self.extract_bands, self.data_range = self._blocks.extract_bands, self._blocks.data_range
        # Pixels in a range the function asks for are no longer of the raster's own type.
        self.input = ModelInput(blank=0.0, mirrored=False, as_read=self.data_range is None)
        self._bands = len(self.extract_bands or definition.extract_bands)

    def _begin(self, scene: Optional[Scene]) -> None:
        self._scene = scene
        told = scene or self._lone_scene("uint8")
        pixel_type = "float32" if self.data_range else told.pixel_type
        raster = describe(told, self._bands, pixel_type)
        offered = {**raster, "bandCount": 1, "noData": None}
        answer = None
        if self._function.has("updateRasterInfo"):
            named = self._parameters.raster
            answer = self._function.call(
                "updateRasterInfo",
                **{
                    **self._values,
                    f"{named}_info": (raster,) if self._parameters.is_list else raster,
                    "output_info": offered,
                },
            )
        self._output = OutputInfo.read(self._name, answer, offered)
        self.pixel_type, self.classes = self._output.pixel_type, self._output.classes
        self.no_value = self._output.no_value

    def _run(self, block: np.ndarray, valid: np.ndarray, position: Optional[Position]) -> np.ndarray:
        margin, inner, bands = self.margin, self._blocks.inner, self._output.bands
        if self._scene and position is not None:
            scene, (column, row) = self._scene, position
        else:
            scene, (column, row) = self._lone_scene(block.dtype.name), (-margin, -margin)
        if not self.data_range:
            block = block.astype(scene.pixel_type, copy=False)
        answer = self._function.call(
            "updatePixels",
            map_coordinates(scene, column + margin, row + margin),
            inner if bands == 1 else (bands, *inner),
            self._properties(scene),
            **pixel_blocks(self._parameters.raster, self._parameters.is_list, block, valid),
        )
        pixels = output_pixels(self._name, answer, inner, bands)
        mask = output_mask(self._name, answer, inner)
        asked = valid[margin : margin + inner[0], margin : margin + inner[1]]
        counts = mask & asked
        typed = self._typed(pixels, counts)
        if self._output.nodata is None and (typed[counts] == self.no_value).any():
            raise ModelError(
                f"updatePixels of {self._name} gives the value {self.no_value}, which stands for no data in "
                f"{self.pixel_type}.",
                "Announce a larger pixelType in updateRasterInfo, or a noData value that is no class.",
            )
        typed[~mask & asked] = self.no_value
        return typed

    def _typed(self, pixels: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Pixels in the type the function has announced, 0 where they do not count.

        Raises:
            ModelError: If one that counts does not fit the type: it would silently become another class.
        """
        dtype = np.dtype(self.pixel_type)
        if pixels.dtype.kind not in "biuf":
            raise ModelError(
                f"updatePixels of {self._name} gives values of type {pixels.dtype}.",
                f"It has announced {dtype}.",
            )
        kept = np.where(counts, pixels, pixels.dtype.type(0))
        if dtype.kind in "iu" and kept.dtype != dtype:
            limits = np.iinfo(dtype)
            fits = (kept >= limits.min) & (kept <= limits.max) & (kept == np.floor(kept))
            if not fits.all():
                raise ModelError(
                    f"updatePixels of {self._name} gives the value {kept[~fits].flat[0]}, and its pixelType "
                    f"is {dtype}.",
                    "Announce a pixelType that holds its values in updateRasterInfo.",
                )
        return kept.astype(dtype, copy=False)

    def _properties(self, scene: Scene) -> dict[str, Any]:
        """``props`` of a block: the output raster."""
        output = describe(scene, self._output.bands, self.pixel_type)
        output["noData"] = self._output.nodata
        return output

    def _lone_scene(self, pixel_type: str) -> Scene:
        """A block as a raster of its own."""
        height, width = self._blocks.inner
        return Scene(width, height, _NOWHERE, None, pixel_type)


def initialised(
    definition: ModelDefinition, file: DefinitionFile, reporter: Reporter, gpu: int
) -> tuple[RasterFunction, str]:
    """The function with its model loaded, and its file name."""
    host = Host(code_folders(definition), reporter, gpu)
    function = RasterFunction(function_file(definition), host)
    if function.has("initialize"):
        function.call("initialize", model=str(file.path), device=gpu)
    return function, function.name


def configured(
    function: RasterFunction,
    parameters: FunctionParameters,
    definition: ModelDefinition,
    options: RunOptions,
) -> tuple[dict[str, str], BlockConfiguration]:
    """The values of a function's arguments, and the blocks it wants for them: ``getConfiguration``.

    Raises:
        ParameterError: For an argument that is unknown, missing or has no usable value.
        ModelError: If the function's answer cannot be used.
    """
    given = parameters.values(options.arguments)
    values = square_batch(given)
    for name, text in values.items():
        if text != given[name]:
            options.reporter.message(f"{name} {given[name]} fills no square: {text} is used.")
    answer = function.call("getConfiguration", **values) if function.has("getConfiguration") else None
    return values, BlockConfiguration.read(function.name, answer, values, definition.image_size)


def read_parameters(function: RasterFunction) -> FunctionParameters:
    """What a function asks of its user."""
    declared = function.call("getParameterInfo") if function.has("getParameterInfo") else ()
    return FunctionParameters.read(function.name, declared)
