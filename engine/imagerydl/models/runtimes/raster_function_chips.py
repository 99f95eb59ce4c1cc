"""Classifiers of objects that are Esri Python raster functions: ``vectorize`` with a tuple of chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import ModelDefinitionError, ModelError
from ..definition import ModelDefinition
from ..raster_functions.definition_file import DefinitionFile
from ..raster_functions.files import function_code
from ..raster_functions.vectors import VectorReader, block_of
from ..trust import ensure_trusted
from .chip_classification import ChipClassifier
from .options import RunOptions
from .protocol import ModelInput
from .raster_function import (
    PACKAGES,
    configured,
    foreign_code,
    initialised,
    model_arguments,
    read_parameters,
)

__all__ = ["PACKAGES", "foreign_code", "model_arguments", "open_chip_classifier"]

_CPU = -1


def open_chip_classifier(definition: ModelDefinition, options: RunOptions) -> ChipClassifier:
    """Load a raster function; see :mod:`.chip_opening`."""
    ensure_trusted(function_code(definition), options.consent)
    return RasterFunctionClassifier(definition, options)


class RasterFunctionClassifier(ChipClassifier):
    """A raster function that says what chips show; see :class:`ChipClassifier`.

    It gives one feature a chip, with the attributes ``Label`` (or ``Class``...) and ``Confidence``: the
    probability of that class, while nothing is known of the others.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        gpu = options.device.index if options.device.kind == "cuda" else _CPU
        self.device = options.device.name
        self._file = DefinitionFile(definition)
        try:
            self._function, self._name = initialised(definition, self._file, options.reporter, gpu)
            if not self._function.has("vectorize"):
                raise ModelDefinitionError(
                    f"The raster function {self._name} has no vectorize: it does not classify objects.",
                    "Use the tool for what it does: Classify Pixels where it has updatePixels.",
                )
            if not len(definition.classes):
                raise ModelDefinitionError(
                    f"{definition.name} lists no classes.", "Add Classes: one for each kind of object."
                )
            self._parameters = read_parameters(self._function)
            self.arguments = self._parameters.arguments
            known = {argument.name.lower() for argument in self.arguments}
            own = {name: text for name, text in options.arguments.items() if name in known}
            _, blocks = configured(
                self._function, self._parameters, definition, replace(options, arguments=own)
            )
        except BaseException:
            self._file.close()
            raise
        self.extract_bands, self.data_range = blocks.extract_bands, blocks.data_range
        self.input = ModelInput(blank=0.0, mirrored=False, as_read=self.data_range is None)
        self.chip_size = definition.image_size
        self.classes = definition.classes
        self._reader = VectorReader(self._name, definition.classes)

    @property
    def description(self) -> str:
        """Function and device."""
        return f"the Python raster function {self._name}, told to use {self.device}"

    def probabilities(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Run the function on the chips; see :meth:`ChipClassifier.probabilities`."""
        records = self._reader.records(
            self._function.call(
                "vectorize",
                **block_of(self._parameters.raster, self._parameters.is_list, list(batch), list(valid)),
            )
        )
        if len(records) != len(batch):
            raise ModelError(
                f"vectorize of {self._name} gives {len(records)} features for {len(batch)} chips.",
                "It must give one for each, in their order.",
            )
        result = np.zeros((len(batch), len(self.classes)), np.float32)
        for row, record in zip(result, records):
            row[self._reader.position(record)] = self._reader.confidence(record)
        return result

    def close(self) -> None:
        """Remove what was made for the function."""
        self._file.close()
