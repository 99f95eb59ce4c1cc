"""Every hit, false detection and miss as a polygon layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import shapely

from ..imagery.layer_style import save_layer_style
from .matching import Candidates
from .object_layers import Objects

LAYER = "accuracy"

#: Result, how the legend calls it, colour of its outline.
_RESULTS = (
    ("TP", "True positive", (35, 139, 69)),
    ("FP", "False positive", (215, 48, 39)),
    ("FN", "False negative (missed)", (245, 160, 0)),
)


def write_marked(
    path: Path, found: Objects, truth: Objects, candidates: Candidates, matched: np.ndarray
) -> None:
    """Write the detections and the missed objects; a GeoPackage gets a style, too.

    Fields: Result (TP, FP, FN), Class, Confidence, IoU (of true positives, with the object found),
    Detected_ID and Truth_ID (numbers of the features in their own layers), and Image where objects of
    different images are told apart.

    Args:
        path: A vector file; its extension says the format.
        found: Detections.
        truth: True objects, in the same system.
        candidates: The pairs.
        matched: What :func:`.matching.match` gives.
    """
    hit = matched >= 0
    pairs = matched[hit]
    missed = np.ones(len(truth), dtype=bool)
    missed[candidates.truths[pairs]] = False
    misses = int(missed.sum())
    count = len(found) + misses
    iou, truths = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    places = np.flatnonzero(hit)
    iou[places], truths[places] = candidates.iou[pairs], truth.ids[candidates.truths[pairs]]
    truths[len(found) :] = truth.ids[missed]
    confidence = np.full(count, np.nan)
    if found.confidences is not None:
        confidence[: len(found)] = np.where(np.isfinite(found.confidences), found.confidences, np.nan)
    rows = np.arange(count)
    columns = {
        "Result": np.concatenate([np.where(hit, "TP", "FP"), np.full(misses, "FN")]).astype(object),
        "Class": np.concatenate([_classes(found), _classes(truth)[missed]]),
        "Confidence": confidence,
        "IoU": iou,
        "Detected_ID": np.concatenate([found.ids, np.zeros(misses, dtype=np.int64)]),
        "Truth_ID": truths,
    }
    nothing = np.zeros(count, dtype=bool)
    masks = [nothing, nothing, np.isnan(confidence), np.isnan(iou), rows >= len(found)]
    masks.append((rows < len(found)) & np.isnan(iou))
    if found.images is not None and truth.images is not None:
        columns["Image"] = np.concatenate([found.images, truth.images[missed]])
        masks.append(nothing)
    geometries = np.concatenate([found.geometries, truth.geometries[missed]])
    pyogrio.raw.write(
        path,
        shapely.to_wkb(geometries),
        list(columns.values()),
        list(columns),
        field_mask=[mask if mask.any() else None for mask in masks],
        geometry_type="MultiPolygon",
        promote_to_multi=True,
        crs=found.crs.to_wkt() if found.crs else None,
        layer=LAYER,
    )
    if path.suffix.lower() == ".gpkg":
        save_layer_style(path, LAYER, "accuracy", _style(), "Hits, false detections and misses")


def _classes(objects: Objects) -> np.ndarray:
    return np.full(len(objects), "1", dtype=object) if objects.classes is None else objects.classes


def _style() -> str:
    categories = "".join(
        f'<category value="{result}" label="{label}" symbol="{number}" render="true"/>'
        for number, (result, label, _) in enumerate(_RESULTS)
    )
    symbols = "".join(_symbol(number, color) for number, (_, _, color) in enumerate(_RESULTS))
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
        '<qgis version="3.22" styleCategories="Symbology">'
        '<renderer-v2 type="categorizedSymbol" attr="Result">'
        f"<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2></qgis>"
    )


def _symbol(number: int, color: tuple[int, int, int]) -> str:
    line = ",".join(str(part) for part in (*color, 255))
    fill = ",".join(str(part) for part in (*color, 50))
    options = {"color": fill, "outline_color": line, "outline_width": "0.5", "outline_width_unit": "MM"}
    options |= {"style": "solid", "outline_style": "solid"}
    texts = "".join(f'<Option type="QString" name="{key}" value="{options[key]}"/>' for key in options)
    return (
        f'<symbol type="fill" name="{number}" alpha="1"><layer class="SimpleFill" enabled="1" pass="0">'
        f'<Option type="Map">{texts}</Option></layer></symbol>'
    )
