"""Writes a model folder: definition, weights, ONNX, package, log, report and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Protocol

from safetensors.torch import save
from torch import nn

from .. import __version__
from ..events import Reporter
from ..labels.classes import ClassSchema
from ..models.definition import OWN_CONFIGURATION, write_definition
from ..models.package import write_package
from .chips import ChipCollection
from .history import Row, write_log
from .onnx_export import TOLERANCE, export_onnx, onnx_difference
from .settings import TrainingSettings
from .starting_point import StartingPoint

LOG_FILE = "training_log.csv"
REPORT_FILE = "model_metrics.html"
CHARACTERISTICS = "ModelCharacteristics"


class ChipData(Protocol):
    """Chips as a definition describes them."""

    collection: ChipCollection

    @property
    def classes(self) -> ClassSchema: ...

    @property
    def shape(self) -> tuple[int, int, int]: ...


@dataclass(frozen=True)
class Trained:
    """A trained network, and what is known about any.

    Attributes:
        settings: As asked.
        data: The chips.
        start: The network, with its final weights.
        rows: The epochs.
        best: The epoch whose weights these are.
        learning_rate: Peak used.
        batch_size: Used.
        chips: Number of (training, validation) chips.
    """

    settings: TrainingSettings
    data: ChipData
    start: StartingPoint
    rows: list[Row]
    best: int
    learning_rate: float
    batch_size: int
    chips: tuple[int, int]

    @property
    def classes(self) -> ClassSchema:
        """What is told apart, in order."""
        return self.data.classes

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pieces it was trained on."""
        _, height, width = self.data.shape
        largest = self.settings.chip_size or max(height, width)
        return min(height, largest), min(width, largest)

    @property
    def facts(self) -> dict[str, str]:
        """Short facts for the report, by their label."""
        train, valid = self.chips
        bands, height, width = self.data.shape
        return {
            "Model": self._network,
            "Chips": f"{train} for training, {valid} for validation, {width} x {height} pixels, "
            f"{bands} bands",
            "Training": f"{len(self.rows)} epochs, best epoch {self.best}, batch {self.batch_size}, learning "
            f"rate {self.learning_rate:.2g}, augmentation {self.settings.augmentation}",
        }

    def describe(self, more: str = "") -> str:
        """A sentence or two.

        Args:
            more: What else there is to say of the network, with what parts it from its name.
        """
        train, valid = self.chips
        names = ", ".join(entry.name for entry in self.classes)
        return f"{self._network}{more}, trained on {train} chips and validated on {valid}. Classes: {names}."

    @property
    def _network(self) -> str:
        return f"{self.settings.model_type}, backbone {self.start.parameters['backbone']}"


@dataclass(frozen=True)
class Said:
    """What a definition says of one kind of network.

    Attributes:
        model_type: Esri's word for what it does.
        description: A sentence.
        measures: Further keys.
    """

    model_type: str
    description: str
    measures: Mapping[str, Any]


def write_folder(
    model: Trained,
    folder: Path,
    said: Said,
    write_onnx: Callable[[Path], Optional[Path]],
    write_report: Callable[[Path, Path], None],
) -> None:
    """Write a model folder; files carry the name of the model.

    Args:
        model: The trained network.
        folder: To make.
        said: What its definition says.
        write_onnx: Writes the ONNX form; None where there is none.
        write_report: Writes the page, and a folder of figures.
    """
    folder.mkdir()
    weights, definition, onnx, package = (
        folder / f"{model.settings.name}{suffix}" for suffix in (".safetensors", ".emd", ".onnx", ".dlpk")
    )
    _write_weights(model.start.network, weights)
    exported = write_onnx(onnx)
    write_definition({**_common(model, said, weights, exported), **said.measures}, definition)
    write_log(model.rows, folder / LOG_FILE)
    page, figures = folder / REPORT_FILE, folder / CHARACTERISTICS
    write_report(page, figures)
    write_package([definition, weights, *([exported] if exported else []), page, figures], package)


def write_onnx(
    network: nn.Module, bands: int, size: tuple[int, int], path: Path, reporter: Reporter
) -> Optional[Path]:
    """Write and check the ONNX form. Hours of training are not thrown away where it fails.

    Args:
        network: The network.
        bands: Bands it takes.
        size: (height, width) of the pieces it was trained on.
        path: File to write.
        reporter: Hears how it went.

    Returns:
        The file; None where there is none.
    """
    try:
        export_onnx(network, bands, path)
        difference = onnx_difference(network, bands, path, size)
    except Exception as error:  # noqa: BLE001 - exporter and runtime raise kinds of their own
        reason = str(error).strip().split("\n")[0]
    else:
        if difference <= TOLERANCE:
            reporter.message(f"The ONNX form gives what PyTorch gives, within {difference:.1e}.")
            return path
        reason = f"it differs from PyTorch by {difference:.1e}"
    path.unlink(missing_ok=True)
    reporter.warning(f"The model has no ONNX form ({reason}); it runs with PyTorch.")
    return None


def _common(model: Trained, said: Said, weights: Path, onnx: Optional[Path]) -> dict[str, Any]:
    """What the definitions of all kinds of networks say."""
    collection = model.data.collection
    height, width = model.size
    definition: dict[str, Any] = {
        "Framework": "PyTorch",
        "ModelConfiguration": OWN_CONFIGURATION,
        "ModelName": model.settings.model_type,
        "ModelType": said.model_type,
        "ModelFile": weights.name,
        "Description": said.description,
        "Version": __version__,
        "ModelParameters": model.start.parameters,
        "Normalization": model.start.input_range.normalisation.to_json(),
        "ImageHeight": height,
        "ImageWidth": width,
        "ExtractBands": list(range(collection.band_count)),
        "SupportsVariableTileSize": True,
        "Classes": [
            {"Value": entry.value, "Name": entry.name, "Color": list(entry.color)} for entry in model.classes
        ],
        "ImageSpaceUsed": collection.image_space,
        "MetaDataMode": collection.metadata_format,
        "InputRastersProps": collection.definition.get("InputRastersProps")
        or {"RasterCount": 1, "SensorName": "Undefined", "BandNames": list(collection.band_names)},
        "AllTilesStats": collection.band_stats,
        "LearningRate": f"{model.learning_rate:.4e}",
        "BatchSizeTrained": model.batch_size,
        "EpochsTrained": len(model.rows),
        "BestEpoch": model.best,
    }
    if onnx:
        definition["ONNX"] = {"INFER": onnx.name}
    for key in ("MinCellSize", "MaxCellSize"):
        size = collection.definition.get(key) or collection.cell_size
        if size:
            definition[key] = size
    return definition


def _write_weights(network: nn.Module, path: Path) -> None:
    """Write a network's weights as safetensors."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    path.write_bytes(save(state))  # its own save_file() makes a file nobody else may read


def per_class_metrics(names: Sequence[str], measures: Mapping[str, Sequence[float]]) -> str:
    """Measures of each class: a JSON text inside the JSON, as arcgis.learn writes it.

    Args:
        names: Of the classes.
        measures: One number a class, by name.
    """
    rows = zip(names, *measures.values())
    return json.dumps(
        {name: {key: rounded(value) for key, value in zip(measures, values)} for name, *values in rows}
    )


def rounded(value: float) -> Optional[float]:
    """For a definition: strict JSON has no number that is none."""
    return None if math.isnan(value) else round(float(value), 4)
