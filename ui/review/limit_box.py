"""A number that may be left open: at one end of its range there is no limit."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtGui import QValidator
from qgis.PyQt.QtWidgets import QDoubleSpinBox, QWidget

from ...processing_provider.translation import tr


class LimitBox(QDoubleSpinBox):
    """A least or a largest value.

    Args:
        is_upper: Whether it limits upwards: then the upper end stands for any value, else the lower one.
    """

    def __init__(self, is_upper: bool, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._is_upper = is_upper

    def limit(self) -> Optional[float]:
        """The limit; None where there is none."""
        return None if self.value() == self._open_end() else self.value()

    def set_ends(self, low: float, high: float) -> None:
        """Offer limits for values from ``low`` to ``high``, and set none."""
        self.setDecimals(3 if high <= 1 else 1)
        self.setSingleStep(0.05 if high <= 1 else 5)
        # One step further at either end, for no limit.
        self.setRange(low - self.singleStep(), high + self.singleStep())
        self.setValue(self._open_end())

    def textFromValue(self, value: float) -> str:  # noqa: N802 - the name Qt calls
        """What is shown."""
        return tr("any") if value == self._open_end() else super().textFromValue(value)

    def valueFromText(self, text: str) -> float:  # noqa: N802 - the name Qt calls
        """What a text means; an empty one sets no limit."""
        return self._open_end() if self._is_open(text) else super().valueFromText(text)

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Numbers, and the word for no limit."""
        if self._is_open(text):
            return QValidator.State.Acceptable, text, position
        return super().validate(text, position)

    def _is_open(self, text: str) -> bool:
        return text.strip() in ("", tr("any"))

    def _open_end(self) -> float:
        return self.maximum() if self._is_upper else self.minimum()
