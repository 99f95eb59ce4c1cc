"""A network in ONNX Runtime that takes one picture a tile: what it is fed, and what it gives as arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...errors import ModelError, OutOfMemoryError
from ..definition import ModelDefinition
from ..onnx_file import image_sides, read_onnx
from .batches import filled_up
from .onnx_session import open_session
from .options import RunOptions
from .pixel_output import noise
from .protocol import ModelInput, looks_like_out_of_memory

#: Input types: numpy name and whether the network normalises by itself, because it takes raw values.
_INPUT_TYPES = {"float32": False, "float16": False, "float64": False, "uint8": True, "uint16": True}


class OnnxNetwork:
    """A network and its session.

    Args:
        definition: The model.
        options: Device and threads.
        grid: Sides of tiles are multiples of this where the network leaves them free.

    Attributes:
        name: File name.
        device: Where it runs.
        input: What it is fed with.
        tile: (height, width) of its tiles: its own, else the definition's.
        is_bound: Whether the network itself states that size.
        bands: Bands it takes.
        output_names: Names of its outputs.
        fixed_batch: Tiles it takes together; None for any number.
        probe_size: Tiles that :meth:`probe` has run together.

    Raises:
        ModelError: If the network does not load, or takes something else.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions, grid: int = 1) -> None:
        path = definition.onnx_file
        if path is None:
            raise ModelError(f"{definition.name} names no ONNX file.", "Name one under ONNX.INFER.")
        self.name = path.name
        file = read_onnx(path)
        self._session, self.device = open_session(path, options.device, options.threads)
        tensor = file.inputs[0]
        if len(file.inputs) != 1 or tensor.shape is None or len(tensor.shape) not in (3, 4):
            raise ModelError(
                f"{self.name} does not take one picture [batch, bands, height, width].",
                "Export it with a single input.",
            )
        if tensor.element not in _INPUT_TYPES:
            raise ModelError(
                f"{self.name} takes pictures of {tensor.element or 'an unknown type'}.",
                f"Export it with one of {', '.join(_INPUT_TYPES)}.",
            )
        # Some exports take a picture without a batch around it.
        self._is_bare = len(tensor.shape) == 3
        shape = (1, *tensor.shape) if self._is_bare else tensor.shape
        self.bands = len(definition.extract_bands)
        self._input, self._dtype = tensor.name, np.dtype(tensor.element)
        self._layout, own_bands, height, width = image_sides(shape, self.bands)
        if own_bands not in (None, self.bands):
            raise ModelError(
                f"{self.name} takes {own_bands} bands and its definition extracts {self.bands}.",
                "Correct ExtractBands in the definition.",
            )
        sides = [max(grid, -(-side // grid) * grid) for side in definition.image_size]
        self.tile = (height or sides[0], width or sides[1])
        self.is_bound = bool(height or width)
        self.fixed_batch = self.probe_size = shape[0]
        self.input = ModelInput(None if _INPUT_TYPES[tensor.element] else definition.normalisation)
        self.output_names = [output.name for output in file.outputs]
        self.last_operator = file.last_operator(self.output_names[0])

    @property
    def description(self) -> str:
        """Runtime, version and device."""
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__} on {self.device}"

    def probe(self) -> list[np.ndarray]:
        """The outputs for tiles of noise, which show its form and warm it up.

        Raises:
            OutOfMemoryError: If the device has no room for a tile.
            ModelError: If it cannot run.
        """
        self.probe_size = self.fixed_batch or 2
        try:
            try:
                return self.run(self._noise(self.probe_size))
            except ModelError:
                # Many a graph declares a free batch and has the one it was exported with built in.
                if self.fixed_batch:
                    raise
                return self.probe_one()
        except MemoryError as error:
            raise OutOfMemoryError(
                f"{self.device} has not enough memory for tiles of {self.tile[1]} x {self.tile[0]} pixels.",
                "Close other programs that use it, or choose DEVICE CPU.",
            ) from error

    def probe_one(self) -> list[np.ndarray]:
        """The outputs for one tile of noise; from now on it gets one at a time."""
        self.probe_size = self.fixed_batch = 1
        return self.run(self._noise(1))

    def run_all(self, batch: np.ndarray) -> Iterator[tuple[list[np.ndarray], int]]:
        """The outputs for a batch of any number: arrays, and how many of their tiles count."""
        size = self.fixed_batch or len(batch)
        for start in range(0, len(batch), size):
            piece = batch[start : start + size]
            yield self.run(filled_up(piece, size)), len(piece)

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """The outputs for a batch of a number that it takes.

        Raises:
            MemoryError: If the device has no room for it.
            ModelError: If the network cannot run on it.
        """
        if self._dtype.kind == "u":
            batch = np.clip(np.rint(batch), 0, np.iinfo(self._dtype).max)
        if self._layout == "NHWC":
            batch = batch.transpose(0, 2, 3, 1)
        fed = np.ascontiguousarray(batch[0] if self._is_bare else batch, dtype=self._dtype)
        try:
            return [np.asarray(array) for array in self._session.run(self.output_names, {self._input: fed})]
        except Exception as error:  # onnxruntime's errors share no base of their own
            if looks_like_out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{self.name} cannot run on tiles of {self.tile[1]} x {self.tile[0]} pixels ({error}).",
                "Check that the model fits its definition; networks of free size mostly want a multiple of "
                "32 as tile size.",
            ) from error

    def _noise(self, count: int) -> np.ndarray:
        return noise((count, self.bands, *self.tile), raw=self.input.normalisation is None)
