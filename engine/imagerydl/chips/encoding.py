"""Writing chips and label chips as TIFF, PNG, JPEG or MRF files."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from ..errors import OutputError, ParameterError
from ..imagery.grid import Grid
from ..imagery.writing import write_world_file
from .tiff_template import TiffTemplate, make_template

#: JPEG quality: higher than the library's 75, whose blocks a network would learn.
JPEG_QUALITY = 95


@dataclass(frozen=True)
class ImageFormat:
    """A file format of chips.

    Attributes:
        keyword: Its ArcGIS keyword.
        driver: Its GDAL driver.
        extension: File extension of chips.
        has_world_file: Whether a world file beside a chip is read by anything.
        keeps_system: Whether the coordinate system is stored in the file itself.
        band_counts: Allowed numbers of bands; empty means any.
        types: Allowed pixel types; empty means any.
        options: GDAL creation options of image chips.
    """

    keyword: str
    driver: str
    extension: str
    has_world_file: bool = True
    keeps_system: bool = False
    band_counts: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def with_options(self, options: Sequence[tuple[str, str]]) -> ImageFormat:
        """The same format with creation options (name, value) of the user's on top of its own."""
        return replace(self, options={**self.options, **{name.lower(): value for name, value in options}})

    def check(self, bands: int, dtype: np.dtype, name: str) -> None:
        """Raise :class:`ParameterError` where the format cannot hold ``bands`` of ``dtype``."""
        wrong = []
        if self.band_counts and bands not in self.band_counts:
            wrong.append(f"{bands} bands")
        if self.types and np.dtype(dtype).name not in self.types:
            wrong.append(f"values of type {np.dtype(dtype).name}")
        if wrong:
            counts = " or ".join(str(count) for count in self.band_counts)
            raise ParameterError(
                f"{name} has {' and '.join(wrong)}, but {self.keyword} chips hold {counts} bands of "
                f"{' or '.join(self.types)}.",
                "Set IMAGE_CHIP_FORMAT to TIFF.",
            )


TIFF = ImageFormat("TIFF", "GTiff", ".tif", keeps_system=True)

IMAGE_FORMATS: dict[str, ImageFormat] = {
    known.keyword: known
    for known in (
        TIFF,
        # Level 1 packs imagery as well as the default and takes half the time.
        ImageFormat("PNG", "PNG", ".png", True, False, (1, 3), ("uint8", "uint16"), {"zlevel": 1}),
        ImageFormat("JPEG", "JPEG", ".jpg", True, False, (1, 3), ("uint8",), {"quality": JPEG_QUALITY}),
        ImageFormat("MRF", "MRF", ".mrf", False, keeps_system=True, options={"compress": "DEFLATE"}),
    )
}

#: TIFF chips that serve as templates at a time.
_TEMPLATES = 32

_LABEL_OPTIONS: dict[str, dict[str, Any]] = {
    "GTiff": {"compress": "deflate", "zlevel": 1},
    "PNG": {"zlevel": 1},
}


def label_format(images: ImageFormat) -> ImageFormat:
    """The format of label chips beside ``images``: lossless in any case."""
    return images if images.keyword == "PNG" else TIFF


class ChipWriter:
    """Writes arrays as chips of one format.

    Args:
        image_format: The format.
        labels: Whether the chips are labels (class values) rather than imagery.
    """

    def __init__(self, image_format: ImageFormat, labels: bool = False) -> None:
        self.format = image_format
        self._options = _LABEL_OPTIONS[image_format.driver] if labels else dict(image_format.options)
        self._templates: dict[tuple[Any, ...], Optional[TiffTemplate]] = {}

    def write(self, path: str, data: np.ndarray, grid: Grid, nodata: Optional[float] = None) -> None:
        """Write one chip and, where it is georeferenced, its world file.

        Args:
            path: File to create, with the format's extension.
            data: ``[bands, height, width]``.
            grid: The chip's own lattice.
            nodata: Value of pixels without data, stored where the format can.
        """
        if self.format.has_world_file and grid.is_georeferenced:
            write_world_file(path, grid.transform)
        if self.format.driver == "GTiff" and self._write_by_template(path, data, grid, nodata):
            return
        try:
            with rasterio.open(path, "w", **self._profile(data, grid, nodata)) as dataset:
                dataset.write(data)
        except RasterioError as error:
            raise OutputError(
                f"The chip {os.path.basename(path)} cannot be written ({error}).",
                "Check that the disk of OUT_FOLDER is not full and that you may write there.",
            ) from error
        if self.format.driver == "MRF":
            # Holds nothing but how the file is compressed, which the file says itself.
            Path(f"{path}.aux.xml").unlink(missing_ok=True)

    def _write_by_template(self, path: str, data: np.ndarray, grid: Grid, nodata: Optional[float]) -> bool:
        """Write a TIFF like an earlier one; False where that cannot be done."""
        # Label chips of a class differ in their number of bands.
        kind = (data.shape, data.dtype.str, repr(nodata), grid.is_georeferenced)
        template = self._templates.get(kind)
        # Where GDAL's file could not serve as one (other compression, say), it is not asked again.
        if kind not in self._templates or (template is not None and not template.fits(data, grid)):
            if len(self._templates) >= _TEMPLATES:
                self._templates.clear()
            template = make_template(data, grid, self._profile(data, grid, nodata))
            self._templates[kind] = template
        if template is None:
            return False
        try:
            template.write(path, data, grid)
        except struct.error:  # a strip too long for this file's strip table
            return False
        return True

    def _profile(self, data: np.ndarray, grid: Grid, nodata: Optional[float]) -> dict[str, Any]:
        bands, height, width = data.shape
        profile: dict[str, Any] = {
            "driver": self.format.driver,
            "count": bands,
            "height": height,
            "width": width,
            "dtype": data.dtype.name,
            **self._options,
        }
        if self.format.driver == "GTiff":
            # GDAL would take the fourth of four 8-bit bands for transparency.
            is_rgb = bands == 3 and data.dtype == np.uint8
            profile.update(photometric="rgb" if is_rgb else "minisblack", interleave="band")
            if bands > 1:
                profile["alpha"] = "no"
        if self.format.driver == "MRF":
            profile["blocksize"] = max(height, width)
        # In PNG and JPEG these would go to an .aux.xml beside each chip.
        if self.format.keeps_system:
            profile["nodata"] = nodata
            if grid.is_georeferenced:
                profile.update(crs=grid.crs, transform=grid.transform)
        return profile
