"""Writes the model folder: definition, weights, ONNX, package, log, report and figures."""

from __future__ import annotations

import json
import math
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
from .dataset import TrainingData
from .evaluation import Evaluation, Sample
from .history import Row, write_log
from .onnx_export import TOLERANCE, export_onnx, onnx_difference
from .report import Report, write_report
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


@dataclass(frozen=True)
class TrainedModel(Trained):
    """A trained pixel classifier.

    Attributes:
        evaluation: On the validation chips.
        samples: Chips to show.
        worst: The least successful chips.
    """

    data: TrainingData
    evaluation: Evaluation
    samples: list[Sample]
    worst: list[Sample]


def write_model(model: TrainedModel, folder: Path, reporter: Reporter) -> None:
    """Write everything into ``folder``; files carry the name of the model."""
    folder.mkdir()
    name, bands = model.settings.name, model.data.collection.band_count
    weights = folder / f"{name}.safetensors"
    write_weights(model.start.network, weights)
    onnx = write_onnx(model.start.network, bands, model.size, folder / f"{name}.onnx", reporter)
    definition = folder / f"{name}.emd"
    write_definition(_definition(model, weights, onnx), definition)
    write_log(model.rows, folder / LOG_FILE)
    figures = folder / CHARACTERISTICS
    write_report(_report(model), folder / REPORT_FILE, figures)
    members = [definition, weights, *([onnx] if onnx else []), folder / REPORT_FILE, figures]
    write_package(members, folder / f"{name}.dlpk")


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


def _definition(model: TrainedModel, weights: Path, onnx: Optional[Path]) -> dict[str, Any]:
    evaluation = model.evaluation
    return {
        **common_definition(model, "ImageClassification", weights, onnx, _description(model)),
        "accuracy": f"{evaluation.scores.accuracy:.4e}",
        "jaccard": f"{evaluation.jaccard:.4e}",
        "mean_iou": f"{evaluation.scores.mean_iou:.4e}",
        "per_class_metrics": _per_class(model),
    }


def common_definition(
    model: Trained, model_type: str, weights: Path, onnx: Optional[Path], description: str
) -> dict[str, Any]:
    """What the definitions of all kinds of networks say.

    Args:
        model: The trained network.
        model_type: Esri's word for what it does.
        weights: Its file.
        onnx: The same network as ONNX, where there is one.
        description: A sentence.
    """
    collection = model.data.collection
    height, width = model.size
    definition: dict[str, Any] = {
        "Framework": "PyTorch",
        "ModelConfiguration": OWN_CONFIGURATION,
        "ModelName": model.settings.model_type,
        "ModelType": model_type,
        "ModelFile": weights.name,
        "Description": description,
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


def write_weights(network: nn.Module, path: Path) -> None:
    """Write a network's weights as safetensors."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    path.write_bytes(save(state))  # its own save_file() makes a file nobody else may read


def _description(model: TrainedModel) -> str:
    train, valid = model.chips
    names = ", ".join(model.data.channels.names)
    return (
        f"{model.settings.model_type}, backbone {model.start.parameters['backbone']}, "
        f"trained on {train} chips and validated on {valid}. Classes: {names}."
    )


def _per_class(model: TrainedModel) -> str:
    """A JSON text inside the JSON, as arcgis.learn writes it."""
    scores = model.evaluation.scores
    rows = zip(model.data.channels.names, scores.precision, scores.recall, scores.f1, scores.iou)
    return json.dumps(
        {
            name: {
                key: None if math.isnan(value) else round(float(value), 4)
                for key, value in zip(("precision", "recall", "f1", "iou"), values)
            }
            for name, *values in rows
        }
    )


def _report(model: TrainedModel) -> Report:
    train, valid = model.chips
    rate = f"{model.learning_rate:.2g}"
    return Report(
        title=model.settings.name,
        facts={
            "Model": f"{model.settings.model_type}, backbone {model.start.parameters['backbone']}",
            "Chips": f"{train} for training, {valid} for validation, "
            f"{model.data.shape[2]} x {model.data.shape[1]} pixels, {model.data.shape[0]} bands",
            "Training": f"{len(model.rows)} epochs, best epoch {model.best}, batch {model.batch_size}, "
            f"learning rate {rate}, augmentation {model.settings.augmentation}",
            "Skipped chips": str(len(model.data.skipped)),
        },
        classes=model.data.channels.classes,
        rows=model.rows,
        best=model.best,
        evaluation=model.evaluation,
        network=model.start.network,
        shape=(model.data.shape[0], *model.size),
        samples=model.samples,
        worst=model.worst,
        band_names=model.data.collection.band_names,
    )
