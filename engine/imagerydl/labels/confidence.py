"""The confidence of detections, from a field of numbers or of texts that hold numbers."""

from __future__ import annotations

import numpy as np

from ..errors import DataError

#: Fields taken for the confidence where none is named, in any letter case.
DEFAULT_FIELDS = ("confidence", "conf", "score", "probability")


def confidences(cells: np.ndarray, field: str, layer: str) -> np.ndarray:
    """The cells ``[n]`` as float64; NaN where there is none.

    Raises:
        DataError: Where cells hold something else than numbers; it shows one.
    """
    if cells.dtype.kind in "biuf":
        return cells.astype(np.float64)
    numbers = np.full(len(cells), np.nan)
    if cells.dtype.kind not in "OU":
        raise DataError(
            f"Field {field!r} of {layer} holds dates or times.", "Name the field with the confidence."
        )
    for place, cell in enumerate(cells.tolist()):
        text = "" if cell is None else str(cell).strip()
        if not text:
            continue
        try:
            numbers[place] = float(text.replace(",", "."))
        except ValueError:
            raise DataError(
                f"Field {field!r} of {layer} holds {text!r}, which is no number.",
                "Name the field with the confidence.",
            ) from None
    return numbers
