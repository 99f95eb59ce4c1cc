"""The samples as a list: what each is, and what can be done with those selected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, QObject, QSortFilterProxyModel, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...engine.imagerydl.labels.class_tree import ClassTree
from ...processing_provider.translation import tr
from ..buttons import theme_button
from ..layer_classes import swatch
from .samples import Sample

_CLASS, _PIXELS, _IMAGE = range(3)
_SORT_ROLE = Qt.ItemDataRole.UserRole


class SampleModel(QAbstractTableModel):
    """Samples as rows."""

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._rows: list[Sample] = []
        self._tree = ClassTree()
        self._icons: dict[Optional[int], Any] = {}
        self._names: dict[Optional[int], str] = {}
        self._has_images = False

    def show(self, rows: Sequence[Sample], tree: ClassTree, has_images: bool) -> None:
        """Show other samples."""
        self.beginResetModel()
        self._rows, self._tree, self._has_images = list(rows), tree, has_images
        self._icons = {entry.value: swatch(entry.color) for entry in tree.entries}
        self._names = {entry.value: entry.name for entry in tree.entries}
        self.endResetModel()

    def sample(self, row: int) -> Sample:
        """The sample of a row."""
        return self._rows[row]

    def rows_of(self, numbers: Sequence[int]) -> list[int]:
        """The rows of some samples."""
        wanted = set(numbers)
        return [row for row, sample in enumerate(self._rows) if sample.number in wanted]

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008 - as Qt calls it
        """Number of samples."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008 - as Qt calls it
        """Class, pixels, and the image where there are several."""
        return 3 if self._has_images else 2

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:  # noqa: N802 - as Qt calls it
        """Titles of the columns; rows are counted."""
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if orientation == Qt.Orientation.Vertical:
            return str(section + 1)
        return (tr("Sample"), tr("Pixels"), tr("Image"))[section]

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """A cell."""
        sample = self._rows[index.row()]
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(sample, column)
        if role == _SORT_ROLE:
            return (sample.pixels or 0) if column == _PIXELS else self._text(sample, column)
        if role == Qt.ItemDataRole.DecorationRole and column == _CLASS:
            return self._icons.get(sample.value)
        if role == Qt.ItemDataRole.TextAlignmentRole and column == _PIXELS:
            # As a number: PyQt passes no flags on from here.
            return 0x0002 | 0x0080
        return None

    def _text(self, sample: Sample, column: int) -> str:
        if column == _PIXELS:
            return "" if sample.pixels is None else str(sample.pixels)
        if column == _IMAGE:
            return sample.image
        return self._names.get(sample.value) or tr("no class")


class SampleList(QWidget):
    """The list with its buttons.

    Signals:
        selected: Other samples were selected; their ids.
        wanted: A button was pressed; one of the words below, for the samples selected.
    """

    ZOOM, REDRAW, VERTICES, MERGE, ASSIGN, DELETE = "zoom", "redraw", "vertices", "merge", "assign", "delete"

    selected = pyqtSignal(list)
    wanted = pyqtSignal(str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._all: Sequence[Sample] = ()
        self._tree, self._has_images = ClassTree(), False
        self._value: Optional[int] = None
        self._is_showing = False
        self.model = SampleModel(self)
        proxy = QSortFilterProxyModel(self)
        proxy.setSourceModel(self.model)
        proxy.setSortRole(_SORT_ROLE)
        self.view = QTableView()
        self.view.setModel(proxy)
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.verticalHeader().setDefaultSectionSize(20)
        self.view.verticalHeader().hide()
        self.view.horizontalHeader().setSectionResizeMode(_CLASS, QHeaderView.ResizeMode.Stretch)
        self.view.selectionModel().selectionChanged.connect(self._selection_changed)
        self.view.doubleClicked.connect(lambda *_: self.wanted.emit(self.ZOOM))
        self.only_chosen = QCheckBox(tr("Chosen class only"))
        self.only_chosen.toggled.connect(lambda *_: self._show())

        self._buttons: dict[str, QToolButton] = {}
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.only_chosen)
        row.addStretch(1)
        for word, icon, tip in (
            (self.ZOOM, "mActionZoomToSelected", tr("Zoom to the samples selected (double click)")),
            (self.ASSIGN, "mActionMultiEdit", tr("Give the samples selected the class chosen above")),
            (self.REDRAW, "mActionReshape", tr("Draw the sample selected anew, with the tool chosen")),
            (self.VERTICES, "mActionVertexTool", tr("Move the corners of the samples")),
            (self.MERGE, "mActionMergeFeatures", tr("Make one sample of those selected")),
            (self.DELETE, "mActionDeleteSelected", tr("Delete the samples selected")),
        ):
            button = theme_button(icon, tip)
            button.clicked.connect(lambda _=False, word=word: self.wanted.emit(word))
            row.addWidget(button)
            self._buttons[word] = button
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.view)
        self._enable()

    def show_samples(self, samples: Sequence[Sample], tree: ClassTree, has_images: bool) -> None:
        """Show other samples; those selected stay selected."""
        self._all, self._tree, self._has_images = samples, tree, has_images
        self._show()

    def set_class(self, value: Optional[int]) -> None:
        """Which class is chosen above."""
        self._value = value
        if self.only_chosen.isChecked():
            self._show()

    def selection(self) -> list[int]:
        """Ids of the samples selected, from top to bottom."""
        rows = self.view.selectionModel().selectedRows()
        proxy = self.view.model()
        return [self.model.sample(proxy.mapToSource(index).row()).number for index in rows]

    def select(self, numbers: Sequence[int]) -> None:
        """Select samples, as on the map; nobody is told."""
        if sorted(numbers) == sorted(self.selection()):
            return
        self._is_showing = True
        try:
            model = self.view.selectionModel()
            model.clearSelection()
            proxy = self.view.model()
            for row in self.model.rows_of(numbers):
                index = proxy.mapFromSource(self.model.index(row, 0))
                model.select(index, model.SelectionFlag.Select | model.SelectionFlag.Rows)
        finally:
            self._is_showing = False
        self._enable()

    def _show(self) -> None:
        chosen = self.selection()
        shown = self._all
        if self.only_chosen.isChecked():
            shown = [sample for sample in self._all if sample.value == self._value]
        self._is_showing = True
        try:
            self.model.show(shown, self._tree, self._has_images)
        finally:
            self._is_showing = False
        self.select(chosen)
        self._enable()

    def _selection_changed(self, *_: Any) -> None:
        if not self._is_showing:
            self._enable()
            self.selected.emit(self.selection())

    def _enable(self) -> None:
        count = len(self.view.selectionModel().selectedRows())
        for word, button in self._buttons.items():
            enough = {self.MERGE: count > 1, self.REDRAW: count == 1, self.VERTICES: bool(self._all)}
            button.setEnabled(enough.get(word, count > 0))
