"""Vector layers written in parts: memory holds a part, and the file appears with all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Optional

import numpy as np
import pyogrio
import shapely

from ..errors import OutputError
from ..outputs import explained

#: Features of a part.
PART = 20_000

GEOPACKAGE = ".gpkg"


class VectorParts:
    """A layer that features are added to; a context manager.

    Parts go into a GeoPackage, the format that grows without being written anew. Another one is made of it at
    the end.

    Args:
        path: File to write; its extension says the format.
        layer: Name of the layer, where the format has names.
        fields: An empty array of the right type for each field.
        geometry_type: "Polygon", "Point"...; None for a table without geometries.
        crs: Its system as WKT; None where it has none.

    Attributes:
        count: Features written.
    """

    def __init__(
        self,
        path: Path,
        layer: str,
        fields: Mapping[str, np.ndarray],
        geometry_type: Optional[str] = "Polygon",
        crs: Optional[str] = None,
    ) -> None:
        self._final, self._layer = path, layer
        self._geometry_type, self._crs = geometry_type, crs
        self._empty = dict(fields)
        self._folder: Optional[tempfile.TemporaryDirectory] = None
        self._path = path
        if path.suffix.lower() != GEOPACKAGE:
            self._folder = tempfile.TemporaryDirectory(prefix="imagerydl-", dir=path.parent)
            self._path = Path(self._folder.name) / f"parts{GEOPACKAGE}"
        self._waiting: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
        self._held = 0
        self._exists = False
        self.count = 0

    def __enter__(self) -> VectorParts:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._convert()
        finally:
            if self._folder is not None:
                self._folder.cleanup()

    def add(self, geometries: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
        """Add features.

        Args:
            geometries: ``[n]``, None where a feature has none; for a table only their number counts.
            columns: ``[n]`` by field, for every field; None in columns of texts for no value.

        Raises:
            OutputError: If they cannot be written.
        """
        self._waiting.append((geometries, dict(columns)))
        self._held += len(geometries)
        if self._held >= PART:
            self._flush()

    def _flush(self) -> None:
        if self._exists and not self._held:
            return
        geometries = np.concatenate([np.empty(0, dtype=object), *(part for part, _ in self._waiting)])
        columns = {
            name: np.concatenate([empty, *(part[name] for _, part in self._waiting)])
            for name, empty in self._empty.items()
        }
        self._waiting, self._held = [], 0
        with explained(self._final):
            try:
                pyogrio.raw.write(
                    self._path,
                    shapely.to_wkb(geometries) if self._geometry_type else None,
                    list(columns.values()),
                    list(columns),
                    geometry_type=self._geometry_type,
                    promote_to_multi=(self._geometry_type or "").startswith("Multi"),
                    crs=self._crs,
                    layer=self._layer,
                    append=self._exists,
                )
            except RuntimeError as error:  # what pyogrio's errors have in common
                raise self._cannot(error) from error
        self._exists = True
        self.count += len(geometries)

    def _convert(self) -> None:
        if self._folder is None:
            return
        driver = pyogrio.detect_write_driver(str(self._final))
        with explained(self._final):
            try:
                with pyogrio.raw.open_arrow(self._path, use_pyarrow=False) as (meta, stream):
                    pyogrio.write_arrow(
                        stream,
                        self._final,
                        driver=driver,
                        layer=self._layer,
                        geometry_name=meta["geometry_name"] or "wkb_geometry",
                        geometry_type=self._geometry_type,
                        crs=self._crs,
                    )
            except RuntimeError as error:
                raise self._cannot(error) from error

    def _cannot(self, error: Exception) -> OutputError:
        return OutputError(
            f"{self._final} cannot be written ({error}).",
            "Choose a folder you may write to, with room on its disk.",
        )
