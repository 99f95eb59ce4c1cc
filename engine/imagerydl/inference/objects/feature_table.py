"""The features that are to be classified, with all they carry, and the layer they come out in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS

from ...errors import DataError, OutputError
from ...labels.geometry import LayerFile, usable_geometries
from ...labels.source import split_layer_name
from ...labels.whole_features import as_stored
from ...outputs import explained

LAYER = "objects"


class FeatureTable:
    """A layer of points, lines or polygons.

    Args:
        path: ``file`` or ``file|layername=NAME``.

    Attributes:
        name: What to call it in messages.
        crs: None where it does not say.
        geometries: Valid geometries ``[n]``; None where a feature has none.
        fields: Names of its fields.
        columns: Cells of each field ``[n]``.
        fids: Numbers of the features ``[n]``.

    Raises:
        DataError: If it cannot be read or has no feature with a geometry.
    """

    def __init__(self, path: str) -> None:
        info = LayerFile(path, "layer of objects")
        self.name, self.crs = info.name, info.crs
        file, layer = split_layer_name(path)
        try:
            meta, self.fids, wkb, self.columns = pyogrio.raw.read(file, layer=layer, return_fids=True)
        except (DataSourceError, DataLayerError, ValueError) as error:
            raise DataError(f"{self.name} cannot be read ({error}).", "Give a vector layer.") from error
        self.fields = [str(name) for name in meta["fields"]]
        self._kinds = [str(kind) for kind in meta["dtypes"]]
        shapes, usable, self.repaired = usable_geometries(wkb)
        self.geometries = np.full(len(wkb), None, dtype=object)
        self.geometries[usable] = shapes
        if not usable.any():
            raise DataError(
                f"{self.name} has no feature with a geometry.", "Draw objects, or choose another layer."
            )

    def __len__(self) -> int:
        return len(self.geometries)

    def stored(self, without: str) -> tuple[dict[str, np.ndarray], list[Optional[np.ndarray]]]:
        """Its columns as they are to be written, and their null cells, without the field ``without``."""
        cells: dict[str, np.ndarray] = {}
        masks: list[Optional[np.ndarray]] = []
        for name, kind, column in zip(self.fields, self._kinds, self.columns):
            if name.lower() in (without.lower(), "fid"):
                continue
            cells[name], mask = as_stored(column, kind)
            masks.append(mask if mask.any() else None)
        return cells, masks


def write_features(
    path: Path,
    geometries: Optional[np.ndarray],
    columns: Mapping[str, np.ndarray],
    masks: list[Optional[np.ndarray]],
    crs: Optional[CRS],
) -> None:
    """Write polygons, or a table.

    Args:
        path: A file whose extension says the format.
        geometries: Polygons ``[n]``, None where there is none; None for a table.
        columns: Cells ``[n]`` by field.
        masks: Null cells of each field; None for none.
        crs: System of the polygons.

    Raises:
        OutputError: If it cannot be written.
    """
    keys: dict[str, Any] = {"geometry_type": None}
    wkb = None
    if geometries is not None:
        wkb = shapely.to_wkb(geometries)
        keys = {
            "geometry_type": "MultiPolygon",
            "promote_to_multi": True,
            "crs": crs.to_wkt() if crs else None,
        }
    elif path.suffix.lower() != ".gpkg":
        # These formats have no tables: features without a geometry are the same.
        wkb, keys = (
            np.full(len(masks and next(iter(columns.values()))), None, object),
            {"geometry_type": "Unknown"},
        )
    with explained(path):
        try:
            pyogrio.raw.write(
                path, wkb, list(columns.values()), list(columns), field_mask=masks, layer=LAYER, **keys
            )
        except RuntimeError as error:  # what pyogrio's errors have in common
            raise OutputError(
                f"{path} cannot be written ({error}).",
                "Choose a folder you may write to, with room on its disk.",
            ) from error
