"""What the user interface adds to the dialogs of tools: registered by the plugin, known by nobody here.

Arrows point from ``ui/`` to this package, so the dialog cannot ask for what lies there; it is told.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..engine.imagerydl.tool import Tool


class Companion(Protocol):
    """Something that comes with the dialogs of some tools."""

    def applies(self, tool: Tool) -> bool:
        """Whether the dialog of ``tool`` has it."""

    def attach(self, dialog: Any) -> None:
        """Add it to a :class:`~.dialog.ToolDialog` whose widgets are made; it lives as long as those."""


_REGISTERED: list[Companion] = []


def register(companion: Companion) -> None:
    """Let every dialog opened from now on have ``companion``."""
    if companion not in _REGISTERED:
        _REGISTERED.append(companion)


def unregister(companion: Companion) -> None:
    """The opposite of :func:`register`; nothing where it was not registered."""
    if companion in _REGISTERED:
        _REGISTERED.remove(companion)


def companions_of(tool: Tool) -> list[Companion]:
    """What the dialog of ``tool`` comes with."""
    return [companion for companion in _REGISTERED if companion.applies(tool)]
