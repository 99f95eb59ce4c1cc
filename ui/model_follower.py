"""Keeps a tool's dialog in step with the model chosen in it: what it is, what it takes, what it needs."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Optional

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QEvent, QObject, Qt, QTimer
from qgis.PyQt.QtWidgets import QLabel, QMessageBox

from ..engine.imagerydl.errors import EngineError, ParameterError
from ..engine.imagerydl.models.arguments import ModelArgument
from ..engine.imagerydl.tool import Kind, Param, Tool
from ..processing_provider.parameters import flat_cells
from ..processing_provider.translation import tr
from .argument_table import ArgumentTable
from .model_card import ModelCardDialog
from .model_description import CodeInModel, DescriptionJob, ModelDescription
from .package_choice import PackageChoice, package_params
from .placing import place_below, widget_of
from .trust_question import TrustQuestion

MODEL = "IN_MODEL_DEFINITION"
#: The names under which tools take arguments.
ARGUMENTS = ("ARGUMENTS", "MODEL_ARGUMENTS")

#: Milliseconds without a further key before what was typed is looked at.
DELAY = 600

_DETAILS, _ALLOW = "details", "allow"
_RED = "#c0392b"


class ModelCompanion:
    """Brings the dialog of every tool that takes a model in step with it.

    Tools that run the model get a :class:`ModelFollower`; where a package with several models may be named,
    there is a :class:`~.package_choice.PackageChoice`.
    """

    def applies(self, tool: Tool) -> bool:
        """Whether the tool takes a model."""
        return bool(package_params(tool)) or arguments_param(tool) is not None

    def attach(self, dialog: Any) -> None:
        """Make the widgets of ``dialog`` follow the model."""
        algorithm = dialog.algorithm()
        if arguments_param(algorithm.tool) is not None:
            ModelFollower(algorithm.tool, algorithm.arguments, dialog)
        wrappers = dialog.mainWidget().wrappers
        for param in package_params(algorithm.tool):
            PackageChoice(wrappers[param.key], dialog)


def arguments_param(tool: Tool) -> Optional[Param]:
    """The parameter of ``tool`` that takes a model's arguments; None where there is none, or no model."""
    by_key = {param.key: param for param in tool.params}
    if MODEL not in by_key:
        return None
    found = (by_key[key] for key in ARGUMENTS if key in by_key)
    return next((param for param in found if param.kind is Kind.ARGUMENTS), None)


class ModelFollower(QObject):
    """Describes the model as it is chosen, and shows its arguments in a table.

    The parameter's own widget stays what holds the value, out of sight: history, clipboard, "copy as
    Python" and the run read and write it as ever, and the table is a view of it.

    Args:
        tool: A tool for which :func:`arguments_param` finds something.
        arguments: What every run of the tool takes, whatever the model.
        dialog: The dialog, with its widgets made; the follower lives as long as it.
    """

    def __init__(self, tool: Tool, arguments: Sequence[ModelArgument], dialog: Any) -> None:
        super().__init__(dialog)
        self._dialog = dialog
        self._param = arguments_param(tool)
        self._own = tuple(arguments)
        self._context = QgsProcessingContext()
        wrappers = dialog.mainWidget().wrappers
        self._model, self._holder = wrappers[MODEL], wrappers[self._param.key]
        self._job: Optional[DescriptionJob] = None
        self._question: Optional[TrustQuestion] = None
        self._shown = ""
        self._is_writing = False
        self.description: Optional[ModelDescription] = None

        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self.status.linkActivated.connect(self._follow_link)
        self.status.hide()
        place_below(widget_of(self._model), self.status)

        self.table = ArgumentTable()
        self.table.setObjectName(self._param.key)
        holder = widget_of(self._holder)
        place_below(holder, self.table)
        holder.hide()
        self._declare(())
        self._read_holder()
        self.table.edited.connect(self._write_holder)
        self._holder.widgetValueHasChanged.connect(self._read_holder)

        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self.look)
        self._model.widgetValueHasChanged.connect(self._model_changed)
        dialog.installEventFilter(self)
        dialog.rejected.connect(self.stop)
        dialog.destroyed.connect(_stopper(self))
        self._model_changed()

    # The model

    def look(self) -> None:
        """Describe the model that the dialog names now, unless it has been."""
        model = self._named()
        if model != self._shown:
            self._describe(model)

    def stop(self, *_: Any) -> None:
        """Forget what is under way."""
        self._timer.stop()
        if self._job is not None:
            self._job.cancel()
            self._job = None
            self._shown = ""  # looked at again when the dialog comes back

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - the name Qt calls
        """See the dialog being closed by its frame."""
        if event.type() == QEvent.Type.Close:
            self.stop()
        return False

    def _named(self) -> str:
        return str(self._model.parameterValue() or "").strip()

    def _model_changed(self, *_: Any) -> None:
        if self._named() == self._shown:
            self._timer.stop()  # typed and taken back
        else:
            self._timer.start()

    def _describe(self, model: str, agreed: Optional[CodeInModel] = None) -> None:
        self.stop()
        self._shown = model
        self.description = None
        if not model:
            self._declare(())
            self._say("")
            return
        self._say(tr("Looking at the model…"))
        self._job = job = DescriptionJob(model, agreed)
        # Bound to the follower, so that Qt delivers them on its thread, and never after its end.
        job.described.connect(self._described)
        job.refused.connect(self._refused)
        job.begin()

    def _described(self, job: DescriptionJob, description: ModelDescription) -> None:
        if job is not self._job:
            return  # of a model that is no longer chosen
        self._job = None
        self.description = description
        self._declare(description.arguments)
        self._say(status_text(description))
        code = description.foreign_code
        if code is not None and not code.is_trusted:
            self._ask(code)

    def _refused(self, job: DescriptionJob, error: EngineError) -> None:
        if job is not self._job:
            return
        self._job = None
        self._declare(())
        self._say(_in_red(str(error)))

    # Consent

    def _ask(self, code: CodeInModel) -> None:
        self._question = question = TrustQuestion(code, self._dialog)
        model = self._shown
        question.finished.connect(lambda answer: self._answered(answer, model, code))
        question.open()

    def _answered(self, answer: int, model: str, code: CodeInModel) -> None:
        self._question = None
        # A model chosen while the question stood there was not what it asked about.
        if answer == QMessageBox.StandardButton.Yes and model == self._named():
            self._describe(model, agreed=code)

    # What is shown

    def _say(self, text: str) -> None:
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def _follow_link(self, link: str) -> None:
        if self.description is None:
            return
        if link == _DETAILS:
            ModelCardDialog(self.description.card, self._dialog).show()
        elif link == _ALLOW and self.description.foreign_code is not None and self._question is None:
            self._ask(self.description.foreign_code)

    # Arguments

    def _declare(self, arguments: Sequence[ModelArgument]) -> None:
        self.table.declare(
            [(tr("Arguments of this model"), arguments), (tr("Arguments of every run"), self._own)]
        )

    def _read_holder(self, *_: Any) -> None:
        if not self._is_writing:
            self.table.set_values(self._held())

    def _held(self) -> dict[str, str]:
        cells = self._holder.parameterValue()
        if isinstance(cells, (list, tuple)) and len(cells) == 1:
            cells = cells[0]  # a text that QGIS took for a table of one cell
        try:
            return self._param.coerce(cells) or {}
        except ParameterError:
            return {}  # a script's own mistake: the run says what is wrong with it

    def _write_holder(self) -> None:
        self._is_writing = True
        try:
            self._holder.setParameterValue(flat_cells(self.table.values()), self._context)
        finally:
            self._is_writing = False


def status_text(description: ModelDescription) -> str:
    """One line on what the model is, or in red on what is wrong with it; rich text."""
    details = f'<a href="{_DETAILS}">{html.escape(tr("Details"))}</a>'
    code = description.foreign_code
    if code is not None and not code.is_trusted:
        files = ", ".join(path.name for path in code.code.files)
        text = tr("The model holds {reason} ({files}), which runs only once you agree.")
        allow = f'<a href="{_ALLOW}">{html.escape(tr("Allow…"))}</a>'
        return f"{_in_red(text.format(reason=code.code.reason, files=files))} {allow} {details}"
    if description.problems:
        return f"{_in_red(' '.join(description.problems))} {details}"
    facts = [description.name or _first_line(description.card)]
    if description.tile_size:
        facts.append(tr("{size} pixels").format(size=description.tile_size.replace("x", " × ")))
    if description.class_count:
        facts.append(tr("{number} classes").format(number=description.class_count))
    facts.append(description.framework)
    return f"{html.escape(' · '.join(filter(None, facts)))} {details}"


def _stopper(follower: ModelFollower) -> Any:
    """Ends what is under way when a dialog goes without having been closed; touches no widget."""

    def stop(*_: Any) -> None:
        job, follower._job = follower._job, None
        if job is not None:
            job.cancel()

    return stop


def _in_red(text: str) -> str:
    return f'<span style="color: {_RED}">{html.escape(text)}</span>'


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
