"""Arguments as a table: one row for each that is declared, and free rows for any other."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QPalette
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from ..engine.imagerydl.models.arguments import ModelArgument
from ..processing_provider.translation import tr
from .argument_editors import ArgumentEditor, make_editor

#: A heading and the arguments below it.
Section = tuple[str, Sequence[ModelArgument]]

_NAME, _VALUE = range(2)
#: Rows shown before the table scrolls by itself.
_MOST_ROWS = 18


class ArgumentTable(QTableWidget):
    """Shows arguments and lets them be edited; only what differs from its default counts as given.

    Signals:
        edited: A person changed something.
    """

    edited = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(0, 2, parent)
        self._sections: list[Section] = []
        self._editors: dict[str, ArgumentEditor] = {}
        self._first_free = 0
        self._is_filling = False
        self.setHorizontalHeaderLabels([tr("Name"), tr("Value")])
        self.horizontalHeader().setSectionResizeMode(_NAME, QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setSectionResizeMode(_VALUE, QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setMinimumSectionSize(150)
        self.verticalHeader().hide()
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemChanged.connect(self._cell_changed)
        self._fill({})

    def declare(self, sections: Sequence[Section]) -> None:
        """Offer other arguments. What was given stays; a name that is not among them gets a free row.

        A name that comes twice is taken from the first section, so a model's own word on ``padding``
        goes before the general one.
        """
        given = self.values()
        self._sections = list(sections)
        self._fill(given)

    def set_values(self, values: Mapping[str, str]) -> None:
        """Show what is given; everything else shows its default."""
        self._fill(values)

    def values(self) -> dict[str, str]:
        """What is given: what differs from its default, and the free rows."""
        given = {name: editor.value() for name, editor in self._editors.items()}
        for row in range(self._first_free, self.rowCount()):
            given[self._cell(row, _NAME)] = self._cell(row, _VALUE)
        return {name: value for name, value in given.items() if name and value}

    def names(self) -> list[str]:
        """Names of the declared arguments, from top to bottom."""
        return list(self._editors)

    def editor(self, name: str) -> ArgumentEditor:
        """The editor of a declared argument."""
        return self._editors[name]

    def free_rows(self) -> range:
        """Rows in which names and values are typed."""
        return range(self._first_free, self.rowCount())

    def _fill(self, values: Mapping[str, str]) -> None:
        self._is_filling = True
        try:
            self.setRowCount(0)
            self._editors = {}
            left = dict(values)
            filled = [section for section in self._sections if section[1]]
            for heading, arguments in filled:
                if len(filled) > 1:
                    self._add_heading(heading)
                for argument in arguments:
                    if not any(_same(argument.name, name) for name in self._editors):
                        self._add_declared(argument, left)
            self._first_free = self.rowCount()
            for name, value in left.items():
                self._add_free(name, value)
            self._add_free("", "")
        finally:
            self._is_filling = False
        self._fit_height()

    def _add_heading(self, text: str) -> None:
        row = self._add_row()
        item = QTableWidgetItem(text)
        item.setFlags(Qt.ItemFlag.ItemIsEnabled)
        item.setBackground(self.palette().color(QPalette.ColorRole.AlternateBase))
        font = item.font()
        font.setBold(True)
        item.setFont(font)
        self.setItem(row, _NAME, item)
        self.setSpan(row, _NAME, 1, 2)

    def _add_declared(self, argument: ModelArgument, left: dict[str, str]) -> None:
        row = self._add_row()
        item = QTableWidgetItem(argument.name)
        item.setFlags(Qt.ItemFlag.ItemIsEnabled)
        item.setToolTip(_tooltip(argument))
        self.setItem(row, _NAME, item)
        editor = make_editor(argument, self)
        editor.setToolTip(_tooltip(argument))
        for name in [name for name in left if _same(name, argument.name)]:
            editor.set_value(left.pop(name))
        editor.edited.connect(self.edited)
        self.setCellWidget(row, _VALUE, editor)
        self._editors[argument.name] = editor

    def _add_free(self, name: str, value: str) -> None:
        row = self._add_row()
        for column, text in ((_NAME, name), (_VALUE, value)):
            item = QTableWidgetItem(text)
            if name and self._sections:
                item.setToolTip(tr("Neither the tool nor the model declares this argument."))
            else:
                item.setToolTip(tr("Any other argument: type its name here and its value beside it."))
            self.setItem(row, column, item)

    def _add_row(self) -> int:
        row = self.rowCount()
        self.insertRow(row)
        return row

    def _cell(self, row: int, column: int) -> str:
        item = self.item(row, column)
        return item.text().strip() if item else ""

    def _cell_changed(self, *_: Any) -> None:
        if self._is_filling:
            return
        last = self.rowCount() - 1
        if self._cell(last, _NAME) or self._cell(last, _VALUE):
            self._is_filling = True
            self._add_free("", "")
            self._is_filling = False
            self._fit_height()
        self.edited.emit()

    def _fit_height(self) -> None:
        rows = range(min(self.rowCount(), _MOST_ROWS))
        height = self.horizontalHeader().sizeHint().height() + sum(self.rowHeight(row) for row in rows)
        self.setFixedHeight(height + 2 * self.frameWidth())


def _same(first: str, second: str) -> bool:
    """The engine does not tell names by case."""
    return first.strip().lower() == second.strip().lower()


def _tooltip(argument: ModelArgument) -> str:
    """Label, help, limits and default of an argument."""
    lines = [f"<b>{html.escape(tr(argument.label) or argument.name)}</b>"]
    if argument.help:
        lines.append(html.escape(tr(argument.help)))
    if argument.choices:
        lines.append(tr("One of: {choices}.").format(choices=html.escape(", ".join(argument.choices))))
    limits = []
    if argument.minimum is not None:
        limits.append(tr("at least {number}").format(number=f"{argument.minimum:g}"))
    if argument.maximum is not None:
        limits.append(tr("at most {number}").format(number=f"{argument.maximum:g}"))
    if limits:
        lines.append(", ".join(limits))
    if argument.default:
        lines.append(tr("Default: {default}").format(default=html.escape(argument.default)))
    return "<p>" + "<br/>".join(lines) + "</p>"
