"""Tables of measures as files: CSV, GeoPackage or dBASE, by their extension."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Union

import numpy as np
import pyogrio

from .. import outputs

Columns = Mapping[str, Sequence[Any]]


@contextmanager
def _staged(final: Path, columns: Columns, overwrite: bool) -> Iterator[Path]:
    with ExitStack() as stack:
        if final.suffix.lower() == ".dbf":
            # GDAL writes the encoding of a dBASE file beside it, under the file's own stem.
            stack.enter_context(outputs.staged(final.with_suffix(".cpg"), overwrite))
        elif final.suffix.lower() == ".csv":
            # What GDAL, and so QGIS, reads the types of the columns from: else all of them are texts.
            types = stack.enter_context(outputs.staged(final.with_suffix(".csvt"), overwrite))
            types.write_text(_column_types(columns), encoding="utf-8")
        yield stack.enter_context(outputs.staged(final, overwrite))


def write_table(path: Union[str, Path], columns: Columns, overwrite: bool = False) -> None:
    """Write columns of texts, whole numbers or floats; None and NaN are empty cells.

    Args:
        path: Its extension, one of :data:`..tool.TABLE_EXTENSIONS`, says the format.
        columns: Cells by column name, all of one length.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputError: If it exists and may not be replaced, or cannot be written.
    """
    final = Path(path)
    with _staged(final, columns, overwrite) as staging:
        if final.suffix.lower() == ".csv":
            with open(staging, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows(
                    ["" if _is_empty(cell) else cell for cell in row] for row in zip(*columns.values())
                )
            return
        arrays = [_array(cells) for cells in columns.values()]
        pyogrio.raw.write(
            str(staging),
            None,
            [array for array, _ in arrays],
            _short_names(columns) if final.suffix.lower() == ".dbf" else list(columns),
            field_mask=[mask if mask.any() else None for _, mask in arrays],
            layer=final.stem if final.suffix.lower() == ".gpkg" else None,
            driver="GPKG" if final.suffix.lower() == ".gpkg" else "ESRI Shapefile",
            geometry_type=None,
            crs=None,
            encoding="UTF-8",
        )


def _column_types(columns: Columns) -> str:
    kinds = {"O": "String", "i": "Integer64", "f": "Real"}
    return ",".join(f'"{kinds[_array(cells)[0].dtype.kind]}"' for cells in columns.values()) + "\n"


def _short_names(columns: Columns) -> list[str]:
    """Column names of at most ten characters, which is what dBASE holds."""
    names: list[str] = []
    for name in columns:
        short, number = name[:10], 1
        while short in names:
            ending = f"_{number}"
            short, number = name[: 10 - len(ending)] + ending, number + 1
        names.append(short)
    return names


def _is_empty(cell: Any) -> bool:
    return cell is None or cell != cell


def _array(cells: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """The cells in one type, and which are empty."""
    empty = np.array([_is_empty(cell) for cell in cells], dtype=bool)
    known = [cell for cell in cells if not _is_empty(cell)]
    if known and all(isinstance(cell, str) for cell in known):
        return np.array([*cells, None], dtype=object)[:-1], empty
    whole = bool(known) and all(isinstance(cell, (int, np.integer)) for cell in known)
    filled = [0 if missing else cell for cell, missing in zip(cells, empty)]
    return np.array(filled, dtype=np.int64 if whole else np.float64), empty
