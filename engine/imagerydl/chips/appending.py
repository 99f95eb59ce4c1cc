"""Adding chips to an earlier export: finding it, and checking that they go together."""

from __future__ import annotations

from pathlib import Path

from ..errors import OutputError
from .chip_folder import EarlierExport, read_earlier
from .folder import STATS_FILE
from .plan import FIRST, SECOND, ExportPlan
from .splitting import PARTS


def find_earlier(out_folder: str, plan: ExportPlan) -> dict[str, EarlierExport]:
    """The export in ``out_folder``, by the names of its folders; empty where there is none yet.

    Raises:
        OutputError: Where the folder holds something else, or an export of another kind.
    """
    root = Path(out_folder)
    if not root.is_dir() or not any(root.iterdir()):
        return {}
    names = [""] if plan.settings.metadata_format != "CycleGAN" else [FIRST, SECOND]
    if plan.splitter is not None:
        names = [f"{part}/{name}".rstrip("/") for part in PARTS for name in names]
    found = {name: read_earlier(root / name) for name in names if (root / name / STATS_FILE).is_file()}
    if not found:
        raise OutputError(
            f"{root} is not empty and holds no export that chips can be added to.", "Choose another folder."
        )
    for export in found.values():
        _check_alike(root, export, plan)
    return found


def _check_alike(root: Path, export: EarlierExport, plan: ExportPlan) -> None:
    settings, stats = plan.settings, export.stats
    width, height = settings.tile_size
    variable = settings.crop_to_objects
    comparisons = [
        ("metadata format", stats["MetaDataMode"], settings.metadata_format),
        ("number of bands", stats["NumBands"], plan.facts.bands),
        ("crop mode", export.definition.get("CropTileMode") == "Variable_Size", variable),
    ]
    if not variable:
        comparisons.append(
            ("tile size", f"{stats['TileSizeX']} x {stats['TileSizeY']}", f"{width} x {height}")
        )
    for what, old, new in comparisons:
        if old != new:
            raise OutputError(
                f"Chips cannot be added to {root}: its {what} is {old}, that of this export {new}.",
                "Export to another folder.",
            )
    names = {entry.value: entry.name for entry in export.classes}
    for entry in plan.facts.classes:
        if names.get(entry.value, entry.name) != entry.name:
            raise OutputError(
                f"Chips cannot be added to {root}: class {entry.value} is {names[entry.value]!r} there and "
                f"{entry.name!r} in this export.",
                "Give CLASS_SCHEMA with the same classes, or export to another folder.",
            )
    if settings.metadata_format == "YOLO" and export.classes.values != plan.facts.classes.values:
        raise OutputError(
            f"Chips cannot be added to {root}: YOLO knows classes by position, and the classes differ.",
            "Give CLASS_SCHEMA with the same classes, or export to another folder.",
        )
