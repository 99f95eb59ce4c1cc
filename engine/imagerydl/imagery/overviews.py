"""Finished GeoTIFFs as cloud optimised ones (COG): overviews inside, statistics in the metadata."""

from __future__ import annotations

import shutil
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError

from ..errors import OutputError, ParameterError
from ..outputs import explained
from .environment import configure_gdal

#: Ways to shrink: the first two keep class values as they are, the others make new numbers.
RESAMPLINGS = ("nearest", "mode", "average", "bilinear", "cubic")

#: What stands beside a class raster: names and attribute table, by what is added to its name.
SIDE_FILES = (".aux.xml", ".vat.dbf", ".vat.cpg")

#: Side of the squares a file is stored in.
BLOCK_SIZE = 512

#: GDAL gathers overviews in a file of its own, which it throws away. Its defaults are for files to keep:
#: small blocks, each of which costs more to begin than to fill, compressed hard.
_PASSING_FILE = {"GDAL_TIFF_OVR_BLOCKSIZE": BLOCK_SIZE, "ZSTD_LEVEL_OVERVIEW": 1}


def write_cloud_optimized(source: Path, target: Path, resampling: str = "nearest") -> None:
    """Copy a raster to a COG: the same pixels, palette and band descriptions, with overviews.

    GDAL's own driver lays the file out. It writes statistics (``STATISTICS_MINIMUM`` and so on)
    into the file; names and attribute table beside ``source`` are copied beside ``target``.

    Args:
        source: A complete raster.
        target: File to create, from :func:`imagerydl.outputs.staged`.
        resampling: One of :data:`RESAMPLINGS`; ``nearest`` or ``mode`` for classes.

    Raises:
        ParameterError: If the resampling is unknown, or would blend colours of a palette.
        OutputError: If ``target`` cannot be written.
    """
    if resampling not in RESAMPLINGS:
        raise ParameterError(
            f"Overviews cannot be made by {resampling!r}.", f"Choose one of {', '.join(RESAMPLINGS)}."
        )
    configure_gdal()
    try:
        with rasterio.open(source) as file:
            has_palette = file.colorinterp[0].name == "palette"
            is_float = file.dtypes[0].startswith("float")
        if has_palette and resampling not in RESAMPLINGS[:2]:
            raise ParameterError(
                f"Overviews of the classes in {source} cannot be made by {resampling!r}: "
                "what lies between two classes is another class.",
                "Choose nearest or mode.",
            )
        with explained(target), rasterio.Env(**_PASSING_FILE):
            rasterio.shutil.copy(
                str(source),
                str(target),
                driver="COG",
                COMPRESS="DEFLATE",
                # GDAL's names: FLOATING_POINT is TIFF's predictor 3.
                PREDICTOR="FLOATING_POINT" if is_float else "NO",
                BLOCKSIZE=str(BLOCK_SIZE),
                OVERVIEWS="IGNORE_EXISTING",
                OVERVIEW_RESAMPLING=resampling.upper(),
                BIGTIFF="IF_SAFER",
                STATISTICS="YES",
                NUM_THREADS="ALL_CPUS",
            )
            for suffix in SIDE_FILES:
                beside = source.with_name(source.name + suffix)
                if beside.is_file():
                    shutil.copyfile(beside, target.with_name(target.name + suffix))
    except RasterioError as error:
        raise OutputError(
            f"{target} cannot be written ({error}).",
            "Choose a folder you may write to, with room on its disk for the file twice.",
        ) from error
