"""Features that carry images: a path in a field, or an attachment; and the features that come out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from ..errors import DataError, ParameterError
from ..labels.source import split_layer_name
from .items import Item, named_items

#: Fields taken for the path of an image where none is named, in any letter case.
PATH_FIELDS = ("image", "raster", "path", "image_path", "imagepath", "file", "filename", "photo", "location")

#: Field that tells which images are candidates, in lower case.
CANDIDATE_FIELD = "candidate"

#: Esri's name of the table that holds a layer's attachments, and the columns we read.
_ATTACHMENTS = "__ATTACH"
_KEY_COLUMNS = ("rel_globalid", "rel_objectid", "rel_fid")

#: Name of the field that the result has more than the input.
RESULT_FIELD = "Classified"


@dataclass(frozen=True)
class ImageFeatures:
    """A layer whose features carry images.

    Attributes:
        name: What to call it in messages.
        crs: Its system as text; None where it has none.
        geometry_type: As the file says; None for a table.
        geometries: WKB of each feature, None for a table.
        fields: Columns by name.
        items: What is to be classified; several may belong to one feature.
    """

    name: str
    crs: Optional[str]
    geometry_type: Optional[str]
    geometries: Optional[np.ndarray]
    fields: Mapping[str, np.ndarray]
    items: Sequence[Item]

    def candidates(self) -> list[Item]:
        """The items of features whose field ``Candidate`` is 1 or 2, as Compute Mosaic Candidates marks them.

        Raises:
            DataError: If there is no such field, or no such feature.
        """
        field = next((name for name in self.fields if name.lower() == CANDIDATE_FIELD), None)
        if field is None:
            raise DataError(
                f"{self.name} has no field Candidate, which tells the images to process.",
                f"Add it (1 or 2 for an image to process), or use another PROCESSING_MODE; its fields are "
                f"{', '.join(self.fields) or 'none'}.",
            )
        marks = [str(cell).strip().split(".")[0] for cell in self.fields[field]]
        chosen = [item for item in self.items if marks[item.feature] in ("1", "2")]
        if not chosen:
            raise DataError(
                f"No feature of {self.name} has a {field} of 1 or 2.", "Mark the images to process."
            )
        return chosen


def read_image_features(path: str, image_field: Optional[str], folder: Path) -> ImageFeatures:
    """Read a layer and find its images.

    Args:
        path: ``file`` or ``file|layername=NAME``.
        image_field: Field with paths, absolute or relative to the layer's file; None to look for one,
            and for attachments.
        folder: Where attachments are unpacked to.

    Raises:
        DataError: If the layer cannot be read, or an image is not there.
        ParameterError: If the field does not exist.
    """
    file, layer = split_layer_name(path)
    try:
        meta, fids, geometries, columns = pyogrio.raw.read(file, layer=layer, return_fids=True)
        tables = [str(name) for name in pyogrio.list_layers(file)[:, 0]]
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise DataError(
            f"The layer of image features {path} cannot be read ({error}).", "Give a vector layer or table."
        ) from error
    name = layer or Path(file).stem
    fields = dict(zip((str(field) for field in meta["fields"]), columns))
    field = _path_field(fields, image_field, name)
    if field is not None:
        items = _items_of_paths(fields[field], Path(file).parent, name, field)
    else:
        table = next((t for t in tables if t.lower() in _attachment_tables(layer, file)), None)
        if table is None:
            raise DataError(
                f"{name} has no field with image paths and no attachments; its fields are "
                f"{', '.join(fields) or 'none'}.",
                "Set IMAGE_FIELD to the field that holds the paths of the images.",
            )
        items = _items_of_attachments(file, table, fids, fields, folder)
    if not items:
        raise DataError(f"None of the features of {name} carries an image.", "Fill the field with paths.")
    return ImageFeatures(name, meta["crs"], meta["geometry_type"], geometries, fields, items)


def write_image_features(
    features: ImageFeatures, results: Mapping[str, Path], target: Path, final: Path, layer: str
) -> None:
    """Write the features with the path of their class raster; those without one keep an empty field.

    Args:
        features: As read.
        results: Class raster by item stem.
        target: File to write.
        final: Name it will have.
        layer: Name of the layer.
    """
    count = len(next(iter(features.fields.values()))) if features.fields else len(features.geometries)
    paths: list[list[str]] = [[] for _ in range(count)]
    for item in features.items:
        if item.stem in results:
            paths[item.feature].append(os.path.relpath(results[item.stem], final.parent))
    cells = np.array([";".join(own) or None for own in paths], dtype=object)
    fields = {**{k: v for k, v in features.fields.items() if k.lower() != "fid"}, RESULT_FIELD: cells}
    pyogrio.raw.write(
        target,
        features.geometries,
        list(fields.values()),
        list(fields),
        geometry_type=features.geometry_type,
        crs=features.crs,
        layer=layer,
    )


def _path_field(fields: Mapping[str, np.ndarray], wanted: Optional[str], name: str) -> Optional[str]:
    by_lower = {field.lower(): field for field in reversed(list(fields))}
    if wanted:
        if wanted.lower() not in by_lower:
            raise ParameterError(
                f"{name} has no field {wanted!r} (IMAGE_FIELD).", f"Its fields are {', '.join(fields)}."
            )
        return by_lower[wanted.lower()]
    return next((by_lower[field] for field in PATH_FIELDS if field in by_lower), None)


def _items_of_paths(cells: np.ndarray, folder: Path, name: str, field: str) -> list[Item]:
    images, features = [], []
    for number, cell in enumerate(cells):
        if cell is None or not str(cell).strip():
            continue
        written = str(cell).strip()
        path = Path(written) if "://" in written or written.startswith("/vsi") else folder / written
        if "://" not in written and not written.startswith("/vsi") and not path.is_file():
            raise DataError(
                f"Feature {number + 1} of {name} names the image {written}, which does not exist.",
                f"Paths in {field} are absolute, or relative to the folder of the layer.",
            )
        images.append((written if "://" in written else str(path), Path(written).stem))
        features.append(number)
    return named_items(images, features)


def _attachment_tables(layer: Optional[str], file: str) -> tuple[str, ...]:
    return tuple(f"{base}{_ATTACHMENTS}".lower() for base in (layer, Path(file).stem) if base)


def _items_of_attachments(
    file: str, table: str, fids: np.ndarray, fields: Mapping[str, np.ndarray], folder: Path
) -> list[Item]:
    meta, _, _, columns = pyogrio.raw.read(file, layer=table)
    rows: dict[str, Any] = {str(f).lower(): column for f, column in zip(meta["fields"], columns)}
    key = next((column for column in _KEY_COLUMNS if column in rows), None)
    if key is None or "data" not in rows:
        raise DataError(
            f"The attachment table {table} has the columns {', '.join(rows)}.",
            f"It needs DATA and one of {', '.join(_KEY_COLUMNS).upper()}.",
        )
    globalid = next((fields[field] for field in fields if field.lower() == "globalid"), None)
    keys = fids if key != "rel_globalid" or globalid is None else globalid
    position = {str(value): number for number, value in enumerate(keys)}
    folder.mkdir(parents=True, exist_ok=True)
    images, features = [], []
    for number, (owner, data) in enumerate(zip(rows[key], rows["data"])):
        if str(owner) not in position or data is None:
            continue
        wish = str(rows["att_name"][number]) if "att_name" in rows else f"attachment_{number + 1}"
        path = folder / f"{number + 1}_{Path(wish).name}"
        path.write_bytes(bytes(data))
        images.append((str(path), Path(wish).stem))
        features.append(position[str(owner)])
    return named_items(images, features)
