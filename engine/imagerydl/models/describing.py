"""What a model is, what it takes, what it holds, and what keeps it from running here.

Nothing of the model itself runs unless somebody has agreed to its code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from ..errors import EngineError, TrustError
from .arguments import ModelArgument
from .definition import CheckedDefinition, ModelDefinition, check_definition, find_definition
from .model_card import ModelCard
from .trust import PARAMETER, ForeignCode, ensure_trusted, is_trusted

if TYPE_CHECKING:
    from .runtimes.opener import Opener

#: What the kinds of model do.
_TASKS = {
    "ImageClassification": "classifies pixels",
    "ObjectDetection": "detects objects",
    "InstanceDetection": "detects objects with their outlines",
    "ObjectClassification": "classifies objects or whole images",
}


@dataclass(frozen=True)
class ModelDescription:
    """A model, described.

    Attributes:
        card: All of it, in words.
        arguments: What the model itself declares; empty as well where nobody has agreed to its code.
        code: Code that comes with the model, whether agreed to or not.
        tile_size: (height, width) in pixels; None where the definition does not say.
        problems: What keeps it from running here, each with its fix.
    """

    card: ModelCard
    arguments: tuple[ModelArgument, ...]
    code: Optional[ForeignCode]
    tile_size: Optional[tuple[int, int]]
    problems: tuple[str, ...]

    def to_results(self) -> dict[str, str]:
        """As texts, for whoever is in another process."""
        height_width = f"{self.tile_size[0]}x{self.tile_size[1]}" if self.tile_size else ""
        return {
            "CARD": self.card.to_text(),
            "ARGUMENTS": json.dumps([argument.to_json() for argument in self.arguments]),
            "FOREIGN_CODE": json.dumps(_code_facts(self.code)) if self.code else "",
            "TILE_SIZE": height_width,
            "PROBLEMS": json.dumps(list(self.problems), ensure_ascii=False),
        }


def describe_model(path_or_json: str, consent: bool = False) -> ModelDescription:
    """Describe the model that a definition, a package or an ONNX file holds.

    Args:
        path_or_json: See :func:`~.definition.load_definition`.
        consent: Whether the user agrees to run code that comes with the model; it is remembered.

    Raises:
        ModelDefinitionError: If there is no definition to be read. What is wrong with one that can be
            read is told among the problems.
    """
    checked = check_definition(find_definition(path_or_json))
    if checked.definition is not None:
        return _described(checked, checked.definition, consent)
    problems = tuple(str(problem) for problem in checked.problems)
    return ModelDescription(_card(checked, problems), (), None, _tile_size(checked), problems)


def _described(checked: CheckedDefinition, definition: ModelDefinition, consent: bool) -> ModelDescription:
    opener = _opener(definition)
    problems: list[str] = []
    code: Optional[ForeignCode] = None
    arguments: tuple[ModelArgument, ...] = ()
    try:
        code = opener.foreign_code(definition)
        if code is not None and consent:
            ensure_trusted(code, consent)
        arguments = opener.arguments(definition, consent)
    except TrustError:
        pass  # a question for the user and no fault of the model; the card says so
    except EngineError as error:
        problems.append(str(error))
    card = _card(checked, tuple(problems), arguments, _code_text(code))
    return ModelDescription(card, arguments, code, definition.image_size, tuple(problems))


def _opener(definition: ModelDefinition) -> Opener[Any]:
    """What opens the model, and tells its arguments and its code."""
    from .runtimes import chip_opening, detection_opening, opening

    if definition.model_type in detection_opening.DETECTOR_TYPES:
        return detection_opening.DETECTORS
    if definition.model_type == chip_opening.CLASSIFIER_TYPE:
        return chip_opening.CHIP_CLASSIFIERS
    return opening.PIXEL_MODELS


def _card(
    checked: CheckedDefinition,
    problems: tuple[str, ...],
    arguments: tuple[ModelArgument, ...] = (),
    code: str = "",
) -> ModelCard:
    written, values = checked.written, checked.values
    unnamed = Path(written.name).stem if written.folder else "A model given as text"
    return ModelCard(
        values.get("ModelName") or unnamed,
        values.get("Description", ""),
        tuple(_facts(checked)),
        tuple(values.get("Classes") or ()),
        arguments,
        code,
        problems,
    )


def _tile_size(checked: CheckedDefinition) -> Optional[tuple[int, int]]:
    values = checked.values
    sides = values.get("ImageHeight"), values.get("ImageWidth")
    return sides if all(sides) else None


def _facts(checked: CheckedDefinition) -> Iterator[tuple[str, str]]:
    """What is known, in the order to show; what the definition does not say is left out."""
    values, definition = checked.values, checked.definition
    tile = _tile_size(checked)
    framework, configuration = values.get("Framework", ""), values.get("ModelConfiguration", "")
    facts = (
        ("Definition", checked.written.name),
        ("Task", _task(values.get("ModelType", ""))),
        ("Framework", framework if configuration in ("", framework) else f"{framework} ({configuration})"),
        ("Model file", _file(definition.model_file) if definition else values.get("ModelFile", "")),
        ("Inference function", values.get("InferenceFunction", "")),
        ("Tiles", f"{tile[0]} x {tile[1]} pixels (height x width)" if tile else ""),
        ("Bands", _bands(checked)),
        ("Values", _scaling(definition) if definition else ""),
        ("Data range", "{:g} to {:g}".format(*values["DataRange"]) if "DataRange" in values else ""),
        ("Sensor", definition.sensor_name if definition else ""),
        ("Cell size", _cell_size(values.get("MinCellSize"), values.get("MaxCellSize"))),
        ("Image space", values.get("ImageSpaceUsed", "")),
        ("Chip format", values.get("MetaDataMode", "")),
        ("Model padding", _text(values.get("ModelPadding"))),
        ("Padding", _text(values.get("Padding"))),
        ("Batch size", _text(values.get("BatchSize"))),
        ("Threshold", _text(values.get("Threshold"))),
        ("Accuracy", _text(values.get("accuracy"))),
        ("Average precision", _text(values.get("average_precision_score"))),
        ("Version", values.get("Version", "")),
    )
    return (fact for fact in facts if fact[1])


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def _task(model_type: str) -> str:
    return f"{_TASKS[model_type]} ({model_type})" if model_type in _TASKS else model_type


def _bands(checked: CheckedDefinition) -> str:
    bands = checked.values.get("ExtractBands", ())
    names = checked.definition.band_names if checked.definition else ()
    shown = []
    for band in bands:
        known = names[band] if isinstance(band, int) and band < len(names) else ""
        shown.append(band if isinstance(band, str) else known or f"number {band + 1}")
    return f"{len(shown)}: {', '.join(shown)}" if shown else ""


def _scaling(definition: ModelDefinition) -> str:
    scale = definition.normalisation
    if scale is None:
        return "as they are, unless the model scales them itself"
    steps = [f"(x - {low:.4g}) / {step:.4g}" for low, step in zip(scale.subtract, scale.divide)]
    return f"{steps[0]} in every band" if len(set(steps)) == 1 else ", ".join(steps)


def _cell_size(smallest: Optional[tuple[float, float]], largest: Optional[tuple[float, float]]) -> str:
    sizes = ["{:.4g} x {:.4g}".format(*size) for size in (smallest, largest) if size]
    return " to ".join(dict.fromkeys(sizes))


def _file(path: Optional[Path]) -> str:
    """Name and size of a file or folder."""
    if path is None:
        return ""
    files = [item for item in path.rglob("*") if item.is_file()] if path.is_dir() else [path]
    size = float(sum(item.stat().st_size for item in files))
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{path.name} ({size:.3g} {unit})"
        size /= 1000
    return f"{path.name} ({size:.3g} GB)"


def _code_text(code: Optional[ForeignCode]) -> str:
    if code is None:
        return ""
    names = ", ".join(path.name for path in code.files)
    if is_trusted(code):
        return f"The model holds {code.reason} ({names}), which somebody has agreed to run."
    return (
        f"The model holds {code.reason} ({names}), which can do anything that you can. It has not been "
        f"run, so arguments that it declares are not known. If you trust its author, set {PARAMETER} to true."
    )


def _code_facts(code: ForeignCode) -> dict[str, Any]:
    files = [str(path.resolve()) for path in code.files]
    return {"files": files, "reason": code.reason, "digest": code.digest}
