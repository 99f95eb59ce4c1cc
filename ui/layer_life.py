"""Layers and other things of QGIS that may go while Python still holds them."""

from __future__ import annotations

from typing import Any

from qgis.PyQt import sip


def is_alive(thing: Any) -> bool:
    """Whether ``thing`` is there, and QGIS has not deleted what it stands for."""
    return thing is not None and not sip.isdeleted(thing)
