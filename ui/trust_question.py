"""The question whether code that comes with a model may run."""

from __future__ import annotations

import html
from typing import Optional

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QMessageBox, QWidget

from ..processing_provider.translation import tr
from .model_description import CodeInModel


class TrustQuestion(QMessageBox):
    """Names the files, what they hold and what they could do. Enter and Escape both say no."""

    def __init__(self, found: CodeInModel, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setIcon(QMessageBox.Icon.Warning)
        self.setWindowTitle(tr("Code in the model"))
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setText(
            "<b>" + _line("The model holds {reason}. Shall it run?", reason=found.code.reason) + "</b>"
        )
        folders = sorted({str(path.parent) for path in found.code.files})
        told = [
            tr("It can do anything that you can: read and change your files, and use the network."),
            tr("Agree only if you know who made the model."),
            "",
            _line("Files: {files}", files=", ".join(path.name for path in found.code.files)),
            _line("Folder: {folder}", folder=", ".join(folders)),
            _line("SHA-256: {digest}", digest=found.digest),
            "",
            tr("Your answer is remembered for these very files; if one changes, you are asked again."),
        ]
        self.setInformativeText("<br/>".join(told))
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No)
        self.setDefaultButton(QMessageBox.StandardButton.No)
        self.setEscapeButton(QMessageBox.StandardButton.No)


def _line(text: str, **values: str) -> str:
    return tr(text).format(**{name: html.escape(value) for name, value in values.items()})
