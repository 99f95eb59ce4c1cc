"""An Export Training Data job from its values to the published folder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .. import outputs
from ..events import Reporter
from ..labels.classes import ClassSchema
from ..parallel import worker_count
from .appending import find_earlier
from .checks import make_plan
from .exporting import Exporter
from .folder import ensure_replaceable
from .plan import ExportSettings
from .preview import write_preview
from .split_shares import split_shares
from .splitting import Split

if TYPE_CHECKING:
    from ..jobs import Job

#: Parameters that name what an export reads.
_INPUTS = (
    "IN_RASTER", "IN_FOLDER", "IN_RASTER2", "IN_FOLDER2", "IN_CLASS_DATA", "IN_CLASS_FOLDER",
    "IN_INSTANCE_DATA", "IN_MASK_POLYGONS",
)  # fmt: skip


def run_export(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run a job of the tool Export Training Data; returns its outputs and results."""
    values = job.values
    out_folder, footprints = values["OUT_FOLDER"], values["OUT_FOOTPRINTS"]
    if not values["APPEND"]:
        ensure_replaceable(out_folder, values["OVERWRITE"], _inputs(values))
    if values["START_INDEX"]:
        reporter.message("START_INDEX is ignored: chips are numbered from 0 over all tiles.")
    plan = make_plan(_settings(values), reporter)
    earlier = find_earlier(out_folder, plan) if values["APPEND"] else {}
    with ExitStack() as stack:
        root = stack.enter_context(outputs.resumable(out_folder, values["OVERWRITE"], add=values["APPEND"]))
        layer = stack.enter_context(outputs.staged(footprints, values["OVERWRITE"])) if footprints else None
        exporter = Exporter(plan, root, reporter, worker_count(values["PARALLEL_PROCESSING_FACTOR"]), earlier)
        result = exporter.run(plan.fingerprint(), layer)
        if values["PREVIEW"]:
            shown = "train" if plan.settings.split else ""
            try:
                write_preview(root / shown, root / "preview.png")
            except Exception as error:  # noqa: BLE001 - hours of chips must not be lost for a picture of some
                reporter.warning(f"There is no preview sheet: {error}")
    for name, count in result.chips_by_folder.items():
        if name:
            reporter.message(f"{name}: {count} chips.")
    return {
        "OUT_FOLDER": out_folder,
        "OUT_FOOTPRINTS": footprints,
        "NUM_CHIPS": result.chip_count,
        "NUM_CLASSES": len(result.classes),
    }


def _inputs(values: Mapping[str, Any]) -> list[str]:
    given = [values[key] for key in _INPUTS if values[key]]
    return [path for value in given for path in (value if isinstance(value, list) else [value])]


def _settings(values: Mapping[str, Any]) -> ExportSettings:
    split = None
    if values["SPLIT"] != "NONE":
        block = values["SPLIT_BLOCK_SIZE"] * max(values["TILE_SIZE_X"], values["TILE_SIZE_Y"])
        shares = split_shares(values["SPLIT_PERCENTAGES"])
        split = Split(values["SPLIT"] == "BY_IMAGE", shares, block, values["SEED"])
    return ExportSettings(
        rasters=tuple(values["IN_RASTER"]),
        folder=values["IN_FOLDER"],
        rasters2=tuple(values["IN_RASTER2"]),
        folder2=values["IN_FOLDER2"],
        separately=values["PROCESSING_MODE"] == "PROCESS_ITEMS_SEPARATELY",
        class_data=values["IN_CLASS_DATA"],
        class_folder=values["IN_CLASS_FOLDER"],
        class_field=values["CLASS_VALUE_FIELD"],
        instance_data=values["IN_INSTANCE_DATA"],
        instance_field=values["INSTANCE_CLASS_VALUE_FIELD"],
        buffer_radius=values["BUFFER_RADIUS"] or None,
        schema=ClassSchema.parse(values["CLASS_SCHEMA"]) if values["CLASS_SCHEMA"] else None,
        metadata_format=values["METADATA_FORMAT"],
        image_format=values["IMAGE_CHIP_FORMAT"],
        creation_options=tuple(sorted(values["CREATION_OPTIONS"].items())),
        tile_size=(values["TILE_SIZE_X"], values["TILE_SIZE_Y"]),
        stride=(values["STRIDE_X"], values["STRIDE_Y"]),
        rotation=values["ROTATION_ANGLE"] % 360,
        pixel_space=values["REFERENCE_SYSTEM"] == "PIXEL_SPACE",
        all_tiles=values["OUTPUT_NOFEATURE_TILES"],
        min_share=values["MIN_POLYGON_OVERLAP_RATIO"],
        crop_to_objects=values["CROP_MODE"] == "BOUNDING_BOX",
        blacken=values["BLACKEN_AROUND_FEATURE"],
        mask=values["IN_MASK_POLYGONS"],
        refuse_unknown_colors=values["UNKNOWN_COLORS"] == "ERROR",
        extent=values["EXTENT"],
        cell_size=values["CELL_SIZE"],
        split=split,
    )
