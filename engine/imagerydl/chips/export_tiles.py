"""``Export_Tiles`` and ``CycleGAN``: image chips alone. Labels only choose which chips are written."""

from __future__ import annotations

from ..imagery.grid import Grid
from .metadata_format import Finding, LabelView, MetadataFormat, Written


class ExportTiles(MetadataFormat):
    """No label files, no classes."""

    def find(self, view: LabelView) -> Finding:
        """Without labels every chip is wanted."""
        return Finding(
            is_empty=view.labels is not None and not view.labels.has_features(view.grid, view.window)
        )

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Nothing stands beside the image."""
        return Written([image])


FORMAT = ExportTiles
