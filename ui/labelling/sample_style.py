"""How samples look on the map: an outline in the colour of the class, the imagery shining through."""

from __future__ import annotations

from qgis.core import QgsCategorizedSymbolRenderer, QgsFillSymbol, QgsRendererCategory
from qgis.PyQt.QtGui import QColor

from ...engine.imagerydl.labels.class_tree import ClassTree


def sample_renderer(tree: ClassTree, field: str) -> QgsCategorizedSymbolRenderer:
    """A symbol for each class of a schema.

    Args:
        tree: The schema.
        field: Field of the class value.
    """
    categories = []
    for entry in tree.colored().entries:
        color = QColor(*entry.color)
        symbol = QgsFillSymbol.createSimple(
            {
                "color": f"{color.red()},{color.green()},{color.blue()},70",
                "outline_color": color.name(),
                "outline_width": "0.5",
            }
        )
        categories.append(QgsRendererCategory(entry.value, symbol, entry.name))
    return QgsCategorizedSymbolRenderer(field, categories)
