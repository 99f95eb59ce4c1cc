"""The class schema: its classes as a tree, with how much of each there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Optional

from qgis.core import QgsMapLayer
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...engine.imagerydl.errors import EngineError, ParameterError
from ...engine.imagerydl.labels.class_tree import (
    EXTENSION,
    ClassNode,
    ClassTree,
    read_class_tree,
    tree_of,
    write_class_tree,
)
from ...engine.imagerydl.labels.classes import ClassEntry, distinct_color
from ...processing_provider.translation import tr
from ..buttons import do, theme_button
from ..layer_classes import classes_of_layer, swatch
from .class_dialog import ClassDialog
from .schema_button import SchemaButton

_CLASS, _KEY, _VALUE, _SAMPLES, _SHARE = range(5)
_VALUE_ROLE = Qt.ItemDataRole.UserRole
#: Classes that a digit chooses.
_DIGITS = 9


class ClassPanel(QWidget):
    """Shows a schema and lets it be changed.

    Signals:
        chosen: Another class was chosen; its entry, or None.
        edited: The schema changed; the new tree.
        renamed: A class got another value, name or colour: its old value and the new entry.
        failed: Something could not be done, and why.
    """

    chosen = pyqtSignal(object)
    edited = pyqtSignal(object)
    renamed = pyqtSignal(int, object)
    failed = pyqtSignal(str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._tree = ClassTree()
        self._samples: Mapping[int, tuple[int, int]] = {}
        self._items: dict[int, QTreeWidgetItem] = {}
        #: Asked before the schema is replaced; gives the reason why not, or "".
        self.objection: Callable[[ClassTree], str] = lambda tree: ""

        self.title = QLabel()
        self.view = QTreeWidget()
        self.view.setColumnCount(5)
        self.view.setHeaderLabels([tr("Class"), tr("Key"), tr("Value"), tr("Samples"), tr("Pixels")])
        self.view.setRootIsDecorated(True)
        self.view.setUniformRowHeights(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header = self.view.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(_CLASS, QHeaderView.ResizeMode.Stretch)
        for column in (_KEY, _VALUE, _SAMPLES, _SHARE):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.view.currentItemChanged.connect(lambda *_: self.chosen.emit(self.current()))
        self.view.itemDoubleClicked.connect(lambda *_: self.edit())

        buttons = QHBoxLayout()
        buttons.setSpacing(2)
        self.schema_button = SchemaButton()
        self.schema_button.anew.connect(self.start_anew)
        self.schema_button.path_chosen.connect(self.load)
        self.schema_button.layer_chosen.connect(self.load_layer)
        self.schema_button.save_wanted.connect(self.save)
        buttons.addWidget(self.schema_button)
        buttons.addWidget(self.title, 1)
        self.add_button = self._button("symbologyAdd", tr("Add a class"), self.add)
        self.part_button = self._button(
            "mActionNewTableRow", tr("Add a class inside the chosen one"), self.add_part
        )
        self.edit_button = self._button("symbologyEdit", tr("Change name, value or colour"), self.edit)
        self.remove_button = self._button("symbologyRemove", tr("Remove the class"), self.remove)
        for button in (self.add_button, self.part_button, self.edit_button, self.remove_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.view)
        self._fill()

    # The schema

    @property
    def tree(self) -> ClassTree:
        """The schema shown."""
        return self._tree

    def set_tree(self, tree: ClassTree) -> None:
        """Show another schema; the class chosen stays chosen where it is in both."""
        before = self.current()
        self._tree = tree.colored()
        self._fill()
        wanted = before.value if before else None
        if wanted not in self._items:
            wanted = next(iter(self._items), None)
        self.choose(wanted)

    def set_amounts(self, samples: Mapping[int, tuple[int, int]]) -> None:
        """Show how many samples there are of each class value, and how many pixels they cover."""
        self._samples = samples
        whole = sum(pixels for _, pixels in samples.values())
        for value, item in self._items.items():
            count, pixels = samples.get(value, (0, 0))
            item.setText(_SAMPLES, str(count) if count else "")
            item.setText(_SHARE, f"{100 * pixels / whole:.1f} %" if whole and pixels else "")

    # The class chosen

    def current(self) -> Optional[ClassEntry]:
        """The class chosen; None for none, or a group that is no class."""
        item = self.view.currentItem()
        value = item.data(_CLASS, _VALUE_ROLE) if item is not None else None
        return None if value is None else self._tree.entry(value)

    def choose(self, value: Optional[int]) -> None:
        """Choose a class by its value."""
        if value in self._items:
            self.view.setCurrentItem(self._items[value])

    def choose_digit(self, digit: int) -> None:
        """Choose a class by its place from the top, 1 to 9."""
        values = list(self._items)
        if digit <= len(values):
            self.choose(values[digit - 1])

    # Where schemas come from and go to

    def start_anew(self) -> None:
        """Begin an empty schema."""
        self._replace(lambda: ClassTree(tr("New schema")))

    def load(self, path: str) -> None:
        """Take the classes of a file or folder; see :func:`read_class_tree`."""
        self._replace(lambda: read_class_tree(path))

    def load_layer(self, layer: QgsMapLayer) -> None:
        """Take the classes that a layer shows."""
        self._replace(lambda: _tree_of_layer(layer))

    def save(self, path: str) -> None:
        """Write the schema to a file."""
        if not Path(path).suffix:
            path += "." + EXTENSION
        try:
            write_class_tree(self._tree, path)
        except EngineError as error:
            self.failed.emit(str(error))

    # Single classes

    def add(self) -> None:
        """Ask for a further class."""
        self._ask_for_new(None)

    def add_part(self) -> None:
        """Ask for a class inside the chosen one."""
        entry = self.current()
        if entry is not None:
            self._ask_for_new(entry.value)

    def edit(self) -> None:
        """Ask for the chosen class's new name, value and colour."""
        entry = self.current()
        if entry is None:
            return
        dialog = ClassDialog(entry, tr("Change a class"), self)
        dialog.entered.connect(lambda changed: self.change(entry.value, changed))
        self._open(dialog)

    def change(self, value: int, entry: ClassEntry) -> None:
        """Give a class another value, name or colour."""
        if self._tree.entry(value) == entry:
            return
        if self._edit(lambda: self._tree.changed(value, entry)):
            self.choose(entry.value)
            self.renamed.emit(value, entry)

    def remove(self) -> None:
        """Remove the chosen class, which must have no samples."""
        entry = self.current()
        if entry is None:
            return
        count, _ = self._samples.get(entry.value, (0, 0))
        if count:
            self.failed.emit(
                tr("{name} has {count} samples. Delete them, or give them another class first.").format(
                    name=entry.name, count=count
                )
            )
            return
        self._edit(lambda: self._tree.removed(entry.value))

    def insert(self, entry: ClassEntry, parent: Optional[int] = None) -> None:
        """Add a class, inside the class ``parent`` or outermost."""
        if self._edit(lambda: self._tree.added(entry, parent)):
            self.choose(entry.value)

    def _ask_for_new(self, parent: Optional[int]) -> None:
        value = self._tree.free_value()
        dialog = ClassDialog(ClassEntry(value, "", distinct_color(value)), tr("New class"), self)
        dialog.entered.connect(lambda entry: self.insert(entry, parent))
        self._open(dialog)

    def _open(self, dialog: ClassDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _replace(self, make: Callable[[], ClassTree]) -> None:
        def unopposed() -> ClassTree:
            tree = make()
            objection = self.objection(tree)
            if objection:
                raise ParameterError(objection)
            return tree

        self._edit(unopposed)

    def _edit(self, change: Callable[[], ClassTree]) -> bool:
        try:
            tree = change()
        except EngineError as error:
            self.failed.emit(str(error))
            return False
        self.set_tree(tree)
        self.edited.emit(self._tree)
        return True

    # What is shown

    def _fill(self) -> None:
        self.view.blockSignals(True)
        self.view.clear()
        self._items = {}
        parents: list[QTreeWidgetItem] = []
        for node, depth in self._tree.walk():
            item = self._item(node)
            del parents[depth:]
            if parents:
                parents[-1].addChild(item)
            else:
                self.view.addTopLevelItem(item)
            parents.append(item)
        self.view.expandAll()
        self.view.blockSignals(False)
        self.schema_button.suggested = self._tree.name
        self.title.setText(self._tree.name)
        self.title.setToolTip(self._tree.name)
        self.set_amounts(self._samples)
        self.chosen.emit(self.current())

    def _item(self, node: ClassNode) -> QTreeWidgetItem:
        item = QTreeWidgetItem([node.name, "", "" if node.value is None else str(node.value), "", ""])
        for column in (_KEY, _VALUE, _SAMPLES, _SHARE):
            item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if node.value is None:
            return item
        item.setData(_CLASS, _VALUE_ROLE, node.value)
        item.setIcon(_CLASS, swatch(node.color))
        self._items[node.value] = item
        if len(self._items) <= _DIGITS:
            item.setText(_KEY, str(len(self._items)))
        return item

    def _button(self, icon: str, tip: str, deed: Callable[[], None]) -> QToolButton:
        button = theme_button(icon, tip)
        button.clicked.connect(partial(do, deed))
        return button


def _tree_of_layer(layer: QgsMapLayer) -> ClassTree:
    entries = classes_of_layer(layer)
    if not entries:
        raise ParameterError(
            tr("{layer} shows no classes.").format(layer=layer.name()),
            tr("Colour it by a field of classes, or choose another layer."),
        )
    return tree_of(entries, layer.name())
