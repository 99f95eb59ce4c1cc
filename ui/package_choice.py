"""Which of several models in a package is meant: a list below the widget that names the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QObject, QThread, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox

from ..engine.imagerydl.errors import EngineError
from ..engine.imagerydl.models.archive import open_archive
from ..engine.imagerydl.models.package import CHOICE, is_package, model_names, split_model
from ..engine.imagerydl.tool import Kind, Param, Tool
from ..processing_provider.translation import tr
from .placing import place_below, widget_of

#: Milliseconds without a further key before what was typed is looked at.
DELAY = 300


def package_params(tool: Tool) -> list[Param]:
    """The parameters of ``tool`` that take a model, and so a package with several of them."""
    return [
        param
        for param in tool.params
        if param.kind is Kind.FILE and {"emd", "dlpk"} <= set(param.extension.split())
    ]


class PackageChoice(QObject):
    """Offers the models of a package where there are several; hidden otherwise.

    What is chosen goes into the parameter's own widget, after the path of the package: scripts, history
    and batch see nothing else.

    Args:
        wrapper: Widget wrapper of the parameter.
        dialog: The dialog it belongs to; the choice lives as long as it.
    """

    def __init__(self, wrapper: Any, dialog: QObject) -> None:
        super().__init__(dialog)
        self._wrapper = wrapper
        self._context = QgsProcessingContext()
        self._listing: Optional[_Listing] = None
        self._listed = Path()
        self.list = QComboBox()
        self.list.setToolTip(tr("Several models are in this package: this one is used."))
        self.list.activated.connect(self._choose)
        self.list.hide()
        place_below(widget_of(wrapper), self.list)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self.look)
        wrapper.widgetValueHasChanged.connect(self._changed)
        self._timer.start()

    def look(self) -> None:
        """List the models of the package that the dialog names now."""
        path, _ = self._named()
        if path == self._listed:
            self._show_choice()
            return
        self._listed = path
        self._fill(())
        self._listing = listing = _Listing(path)
        # Bound to this object, so that Qt delivers it on its thread, and never after its end.
        listing.listed.connect(self._found)
        listing.begin()

    def _changed(self, *_: Any) -> None:
        self._timer.start()

    def _named(self) -> tuple[Path, str]:
        return split_model(str(self._wrapper.parameterValue() or "").strip())

    def _found(self, listing: _Listing, names: tuple[str, ...]) -> None:
        if listing is self._listing:
            self._listing = None
            self._fill(names)
            self._show_choice()

    def _fill(self, names: tuple[str, ...]) -> None:
        self.list.clear()
        if len(names) > 1:
            self.list.addItem(tr("Choose one of {number} models…").format(number=len(names)), "")
            for name in names:
                self.list.addItem(name, name)
        self.list.setVisible(len(names) > 1)

    def _show_choice(self) -> None:
        _, model = self._named()
        wanted = model.casefold()
        names = [str(self.list.itemData(row)).casefold() for row in range(self.list.count())]
        self.list.setCurrentIndex(names.index(wanted) if wanted in names else 0)

    def _choose(self, row: int) -> None:
        path, _ = self._named()
        name = str(self.list.itemData(row))
        self._wrapper.setParameterValue(f"{path}{CHOICE}{name}" if name else str(path), self._context)


class _Listing(QThread):
    """Reads the names of the models in a package, which may lie on a slow drive.

    Keeps itself until it has ended, so that whoever started it may forget it.

    Signals:
        listed: With this thread and the names; none where there is no package to be read, about which
            the description of the model, or the run, says more.
    """

    listed = pyqtSignal(object, object)

    _running: set[_Listing] = set()  # noqa: RUF012 - shared on purpose

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def begin(self) -> None:
        """Start; returns at once."""
        self._running.add(self)
        self.finished.connect(self._forget)
        self.start(QThread.Priority.LowPriority)

    def run(self) -> None:
        """The thread."""
        self.listed.emit(self, _names_in(self._path))

    def _forget(self) -> None:
        self._running.discard(self)


def _names_in(path: Path) -> tuple[str, ...]:
    try:
        if not path.is_file() or not is_package(path):
            return ()
        with open_archive(path) as members:
            return tuple(model_names(members))
    except (EngineError, OSError, ValueError):  # ValueError: a text that is no path at all
        return ()
