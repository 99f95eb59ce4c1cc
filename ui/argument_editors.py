"""One editor per kind of argument. An empty text stands for the default, which is shown greyed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Optional, Union

from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QPalette, QValidator
from qgis.PyQt.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QWidget

from ..engine.imagerydl.models.arguments import BOOLEAN, CHOICE, NUMBER, TEXT, ModelArgument
from ..processing_provider.translation import tr

TRUE, FALSE = "True", "False"
_TRUE_WORDS, _FALSE_WORDS = ("true", "1", "yes"), ("false", "0", "no")


class NumberEditor(QAbstractSpinBox):
    """A number with arrows, which may also be empty: the default, or what the model decides."""

    edited = pyqtSignal()

    def __init__(self, argument: ModelArgument, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._argument = argument
        # QAbstractSpinBox makes one by itself, but some styles of 5.15 lose its placeholder.
        self._line = QLineEdit(self)
        self._line.setPlaceholderText(_placeholder(argument))
        self.setLineEdit(self._line)
        self.setFrame(False)
        self._line.textEdited.connect(self._changed)

    def value(self) -> str:
        """What was chosen; empty for the default."""
        text = self._line.text().strip()
        return "" if _same_number(text, self._argument.default) else text

    def set_value(self, text: str) -> None:
        """Show a value; empty for the default."""
        self._line.setText(text)
        self._mark()

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Any text passes while it is typed; one that is no number of the range is shown in red."""
        usable = not text.strip() or self._is_usable(text)
        state = QValidator.State.Acceptable if usable else QValidator.State.Intermediate
        return state, text, position

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabled:  # noqa: N802 - the name Qt calls
        """Both arrows: :meth:`stepBy` stays within the range."""
        return (
            QAbstractSpinBox.StepEnabledFlag.StepUpEnabled | QAbstractSpinBox.StepEnabledFlag.StepDownEnabled
        )

    def stepBy(self, steps: int) -> None:  # noqa: N802 - the name Qt calls
        """Go up or down from what is shown."""
        low, high = self._limits()
        start = _number(self._line.text()) or _number(self._argument.default) or 0.0
        # A share of one goes in small steps, everything else in ones.
        step = 0.05 if high <= 1.0 else 1.0
        value = min(max(round(start + steps * step, 9), low), high)
        self._line.setText(f"{value:.10g}")
        self._changed()

    def _limits(self) -> tuple[float, float]:
        low, high = self._argument.minimum, self._argument.maximum
        return -math.inf if low is None else low, math.inf if high is None else high

    def _is_usable(self, text: str) -> bool:
        value = _number(text)
        low, high = self._limits()
        return value is not None and low <= value <= high

    def _changed(self, *_: Any) -> None:
        self._mark()
        self.edited.emit()

    def _mark(self) -> None:
        text = self._line.text().strip()
        _colour(self._line, "red" if text and not self._is_usable(text) else "normal")


class TextEditor(QLineEdit):
    """A text; the default shows through while there is none."""

    edited = pyqtSignal()

    def __init__(self, argument: ModelArgument, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._default = argument.default
        self.setFrame(False)
        self.setPlaceholderText(_placeholder(argument))
        self.textEdited.connect(lambda _: self.edited.emit())

    def value(self) -> str:
        """What was chosen; empty for the default."""
        text = self.text().strip()
        return "" if text == self._default else text

    def set_value(self, text: str) -> None:
        """Show a value; empty for the default."""
        self.setText(text)


class ChoiceEditor(QComboBox):
    """One word of several."""

    edited = pyqtSignal()

    def __init__(self, argument: ModelArgument, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        # A default that is no choice of its own ("": the model decides) is one more entry.
        words = list(argument.choices)
        self._default = next((word for word in words if _same_word(word, argument.default)), argument.default)
        if self._default not in words:
            words.insert(0, self._default)
        for word in words:
            self.addItem(word or _placeholder(argument), word)
        self.setFrame(False)
        self.set_value("")
        self.activated.connect(self._changed)

    def value(self) -> str:
        """What was chosen; empty for the default."""
        word = str(self.currentData())
        return "" if word == self._default else word

    def set_value(self, text: str) -> None:
        """Show a value; empty for the default. One that is no choice is shown too, not dropped."""
        wanted = text or self._default
        found = [i for i in range(self.count()) if _same_word(str(self.itemData(i)), wanted)]
        if not found:
            self.addItem(wanted, wanted)
            found = [self.count() - 1]
        self.setCurrentIndex(found[0])
        self._mark()

    def _changed(self, *_: Any) -> None:
        self._mark()
        self.edited.emit()

    def _mark(self) -> None:
        _colour(self, "normal" if self.value() else "grey")


class BooleanEditor(QCheckBox):
    """True or false; half ticked while neither is stated, by nobody."""

    edited = pyqtSignal()

    def __init__(self, argument: ModelArgument, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._default = _truth(argument.default)
        self.setTristate(self._default is None)
        self.set_value("")
        self.clicked.connect(self._changed)

    def value(self) -> str:
        """What was chosen, "True" or "False"; empty for the default."""
        if self.checkState() == Qt.CheckState.PartiallyChecked:
            return ""
        ticked = self.checkState() == Qt.CheckState.Checked
        return "" if ticked == self._default else (TRUE if ticked else FALSE)

    def set_value(self, text: str) -> None:
        """Show a value; empty for the default."""
        value = _truth(text) if text else self._default
        states = {None: Qt.CheckState.PartiallyChecked, True: Qt.CheckState.Checked}
        self.setCheckState(states.get(value, Qt.CheckState.Unchecked))
        self._mark()

    def _changed(self, *_: Any) -> None:
        self._mark()
        self.edited.emit()

    def _mark(self) -> None:
        states = {Qt.CheckState.Checked: TRUE, Qt.CheckState.Unchecked: FALSE}
        self.setText(states.get(self.checkState(), tr("as the model says")))
        _colour(self, "normal" if self.value() else "grey")


ArgumentEditor = Union[NumberEditor, TextEditor, ChoiceEditor, BooleanEditor]

_EDITORS: dict[str, Callable[..., ArgumentEditor]] = {
    NUMBER: NumberEditor,
    TEXT: TextEditor,
    CHOICE: ChoiceEditor,
    BOOLEAN: BooleanEditor,
}


def make_editor(argument: ModelArgument, parent: Optional[QWidget] = None) -> ArgumentEditor:
    """The editor for ``argument``. It answers to the wheel only where it has the focus."""
    suits = argument.kind != BOOLEAN or not argument.default or _truth(argument.default) is not None
    # A default that the kind does not know is a text: a model may declare what it likes.
    editor = _EDITORS.get(argument.kind if suits else TEXT, TextEditor)(argument, parent)
    editor.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    editor.installEventFilter(_StillWheel(editor))
    return editor


class _StillWheel(QObject):
    """Keeps the wheel, which scrolls the dialog, from changing whatever lies under the pointer."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - the name Qt calls
        """Leave the wheel to the dialog."""
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def _placeholder(argument: ModelArgument) -> str:
    if argument.default:
        return argument.default
    return tr("required") if argument.required else tr("automatic")


def _number(text: str) -> Optional[float]:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _same_number(text: str, default: str) -> bool:
    return text == default or (_number(text) is not None and _number(text) == _number(default))


def _same_word(first: str, second: str) -> bool:
    return first.strip().lower() == second.strip().lower()


def _truth(text: str) -> Optional[bool]:
    word = text.strip().lower()
    return True if word in _TRUE_WORDS else False if word in _FALSE_WORDS else None


def _colour(widget: QWidget, kind: str) -> None:
    """Draw the text of ``widget`` in red, in the grey of placeholders, or as its parent does."""
    roles = (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText, QPalette.ColorRole.WindowText)
    palette = QPalette()
    if kind == "red":
        for role in roles:
            palette.setColor(role, Qt.GlobalColor.red)
    elif kind == "grey":
        grey = palette.color(QPalette.ColorRole.PlaceholderText)
        for role in roles:
            palette.setColor(role, grey)
    widget.setPalette(palette)
