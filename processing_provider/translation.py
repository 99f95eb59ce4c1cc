"""Translation of everything shown, the engine's texts included, under one fixed context."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

#: Of all texts in the translation files, declarations and messages alike.
CONTEXT = "ImageryDL"


def tr(text: str) -> str:
    """``text`` in the language of QGIS; the text itself where there is no translation."""
    return QCoreApplication.translate(CONTEXT, text) if text else text
