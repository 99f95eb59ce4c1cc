"""What attribute cells hold, whichever way QGIS says that one is empty."""

from __future__ import annotations

import math
from typing import Any, Optional

from qgis.PyQt.QtCore import QVariant


def is_empty(cell: Any) -> bool:
    """Whether there is nothing in a cell."""
    return cell is None or (isinstance(cell, QVariant) and cell.isNull()) or cell == ""


def number(cell: Any) -> Optional[int]:
    """A whole number, also of a text; None for anything else."""
    value = decimal(cell)
    return int(value) if value is not None and value == int(value) else None


def decimal(cell: Any) -> Optional[float]:
    """A finite number, also of a text; None for anything else."""
    if is_empty(cell):
        return None
    try:
        value = float(str(cell).replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def text(cell: Any) -> str:
    """The text of a cell; "" for an empty one."""
    return "" if is_empty(cell) else str(cell).strip()
