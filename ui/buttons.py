"""Buttons of the docks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtWidgets import QToolButton


def theme_button(icon: str, tip: str) -> QToolButton:
    """A flat button with one of QGIS's own icons.

    Args:
        icon: Name of the icon, without extension.
        tip: What it does.
    """
    button = QToolButton()
    button.setIcon(QgsApplication.getThemeIcon(f"/{icon}.svg"))
    button.setToolTip(tip)
    button.setAutoRaise(True)
    return button


def do(deed: Callable[[], Any], *_: Any) -> None:
    """Do what a button says, without what Qt tells beside it: for ``clicked.connect(partial(do, deed))``."""
    deed()
