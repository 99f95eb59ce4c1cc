"""Writing rasters: GeoTIFF window by window, with classes; world files; layer styles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ..errors import OutputError
from ..labels.classes import ClassSchema
from .attribute_table import write_attribute_table, write_pam
from .environment import configure_gdal
from .grid import Grid

#: Side of the squares a GeoTIFF is stored in.
BLOCK_SIZE = 256


class RasterWriter:
    """A GeoTIFF written window by window; a context manager.

    Write to a path from :func:`imagerydl.outputs.staged`: what belongs to the file (palette
    inside, attribute table and names beside it) then follows it to its final name.

    Args:
        path: File to create.
        grid: Its lattice; without georeference the file has none either.
        dtype: Pixel type.
        count: Number of bands.
        nodata: Value of pixels without data.
        classes: Makes it a class raster (one band, uint8 or uint16): palette, names and
            attribute table with pixel counts.
        band_names: Written as band descriptions.
        compression: GDAL's name of the compression.
    """

    def __init__(
        self,
        path: Union[str, Path],
        grid: Grid,
        dtype: Any,
        *,
        count: int = 1,
        nodata: Optional[float] = None,
        classes: Optional[ClassSchema] = None,
        band_names: Sequence[str] = (),
        compression: str = "DEFLATE",
    ) -> None:
        configure_gdal()
        self._path = Path(path)
        self._classes = classes.with_colors() if classes else None
        self._counts = np.zeros(np.iinfo(dtype).max + 1, dtype=np.int64) if classes else None
        self._dtype, self._nodata = np.dtype(dtype), nodata
        try:
            self._dataset = rasterio.open(self._path, "w", **self._profile(grid, count, compression))
        except RasterioError as error:
            raise write_error(self._path, error) from error
        if self._classes:
            # Before any pixel: a palette that comes later lands in a side file.
            self._dataset.write_colormap(1, {entry.value: (*entry.color, 255) for entry in self._classes})
        for index, name in enumerate(band_names, start=1):
            self._dataset.set_band_description(index, name)

    def _profile(self, grid: Grid, count: int, compression: str) -> dict[str, Any]:
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "width": grid.width,
            "height": grid.height,
            "count": count,
            "dtype": self._dtype,
            "nodata": self._nodata,
            "compress": compression,
            "bigtiff": "IF_SAFER",
            # Bands apart compress better, and a single band has no choice.
            "interleave": "pixel" if count in (3, 4) else "band",
        }
        # A picture smaller than a block is one strip: it need not fill a block.
        profile.update(blockysize=BLOCK_SIZE)
        if max(grid.width, grid.height) > BLOCK_SIZE:
            profile.update(tiled=True, blockxsize=BLOCK_SIZE)
        if compression == "DEFLATE":
            profile.update(predictor=3 if self._dtype.kind == "f" else 1)
        if grid.is_georeferenced:
            profile.update(crs=grid.crs, transform=grid.transform)
        return profile

    def __enter__(self) -> RasterWriter:
        return self

    def __exit__(self, kind: Any, *rest: object) -> None:
        self.close(complete=kind is None)

    @property
    def value_counts(self) -> dict[int, int]:
        """Pixels written by value (class rasters), without nodata."""
        if self._counts is None:
            return {}
        return {int(v): int(self._counts[v]) for v in np.flatnonzero(self._counts) if v != self._nodata}

    def write(self, data: np.ndarray, window: Window) -> None:
        """Write ``[h, w]`` or ``[bands, h, w]`` to a window inside the grid, each pixel once.

        Windows that end on multiples of :data:`BLOCK_SIZE` spare rewriting compressed blocks.

        Raises:
            OutputError: If the disk is full or the file cannot be written.
        """
        stack = data[np.newaxis] if data.ndim == 2 else data
        if self._counts is not None:
            for row in stack[0]:  # row by row: counting takes eight times the memory of the pixels
                self._counts += np.bincount(row, minlength=len(self._counts))
        try:
            self._dataset.write(stack, window=window)
        except RasterioError as error:
            raise write_error(self._path, error) from error

    def close(self, complete: bool = True) -> None:
        """Finish the file and, where ``complete``, write what stands beside it."""
        try:
            self._dataset.close()
        except RasterioError as error:
            if complete:
                raise write_error(self._path, error) from error
        if complete:
            check_complete(self._path)
        if complete and self._classes:
            counts = self.value_counts
            write_pam(self._path, self._classes, counts)
            try:
                write_attribute_table(self._path, self._classes, counts)
            except RuntimeError as error:  # what pyogrio's errors have in common
                raise write_error(self._path, error) from error


def check_complete(path: Path) -> None:
    """Raise :class:`OutputError` unless every block of a GeoTIFF lies inside the file.

    GDAL holds blocks back and writes the last ones while it closes the file, where rasterio hears
    of no error: on a full disk a file may look written that is not.
    """
    size = path.stat().st_size
    try:
        with rasterio.open(path) as file:
            bands = range(1, file.count + 1) if file.interleaving.name == "band" else (1,)
            for band in bands:
                for (row, column), _ in file.block_windows(band):
                    where, length = (
                        int(file.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", band) or -1)
                        for what in ("OFFSET", "SIZE")
                    )
                    if where < 0 or where + length > size:
                        raise write_error(path, OSError("it was cut short"))
    except RasterioError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: Exception) -> OutputError:
    """What to say of an error while ``path`` was written."""
    free = _free_bytes(path)
    if free is not None and free < 2**20:
        return OutputError(
            f"The disk of {path.parent} is full.", "Free some space, or write to another disk."
        )
    return OutputError(f"{path} cannot be written ({error}).", "Choose a folder you may write to.")


def _free_bytes(path: Path) -> Optional[int]:
    try:
        status = os.statvfs(path.parent)
    except (AttributeError, OSError):
        return None
    return status.f_bavail * status.f_frsize


def write_world_file(path: str, transform: Affine) -> str:
    """Write the six-line world file that belongs to the image ``path``.

    Its extension is Esri's: first and last letter of the image's, then ``w`` (``.tif`` ->
    ``.tfw``, ``.jpg`` -> ``.jgw``). Its origin is the centre of the upper left pixel.

    Returns:
        The file written.
    """
    stem, suffix = os.path.splitext(path)
    target = f"{stem}.{suffix[1]}{suffix[-1]}w"
    t = transform
    x, y = 0.5 * (t.a + t.b) + t.c, 0.5 * (t.d + t.e) + t.f
    with open(target, "wb") as file:
        file.write(b"%.12g\n%.12g\n%.12g\n%.12g\n%.12g\n%.12g\n" % (t.a, t.d, t.b, t.e, x, y))
    return target
