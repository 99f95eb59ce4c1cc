"""Writes many TIFF chips that differ only in their pixels and their place.

GDAL writes the first one, in memory; the others are that file with other pixels and another origin.
Opening a dataset for each chip costs several times as much as writing its bytes. The layout is
that of TIFF 6.0 and GeoTIFF 1.1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from rasterio.io import MemoryFile

from ..imagery.grid import Grid

_STRIP_OFFSETS, _STRIP_BYTE_COUNTS, _COMPRESSION = 273, 279, 259
_TIEPOINT, _TRANSFORMATION = 33922, 34264

#: TIFF field types a strip table may have, as struct codes.
_INTEGER_CODES = {3: "H", 4: "I"}
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}

_UNCOMPRESSED, _DEFLATE = 1, 8

#: As GDAL's fastest; labels are made of flat areas.
_ZLEVEL = 1


@dataclass(frozen=True)
class _Tag:
    """One directory entry: where its values stand in the file."""

    type: int
    count: int
    offset: int


class TiffTemplate:
    """A TIFF to be filled again and again.

    Args:
        shape: ``(bands, height, width)`` of every chip.
        dtype: Pixel type.
        grid: Lattice of one chip; the others have the same system, cell size and rotation.
        profile: What rasterio is to create the file with; ``interleave`` must be ``band``.
    """

    def __init__(
        self, shape: tuple[int, int, int], dtype: np.dtype, grid: Grid, profile: dict[str, Any]
    ) -> None:
        self._shape, self._dtype, self._grid = shape, np.dtype(dtype), grid
        # Noise: a strip table made for the largest strips has room for all others.
        noise = np.random.default_rng(0).integers(
            0, 256, int(np.prod(shape)) * self._dtype.itemsize, np.uint8
        )
        with MemoryFile() as memory:
            with memory.open(**{**profile, "blockysize": shape[1]}) as dataset:
                dataset.write(noise.view(self._dtype).reshape(shape))
            content = bytes(memory.getbuffer())
        self._tags = _read_directory(content)
        self._deflated = self._value(content, _COMPRESSION)[0] == _DEFLATE
        self._header = content[: min(self._value(content, _STRIP_OFFSETS))]
        self._check(content)

    def fits(self, data: np.ndarray, grid: Grid) -> bool:
        """Whether a chip differs from the others in pixels and place only."""
        own, other = self._grid.transform, grid.transform
        return (
            data.shape == self._shape
            and data.dtype == self._dtype
            and grid.crs is self._grid.crs
            and (own.a, own.b, own.d, own.e) == (other.a, other.b, other.d, other.e)
            and grid.is_georeferenced == self._grid.is_georeferenced
        )

    def write(self, path: str, data: np.ndarray, grid: Grid) -> None:
        """Write a chip that :meth:`fits`.

        Raises:
            struct.error: If a compressed strip is longer than the strip table can tell.
            OSError: If the file cannot be written.
        """
        strips = [band.tobytes() for band in data]
        if self._deflated:
            strips = [zlib.compress(strip, _ZLEVEL) for strip in strips]
        header = bytearray(self._header)
        lengths = [len(strip) for strip in strips]
        starts = [len(header) + sum(lengths[:i]) for i in range(len(lengths))]
        self._put_integers(header, _STRIP_OFFSETS, starts)
        self._put_integers(header, _STRIP_BYTE_COUNTS, lengths)
        self._put_origin(header, grid)
        with open(path, "wb") as file:
            file.write(b"".join((header, *strips)))

    def _check(self, content: bytes) -> None:
        """Raise ValueError where the file is not laid out as :meth:`write` needs it."""
        bands = self._shape[0]
        compression = self._value(content, _COMPRESSION)[0]
        ends = [tag.offset + tag.count * _TYPE_SIZES[tag.type] for tag in self._tags.values()]
        placed = _TIEPOINT in self._tags or _TRANSFORMATION in self._tags
        if (
            len(self._value(content, _STRIP_OFFSETS)) != bands
            or compression not in (_UNCOMPRESSED, _DEFLATE)
            or max(ends) > len(self._header)
            or placed != self._grid.is_georeferenced
        ):
            raise ValueError("GDAL lays this TIFF out in another way")

    def _value(self, content: bytes, key: int) -> Sequence[int]:
        tag = self._tags[key]
        return struct.unpack_from(f"<{tag.count}{_INTEGER_CODES[tag.type]}", content, tag.offset)

    def _put_integers(self, header: bytearray, key: int, values: Sequence[int]) -> None:
        tag = self._tags[key]
        struct.pack_into(f"<{tag.count}{_INTEGER_CODES[tag.type]}", header, tag.offset, *values)

    def _put_origin(self, header: bytearray, grid: Grid) -> None:
        x, y = grid.transform.c, grid.transform.f
        if _TIEPOINT in self._tags:  # (column, row, 0, x, y, 0)
            struct.pack_into("<2d", header, self._tags[_TIEPOINT].offset + 24, x, y)
        elif _TRANSFORMATION in self._tags:  # a 4 x 4 matrix, x and y in its last column
            struct.pack_into("<d", header, self._tags[_TRANSFORMATION].offset + 24, x)
            struct.pack_into("<d", header, self._tags[_TRANSFORMATION].offset + 56, y)


def make_template(data: np.ndarray, grid: Grid, profile: dict[str, Any]) -> Optional[TiffTemplate]:
    """A template for chips like ``data``, or None where GDAL's file cannot serve as one."""
    try:
        return TiffTemplate(data.shape, data.dtype, grid, profile)
    except (ValueError, KeyError, struct.error):
        return None


def _read_directory(content: bytes) -> dict[int, _Tag]:
    if content[:4] != b"II*\0":
        raise ValueError("not a little-endian TIFF")
    (directory,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, directory)
    tags = {}
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        key, kind, length, offset = struct.unpack_from("<HHII", content, entry)
        # Values of up to four bytes stand in the entry itself.
        inside = length * _TYPE_SIZES[kind] <= 4
        tags[key] = _Tag(kind, length, entry + 8 if inside else offset)
    return tags
