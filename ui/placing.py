"""Where a dialog of Processing keeps its widgets, and how one more is put among them."""

from __future__ import annotations

from typing import Any, Optional

from qgis.PyQt.QtWidgets import QBoxLayout, QLayout, QWidget


def widget_of(wrapper: Any) -> QWidget:
    """The widget of a parameter's wrapper; wrappers in Python keep it under another name."""
    return getattr(wrapper, "widget", None) or wrapper.wrappedWidget()


def place_below(widget: QWidget, below: QWidget) -> None:
    """Put ``below`` into the layout that holds ``widget``, right after it."""
    parent = widget.parentWidget()
    layout = _layout_of(parent.layout() if parent else None, widget)
    if layout is None:
        raise RuntimeError(f"{widget} lies in no box")
    layout.insertWidget(layout.indexOf(widget) + 1, below)


def _layout_of(layout: Optional[QLayout], widget: QWidget) -> Optional[QBoxLayout]:
    if layout is None:
        return None
    if isinstance(layout, QBoxLayout) and layout.indexOf(widget) >= 0:
        return layout
    inner = (layout.itemAt(number).layout() for number in range(layout.count()))
    return next((found for found in (_layout_of(each, widget) for each in inner) if found), None)
