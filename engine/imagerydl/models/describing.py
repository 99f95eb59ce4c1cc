"""What a model is, what it takes, what it holds, and what keeps it from running here.

Nothing of the model itself runs unless somebody has agreed to its code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ..errors import EngineError, TrustError
from .arguments import ModelArgument
from .definition import DefinitionText, ModelDefinition, check_definition, find_definition
from .model_card import ModelCard
from .trust import PARAMETER, ForeignCode, ensure_trusted, is_trusted

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
    written = checked.written
    if checked.definition is None:
        problems = tuple(str(problem) for problem in checked.problems)
        card = ModelCard(_title(written), _author_text(written), _written_facts(written), problems=problems)
        return ModelDescription(card, (), None, None, problems)
    return _described(written, checked.definition, consent)


def _described(written: DefinitionText, definition: ModelDefinition, consent: bool) -> ModelDescription:
    from .runtimes.opening import declared_arguments, foreign_code

    problems: list[str] = []
    code: Optional[ForeignCode] = None
    arguments: tuple[ModelArgument, ...] = ()
    try:
        code = foreign_code(definition)
        if code is not None and consent:
            ensure_trusted(code, consent)
        arguments = declared_arguments(definition, consent)
    except TrustError:
        pass  # a question for the user and no fault of the model; the card says so
    except EngineError as error:
        problems.append(str(error))
    card = ModelCard(
        _title(written),
        _author_text(written),
        _facts(definition),
        tuple(definition.classes),
        arguments,
        _code_text(code),
        tuple(problems),
    )
    return ModelDescription(card, arguments, code, definition.image_size, tuple(problems))


def _title(written: DefinitionText) -> str:
    named = written.raw.get("ModelName")
    if isinstance(named, str) and named.strip():
        return named.strip()
    return Path(written.name).stem if written.folder else "A model given as text"


def _author_text(written: DefinitionText) -> str:
    text = written.raw.get("Description")
    return text.strip() if isinstance(text, str) and not text.startswith("e.g.") else ""


def _written_facts(written: DefinitionText) -> tuple[tuple[str, str], ...]:
    keys = ("Framework", "ModelConfiguration", "ModelType", "ModelFile", "InferenceFunction")
    return (
        ("Definition", written.name),
        *((key, str(written.raw[key])) for key in keys if key in written.raw),
    )


def _facts(definition: ModelDefinition) -> tuple[tuple[str, str], ...]:
    height, width = definition.image_size
    facts: list[tuple[str, Any]] = [
        ("Definition", definition.name),
        ("Task", _task(definition.model_type)),
        ("Framework", " ".join(filter(None, (definition.framework, definition.configuration)))),
        ("Model file", _file(definition.model_file)),
        ("Inference function", definition.inference_function),
        ("Tiles", f"{height} x {width} pixels (height x width)"),
        ("Bands", _bands(definition)),
        ("Values", _values(definition)),
    ]
    if definition.cell_size:
        facts.append(("Cell size", "{:g} x {:g} of the training imagery".format(*definition.cell_size)))
    return tuple((name, str(value)) for name, value in facts if value)


def _task(model_type: str) -> str:
    return f"{_TASKS[model_type]} ({model_type})" if model_type in _TASKS else model_type


def _bands(definition: ModelDefinition) -> str:
    names = definition.band_names
    shown = []
    for band in definition.extract_bands:
        known = names[band] if isinstance(band, int) and band < len(names) else ""
        shown.append(band if isinstance(band, str) else known or f"number {band + 1}")
    return f"{len(shown)}: {', '.join(shown)}"


def _values(definition: ModelDefinition) -> str:
    scale = definition.normalisation
    if scale is None:
        return "as they are"
    pairs = (f"(x - {low:.4g}) / {step:.4g}" for low, step in zip(scale.subtract, scale.divide))
    return ", ".join(pairs)


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
