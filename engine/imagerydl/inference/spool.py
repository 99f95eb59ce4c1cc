"""Finished rows of a run, kept on disk so that a run that was killed can go on.

A band of rows is a small GeoTIFF of its own that appears by a rename; the journal names it once it is
there. Rows the journal does not name do not count. Final rasters are made from the bands alone, so a
resumed run ends with the same bytes as an unbroken one.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional
from xml.sax.saxutils import escape

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from ..imagery.environment import configure_gdal
from ..imagery.grid import Grid
from ..imagery.virtual import GDAL_TYPES, color_lines
from ..imagery.writing import check_complete, write_error

#: Rows of a band, and side of its blocks.
BAND_ROWS = 256

_JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class RasterForm:
    """One raster of a run.

    Attributes:
        dtype: numpy's name of the pixel type.
        nodata: Value of pixels without data.
        band_names: One per band.
        scale: Stored value to true value.
        colors: Red, green, blue by value, for a class raster.
    """

    dtype: str
    nodata: float
    band_names: tuple[str, ...]
    scale: float = 1.0
    colors: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class BandNote:
    """What the journal says of a band of rows.

    Attributes:
        block: Column block.
        column: First pixel column.
        width: Pixel columns.
        row: First pixel row.
        rows: Pixel rows.
        valid: Pixels with a class.
        counts: Pixels by class value.
        skipped: Tiles skipped in tile rows that no later row of pixels needs again.
        damage: Unreadable blocks so far, by file.
    """

    block: int
    column: int
    width: int
    row: int
    rows: int
    valid: int
    counts: dict[int, int]
    skipped: int
    damage: dict[str, int]


@dataclass(frozen=True)
class _Source:
    """A file of a mosaic, and where its pixels go."""

    file: str
    column: int
    row: int
    width: int
    rows: int


class Spool:
    """The bands of a run in a folder.

    Args:
        folder: Where; created.
        grid: Lattice of the rasters.
        forms: The rasters by name.
        header: What the run is; a journal of another run is removed.
    """

    def __init__(
        self, folder: Path, grid: Grid, forms: Mapping[str, RasterForm], header: Mapping[str, Any]
    ) -> None:
        configure_gdal()
        self._folder = folder
        self._grid = grid
        self._forms = dict(forms)
        self._header = dict(header)
        self._journal: Any = None
        self.notes: list[BandNote] = []
        #: Whether it was gone on with what an interrupted run left.
        self.went_on = False

    @property
    def forms(self) -> Mapping[str, RasterForm]:
        """The rasters by name."""
        return self._forms

    @property
    def can_go_on(self) -> bool:
        """Whether an interrupted run of this header left bands; to be asked before :meth:`open`."""
        found = self._read(self._folder / _JOURNAL) and bool(self.notes)
        self.notes.clear()
        return bool(found)

    def open(self) -> Optional[BandNote]:
        """Begin, or go on from what is there; returns the last band noted."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _JOURNAL
        kept = self._read(path)
        self.went_on = bool(self.notes)
        if kept:
            with path.open("r+b") as file:  # a line that a kill cut short goes
                file.truncate(kept)
            self._journal = path.open("a", encoding="utf-8", newline="\n")
        else:
            for stale in self._folder.iterdir():
                stale.unlink()
            self._journal = path.open("w", encoding="utf-8", newline="\n")
            self._write_line(self._header)
        return self.notes[-1] if self.notes else None

    def add(self, note: BandNote, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a band.

        Args:
            note: What it is.
            arrays: ``[rows, width]`` or ``[bands, rows, width]`` of each raster.

        Raises:
            OutputError: If the disk is full or the folder cannot be written to.
        """
        for name, data in arrays.items():
            self._write_band(self._file(name, note), self._forms[name], data)
        self.notes.append(note)
        self._write_line({**vars(note), "counts": list(note.counts.items())})

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def mosaic(self, name: str, counts: Optional[Mapping[int, int]] = None) -> Path:
        """A VRT of all bands of a raster.

        A wide raster has many files a row: each row is a VRT of its own, so that GDAL holds what it has to
        know of the files of a few rows, and not of all.

        Args:
            name: Which raster.
            counts: Pixels by value without those of no data, where they are known: statistics are made of
                them, and GDAL need not read every pixel again for them.
        """
        rows: dict[tuple[int, int], list[BandNote]] = {}
        for note in self.notes:
            rows.setdefault((note.row, note.rows), []).append(note)
        target = self._folder / f"{name}.vrt"
        parts = [self._row_source(name, notes) for notes in rows.values()]
        target.write_text("".join(self._vrt_lines(name, parts, counts)), encoding="utf-8")
        return target

    def _row_source(self, name: str, notes: Sequence[BandNote]) -> _Source:
        """The file of a row of bands, or a VRT of them where there are several."""
        first = notes[0]
        if len(notes) == 1:
            file = self._file(name, first)
            return _Source(file.name, first.column, first.row, first.width, first.rows)
        width = max(note.column + note.width for note in notes)
        files = [
            _Source(self._file(name, note).name, note.column, 0, note.width, note.rows) for note in notes
        ]
        form = self._forms[name]
        path = self._folder / f"{name}_row_{first.row}.vrt"
        lines = [f'<VRTDataset rasterXSize="{width}" rasterYSize="{first.rows}">\n']
        for band in range(1, len(form.band_names) + 1):
            lines += [_band_line(form, band), *_source_lines(form, band, files), "</VRTRasterBand>\n"]
        path.write_text("".join([*lines, "</VRTDataset>\n"]), encoding="utf-8")
        return _Source(path.name, 0, first.row, width, first.rows)

    def _file(self, name: str, note: BandNote) -> Path:
        return self._folder / f"{name}_{note.block}_{note.row}.tif"

    def _read(self, path: Path) -> int:
        """Notes of a journal with this header, whose bands are there; returns the bytes they take."""
        try:
            lines = path.read_bytes().splitlines(keepends=True)
            if not lines or json.loads(lines[0]) != json.loads(json.dumps(self._header)):
                return 0
        except (OSError, ValueError):
            return 0
        kept = len(lines[0])
        for line in lines[1:]:
            try:
                values = json.loads(line)
                note = BandNote(**{**values, "counts": {int(v): int(n) for v, n in values["counts"]}})
            except (ValueError, TypeError, KeyError):
                break
            if not line.endswith(b"\n") or not all(self._file(n, note).is_file() for n in self._forms):
                break
            self.notes.append(note)
            kept += len(line)
        return kept

    def _write_line(self, values: Mapping[str, Any]) -> None:
        try:
            self._journal.write(json.dumps(values) + "\n")
            self._journal.flush()
        except OSError as error:
            raise write_error(self._folder / _JOURNAL, error) from error

    def _write_band(self, path: Path, form: RasterForm, data: np.ndarray) -> None:
        stack = data[np.newaxis] if data.ndim == 2 else data
        unfinished = path.with_suffix(".part")
        profile = {
            "driver": "GTiff",
            "width": stack.shape[2],
            "height": stack.shape[1],
            "count": stack.shape[0],
            "dtype": form.dtype,
            "tiled": True,
            "blockxsize": BAND_ROWS,
            "blockysize": BAND_ROWS,
            "interleave": "band",
            # Read once and thrown away: speed counts, not size.
            "compress": "ZSTD",
            "zstd_level": 1,
        }
        try:
            with rasterio.open(unfinished, "w", **profile) as file:
                file.write(stack)
            check_complete(unfinished)
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except (OSError, RasterioError) as error:
            raise write_error(path, error) from error

    def _vrt_lines(
        self, name: str, parts: Sequence[_Source], counts: Optional[Mapping[int, int]]
    ) -> Iterator[str]:
        grid, form = self._grid, self._forms[name]
        yield f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">\n'
        if grid.crs is not None:
            yield f"<SRS>{escape(grid.crs.to_wkt())}</SRS>\n"
        if grid.is_georeferenced:
            t = grid.transform
            yield f"<GeoTransform>{t.c!r}, {t.a!r}, {t.b!r}, {t.f!r}, {t.d!r}, {t.e!r}</GeoTransform>\n"
        for band, band_name in enumerate(form.band_names, start=1):
            yield _band_line(form, band)
            if counts:
                yield from _statistics_lines(counts, grid.width * grid.height)
            yield f"<Description>{escape(band_name)}</Description>\n"
            yield f"<NoDataValue>{form.nodata!r}</NoDataValue>\n"
            if form.scale != 1.0:
                yield f"<Scale>{form.scale!r}</Scale>\n"
            yield from color_lines(form.colors)
            yield from _source_lines(form, band, parts)
            yield "</VRTRasterBand>\n"
        yield "</VRTDataset>\n"


def _band_line(form: RasterForm, band: int) -> str:
    # Blocks like those of the bands: GDAL's own of 128 would read each of them four times.
    blocks = f'blockXSize="{BAND_ROWS}" blockYSize="{BAND_ROWS}"'
    return f'<VRTRasterBand dataType="{GDAL_TYPES[form.dtype]}" band="{band}" {blocks}>\n'


def _source_lines(form: RasterForm, band: int, sources: Sequence[_Source]) -> Iterator[str]:
    for source in sources:
        size = f'xSize="{source.width}" ySize="{source.rows}"'
        yield "<SimpleSource>"
        yield f'<SourceFilename relativeToVRT="1">{source.file}</SourceFilename>'
        yield f"<SourceBand>{band}</SourceBand>"
        # Properties, so that GDAL need not open every file to learn them.
        yield (
            f'<SourceProperties RasterXSize="{source.width}" RasterYSize="{source.rows}" '
            f'DataType="{GDAL_TYPES[form.dtype]}" BlockXSize="{BAND_ROWS}" BlockYSize="{BAND_ROWS}"/>'
        )
        yield f'<SrcRect xOff="0" yOff="0" {size}/>'
        yield f'<DstRect xOff="{source.column}" yOff="{source.row}" {size}/>'
        yield "</SimpleSource>\n"


def _statistics_lines(counts: Mapping[int, int], pixels: int) -> Iterator[str]:
    """Statistics of a raster as GDAL notes them of a band."""
    valid = sum(counts.values())
    mean = sum(value * count for value, count in counts.items()) / valid
    variance = sum(count * (value - mean) ** 2 for value, count in counts.items()) / valid
    statistics = {
        "MAXIMUM": max(counts),
        "MEAN": f"{mean:.14g}",
        "MINIMUM": min(counts),
        "STDDEV": f"{math.sqrt(variance):.14g}",
        "VALID_PERCENT": f"{100 * valid / pixels:.4g}",
    }
    yield "<Metadata>"
    for name, value in statistics.items():
        yield f'<MDI key="STATISTICS_{name}">{value}</MDI>'
    yield "</Metadata>\n"
