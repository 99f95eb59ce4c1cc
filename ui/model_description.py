"""What the engine says about a model, asked for in the background.

Describing a model may load libraries, unpack a package or run code that comes with it: never in
QGIS's process, and never on the thread that draws.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from qgis.core import QgsApplication, QgsProcessingFeedback
from qgis.PyQt.QtCore import QThread, pyqtSignal

from ..engine.imagerydl.errors import CancelledError, EngineError, TrustError
from ..engine.imagerydl.models.arguments import ModelArgument
from ..engine.imagerydl.models.definition import load_definition
from ..engine.imagerydl.models.trust import PARAMETER, ForeignCode, is_trusted, trust
from ..processing_provider import runtime
from ..processing_provider.translation import tr

#: The engine's tool that describes a model.
TOOL_ID = "describemodel"

#: Milliseconds a description may take to stop when QGIS closes.
_LAST_WAIT = 5000


@dataclass(frozen=True)
class CodeInModel:
    """Code that comes with a model, as somebody is asked about it.

    Attributes:
        code: The files, and what they hold.
        digest: Of their contents, as the worker saw them.
        is_trusted: Whether somebody has agreed to these very files.
    """

    code: ForeignCode
    digest: str
    is_trusted: bool

    @classmethod
    def from_text(cls, text: str) -> Optional[CodeInModel]:
        """What ``FOREIGN_CODE`` of the tool says; None where the model holds no code."""
        if not text.strip():
            return None
        said = json.loads(text)
        code = ForeignCode(tuple(Path(name) for name in said["files"]), str(said["reason"]))
        return cls(code, str(said["digest"]), is_trusted(code))


@dataclass(frozen=True)
class ModelDescription:
    """A model, described.

    Attributes:
        card: The whole text.
        arguments: What the model itself declares.
        tile_size: "height x width" in pixels; empty where it is free.
        problems: Why it cannot run here, each with its fix; empty where it can.
        foreign_code: Code that comes with it.
        name: What to call it; empty where its definition cannot be read here.
        framework: What runs it, as its definition says.
        class_count: Number of classes; None where unknown.
    """

    card: str
    arguments: tuple[ModelArgument, ...]
    tile_size: str
    problems: tuple[str, ...]
    foreign_code: Optional[CodeInModel] = None
    name: str = ""
    framework: str = ""
    class_count: Optional[int] = None

    @classmethod
    def from_results(cls, model: str, results: Mapping[str, Any]) -> ModelDescription:
        """Read the results of the engine's tool; raises ValueError, KeyError or OSError on nonsense."""
        return cls(
            **_definition_facts(model),
            card=str(results["CARD"]),
            arguments=tuple(ModelArgument.from_json(item) for item in _listed(results["ARGUMENTS"])),
            tile_size=str(results.get("TILE_SIZE") or ""),
            problems=tuple(str(problem) for problem in _listed(results["PROBLEMS"])),
            foreign_code=CodeInModel.from_text(str(results.get("FOREIGN_CODE") or "")),
        )


class DescriptionJob(QThread):
    """One description of one model, in a worker process.

    Keeps itself until it has ended, so that whoever started it may forget it.

    Args:
        model: What was typed for the model.
        agreed: Code somebody has just agreed to: remembered first, if it is still the same.

    Signals:
        described: With this job and the :class:`ModelDescription`.
        refused: With this job and the :class:`EngineError`.
    """

    described = pyqtSignal(object, object)
    refused = pyqtSignal(object, object)

    _running: set[DescriptionJob] = set()  # noqa: RUF012 - shared on purpose

    def __init__(self, model: str, agreed: Optional[CodeInModel] = None) -> None:
        super().__init__()
        self.model = model
        self._agreed = agreed
        self._feedback = QgsProcessingFeedback(False)

    def begin(self) -> None:
        """Start; returns at once."""
        self._running.add(self)
        self.finished.connect(self._forget)
        QgsApplication.instance().aboutToQuit.connect(self._leave)
        self.start(QThread.Priority.LowPriority)

    def cancel(self) -> None:
        """End the worker soon; nothing is signalled any more. Returns at once."""
        self._feedback.cancel()

    def run(self) -> None:
        """The thread."""
        try:
            description = self._describe()
        except CancelledError:
            return
        except EngineError as error:
            self._tell(self.refused, error)
        except (OSError, ValueError, KeyError, TypeError) as error:
            # An engine of another version, a disk that is full: the dialog must still answer.
            text = tr("The description of the model cannot be read ({reason}).")
            self._tell(self.refused, EngineError(text.format(reason=error)))
        else:
            self._tell(self.described, description)

    def _describe(self) -> ModelDescription:
        if self._agreed is not None:
            _remember(self._agreed)
        with runtime.JobFolder() as folder:
            values = {"IN_MODEL_DEFINITION": self.model, PARAMETER: False}
            results = runtime.run_in_worker(TOOL_ID, values, folder, self._feedback)
        return ModelDescription.from_results(self.model, results)

    def _tell(self, signal: Any, what: object) -> None:
        if not self._feedback.isCanceled():
            signal.emit(self, what)

    def _leave(self) -> None:
        self.cancel()
        self.wait(_LAST_WAIT)

    def _forget(self) -> None:
        QgsApplication.instance().aboutToQuit.disconnect(self._leave)
        self._running.discard(self)


def _remember(agreed: CodeInModel) -> None:
    """Trust what was shown, and nothing that has taken its place since."""
    if agreed.code.digest != agreed.digest:
        raise TrustError(
            tr("The files of the model have changed since you were asked."), tr("Choose the model again.")
        )
    trust(agreed.code)


def _definition_facts(model: str) -> dict[str, Any]:
    """What the definition itself tells: nothing for a bare network."""
    try:
        definition = load_definition(model)
    except (EngineError, OSError):
        return {}  # the worker is the authority; what is wrong stands in its problems
    name = definition.model_name or Path(definition.name).stem
    framework = " ".join(filter(None, (definition.framework, definition.configuration)))
    if definition.inference_function:  # then the framework is a matter of the function alone
        framework = tr("Python raster function")
    return {"name": name, "framework": framework, "class_count": len(list(definition.classes)) or None}


def _listed(value: Any) -> list[Any]:
    """A list, or its JSON text."""
    found = json.loads(value) if isinstance(value, str) and value.strip() else value or []
    if not isinstance(found, list):
        raise ValueError(f"{found!r} is no list")
    return found
