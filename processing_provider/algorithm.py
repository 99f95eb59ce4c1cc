"""Tool -> QgsProcessingAlgorithm: parameters, checks, preparation, run, results."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingMultiStepFeedback,
)
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QWidget

from ..engine.imagerydl import jobs
from ..engine.imagerydl.errors import EngineError
from ..engine.imagerydl.events import Reporter
from ..engine.imagerydl.models.arguments import ModelArgument
from ..engine.imagerydl.tool import Tool
from . import layers, runtime
from .companions import companions_of
from .inputs import InputReader, destinations, normalised
from .parameters import qgis_output, qgis_parameters
from .relay import EventRelay
from .results import declared_results, style_loaded_layers
from .translation import tr

PLUGIN = Path(__file__).resolve().parent.parent
ICON = PLUGIN / "icons" / "imagerydl.svg"
REPOSITORY = "https://github.com/imagerydl/imagerydl"


class ToolAlgorithm(QgsProcessingAlgorithm):
    """Shows one of the engine's tools as a Processing algorithm.

    A subclass names the tool, and overrides :meth:`completed` or :meth:`finished` where something is
    special in QGIS. Where a tool runs a model, it states in ``arguments`` what every run takes,
    beside what the model declares: the dialog offers those.
    """

    tool: Tool
    arguments: tuple[ModelArgument, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, Any] = {}
        self._results: dict[str, Any] = {}

    # What it is

    def createInstance(self) -> ToolAlgorithm:  # noqa: N802
        """A fresh one; QGIS makes one per run."""
        return type(self)()

    def name(self) -> str:
        """Id within the provider."""
        return self.tool.id

    def displayName(self) -> str:  # noqa: N802
        """Title in the Toolbox."""
        return tr(self.tool.title)

    def group(self) -> str:
        """Toolbox group."""
        return tr(self.tool.group)

    def groupId(self) -> str:  # noqa: N802
        """Id of the group, the same in every language."""
        return "".join(filter(str.isalnum, self.tool.group.lower()))

    def tags(self) -> list[str]:
        """Search words."""
        return [tr(tag) for tag in self.tool.tags]

    def shortDescription(self) -> str:  # noqa: N802
        """Tooltip, and first line of ``qgis_process help``."""
        return tr(self.tool.summary)

    def shortHelpString(self) -> str:  # noqa: N802
        """Help panel. Every line becomes a paragraph there, so it needs no tags."""
        paragraphs = tr(self.tool.description).split("\n\n")
        return "\n".join(html.escape(" ".join(text.split()), quote=False) for text in paragraphs)

    def helpUrl(self) -> str:  # noqa: N802
        """The tool's page: the local one in a checkout, else the one in the repository."""
        page = PLUGIN / "docs" / "tools" / f"{self.tool.id}.md"
        if page.is_file():
            return QUrl.fromLocalFile(str(page)).toString()
        return f"{REPOSITORY}/blob/main/docs/tools/{self.tool.id}.md"

    def icon(self) -> QIcon:
        """The plugin's icon."""
        return QIcon(str(ICON))

    def svgIconPath(self) -> str:  # noqa: N802
        """The plugin's icon, for the modeler."""
        return str(ICON)

    def createCustomParametersWidget(self, parent: Optional[QWidget] = None) -> Optional[QWidget]:  # noqa: N802
        """The dialog: the usual one, where parameters that do not apply to a choice are disabled."""
        if not any(param.only_with for param in self.tool.params) and not companions_of(self.tool):
            return None
        from .dialog import ToolDialog  # the user interface is there in QGIS itself only

        return ToolDialog(self.create(), parent=parent)

    # What it takes and gives

    def completed(self, values: dict[str, Any]) -> dict[str, Any]:
        """The job's values with what QGIS knows better than the engine; called on the main thread."""
        return values

    def finished(self, values: Mapping[str, Any], results: Mapping[str, Any]) -> None:
        """Called on the main thread after a run with ``values`` gave ``results``."""

    def initAlgorithm(self, configuration: Optional[dict] = None) -> None:  # noqa: N802
        """Declare parameters and outputs."""
        for param in self.tool.params:
            for definition in qgis_parameters(self.tool, param):
                self.addParameter(definition)
        declared = {param.key for param in self.tool.params if param.is_output}
        for result in self.tool.results:
            if result.key not in declared:
                self.addOutput(qgis_output(result))

    def checkParameterValues(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Whether it can run with ``parameters``; else why not, in the tool's own words."""
        try:
            self._require_runtime()
            values = normalised(self.tool, parameters, context)
            # Before QGIS's own check, which says no more than "incorrect value".
            self._reader(values, context).checked()
        except EngineError as error:
            return False, str(error)
        for definition in self.destinationParameterDefinitions():
            value = values.get(definition.name())
            supported, message = definition.isSupportedOutputValue(value, context) if value else (True, "")
            if not supported:
                return False, message
        return super().checkParameterValues(values, context)

    # What it does

    def prepareAlgorithm(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Resolve layers, on the main thread. A model's child comes here without the check above."""
        try:
            self._require_runtime()
            values = normalised(self.tool, parameters, context)
            self._values = self.completed(self._reader(values, context).values())
        except EngineError as error:
            raise QgsProcessingException(str(error)) from error
        return True

    def processAlgorithm(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Write the layers that are no files, then run the tool."""
        try:
            self._values.update(destinations(self, self.tool, parameters, context))
            with runtime.JobFolder() as folder:
                self._results = declared_results(self.tool, self._run(folder, feedback))
        except EngineError as error:
            raise QgsProcessingException(str(error)) from error
        return self._results

    def postProcessAlgorithm(  # noqa: N802
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """See that class rasters get their colours when QGIS loads them; main thread."""
        style_loaded_layers(self._results, context)
        self.finished(self._values, self._results)
        return {}

    def _run(self, folder: Path, feedback: QgsProcessingFeedback) -> Mapping[str, Any]:
        values = self._values
        if layers.count_promises(values):
            steps = QgsProcessingMultiStepFeedback(2, feedback)
            reporter = Reporter(EventRelay(steps), feedback.isCanceled)
            values = layers.keep_promises(values, folder, reporter)
            steps.setCurrentStep(1)
            feedback = steps
        if self.tool.needs_runtime:
            return runtime.run_in_worker(self.tool.id, values, folder, feedback)
        return jobs.run_job(jobs.Job(self.tool, values), Reporter(EventRelay(feedback), feedback.isCanceled))

    def _require_runtime(self) -> None:
        # canExecute() would be asked by the Toolbox alone: scripts and qgis_process ignore it.
        if self.tool.needs_runtime:
            runtime.require_python()

    def _reader(self, values: Mapping[str, Any], context: QgsProcessingContext) -> InputReader:
        return InputReader(self, self.tool, values, context)
