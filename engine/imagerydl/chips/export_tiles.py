"""``Export_Tiles``: image chips alone. Labels, where given, only choose which chips are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from rasterio.windows import Window

from ..imagery.grid import Grid
from ..labels.classes import ClassEntry
from ..labels.source import LabelSource
from .encoding import ImageFormat
from .metadata_format import Finding, MetadataFormat
from .statistics import Running


class ExportTiles(MetadataFormat):
    """No label files, no classes."""

    keyword = "Export_Tiles"
    needs_labels = False
    output_features = True

    def __init__(self, root: Path, images: ImageFormat, label_max: int = 0) -> None:
        super().__init__(root, images, label_max)
        self._count = 0

    def find(self, labels: Optional[LabelSource], grid: Grid, window: Window) -> Finding:
        """Without labels every chip is wanted."""
        return Finding(is_empty=labels is not None and not labels.has_features(grid, window))

    def write(self, chip_id: str, finding: Finding, grid: Grid) -> list[str]:
        """Nothing stands beside the image."""
        self._count += 1
        return []

    @property
    def class_values(self) -> Sequence[int]:
        """None: the chips carry no classes."""
        return ()

    def statistics(self, classes: Sequence[int]) -> dict[str, Any]:
        """Esri's feature statistics with nothing to count."""
        return {
            "FeatureStats": {
                "NumClasses": len(classes),
                "NumImagesTotal": self._count,
                "NumFeaturesTotal": 0,
                "NumImagesPerClass": [0] * len(classes),
                "NumFeaturesPerClass": [0] * len(classes),
                "NumFeaturesPerImage": Running().as_json(),
                "FeatureAreaPerClass": [Running().as_json() for _ in classes],
            }
        }

    def summary(self, classes: Sequence[ClassEntry]) -> list[str]:
        """No classes to tell of."""
        return ["", "Class feature statistics:", "features = 0", "classes = 0"]


FORMAT = ExportTiles
