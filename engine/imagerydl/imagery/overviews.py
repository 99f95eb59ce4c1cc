"""Cloud-optimised GeoTIFFs."""

from __future__ import annotations

from pathlib import Path

import rasterio.shutil


def write_cloud_optimized(source: Path, target: Path, resampling: str = "nearest") -> None:
    """Copy ``source`` as a cloud-optimised GeoTIFF."""
    rasterio.shutil.copy(
        str(source),
        str(target),
        driver="COG",
        compress="DEFLATE",
        overview_resampling=resampling,
        blocksize=256,
        bigtiff="IF_SAFER",
        num_threads="ALL_CPUS",
        predictor="YES",
    )
