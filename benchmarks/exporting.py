"""What Export Training Data costs beside the bare work; part of `make bench`.

A raster of 8192 x 8192 pixels with three bands and 20,000 polygons, chips of 256 pixels:

* time of one worker against a bare loop that reads the same windows with rasterio and writes the
  same image files, with no labels at all (at most 1.25)
* two workers against one (at least 1.7 times as fast)
* a layer of 1,000,000 polygons, of which the same 20,000 lie on the raster (at most 1.5 times the time)
* peak memory of a raster of 20000 x 20000 with 500,000 polygons against that one (at most 1.2 times)
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from rasterio.windows import Window

ROOT = Path(__file__).resolve().parent.parent

SIDE, TILE = 8192, 256
POLYGONS = 20_000
CRS, CELL = "EPSG:32633", 0.5
ORIGIN = (500000.0, 5000000.0)


def write_raster(path: Path, side: int) -> None:
    """A raster of noise, written in strips."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 256, side + 4096), np.uint8)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8"}
    profile |= {"crs": CRS, "transform": Affine(CELL, 0, ORIGIN[0], 0, -CELL, ORIGIN[1])}
    with rasterio.open(path, "w", **profile) as dataset:
        for top in range(0, side, 256):
            rows = min(256, side - top)
            shift = (top * 7) % 4096
            dataset.write(noise[:, :rows, shift : shift + side], window=Window(0, top, side, rows))


def write_polygons(path: Path, side: int, count: int, elsewhere: int = 0) -> None:
    """Turned rectangles of about 20 pixels spread over the raster, then some far away from it."""
    random = np.random.default_rng(1)
    size = side * CELL
    x, y = random.uniform(0, size, count) + ORIGIN[0], ORIGIN[1] - random.uniform(0, size, count)
    if elsewhere:
        x = np.concatenate([x, random.uniform(3 * size, 20 * size, elsewhere) + ORIGIN[0]])
        y = np.concatenate([y, ORIGIN[1] - random.uniform(0, 20 * size, elsewhere)])
    angle = random.uniform(0, np.pi, len(x))
    half = np.column_stack([random.uniform(4, 7, len(x)), random.uniform(3, 6, len(x))])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])[None] * half[:, None]
    turned = np.stack(
        [
            x[:, None] + corners[..., 0] * np.cos(angle)[:, None] - corners[..., 1] * np.sin(angle)[:, None],
            y[:, None] + corners[..., 0] * np.sin(angle)[:, None] + corners[..., 1] * np.cos(angle)[:, None],
        ],
        axis=-1,
    )
    values = random.integers(1, 4, len(x)).astype(np.int32)
    wkb = shapely.to_wkb(shapely.polygons(turned))
    pyogrio.raw.write(path, wkb, [values], ["classvalue"], geometry_type="Polygon", crs=CRS, layer="labels")


def bare_loop(raster: Path, folder: Path, stride: int) -> float:
    """Seconds to read every window and write it as a TIFF."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    started = time.perf_counter()
    with rasterio.open(raster) as source:
        side = source.width
        for top in range(0, side - TILE + 1, stride):
            for left in range(0, side - TILE + 1, stride):
                window = Window(left, top, TILE, TILE)
                profile = {"driver": "GTiff", "height": TILE, "width": TILE, "count": 3, "dtype": "uint8"}
                profile |= {"crs": source.crs, "transform": source.window_transform(window)}
                with rasterio.open(folder / f"{top}_{left}.tif", "w", **profile) as chip:
                    chip.write(source.read(window=window))
    return time.perf_counter() - started


def export(raster: Path, labels: Path, folder: Path, stride: int, workers: int = 1) -> tuple[float, float]:
    """Seconds of the export itself, and its peak memory in MB, in a process of its own."""
    job = {
        "IN_RASTER": str(raster),
        "IN_CLASS_DATA": str(labels),
        "OUT_FOLDER": str(folder),
        "TILE_SIZE_X": TILE,
        "TILE_SIZE_Y": TILE,
        "STRIDE_X": stride,
        "STRIDE_Y": stride,
        "OUTPUT_NOFEATURE_TILES": True,
        "PARALLEL_PROCESSING_FACTOR": str(workers),
    }
    shutil.rmtree(folder, ignore_errors=True)  # as the bare loop does before its time begins
    command = [sys.executable, __file__, json.dumps(job)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, memory = answer.split()[-2:]
    return float(seconds), float(memory)


def run_job_here(job: dict[str, object]) -> None:
    """Run an export and print its seconds and peak memory."""
    sys.path.insert(0, str(ROOT / "engine"))
    # Loading libraries is not measured: the bare loop has loaded its own, too.
    from imagerydl.chips import exporting, preview  # noqa: F401
    from imagerydl.events import Reporter
    from imagerydl.jobs import make_job, run_job

    started = time.perf_counter()
    run_job(make_job("exporttrainingdata", job), Reporter())
    print(time.perf_counter() - started, peak_memory())


def peak_memory() -> float:
    """MB this process has filled at most.

    Not from getrusage: that number starts with what the process that started this one had filled.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("This system does not tell the peak memory of a process.")


def measure(folder: Path, rounds: int = 3) -> list[tuple[str, float, str, bool]]:
    """Every number: its name, the value, the target, and whether it is reached."""
    folder.mkdir(parents=True, exist_ok=True)
    raster, labels, many = folder / "noise.tif", folder / "labels.gpkg", folder / "many.gpkg"
    write_raster(raster, SIDE)
    write_polygons(labels, SIDE, POLYGONS)
    write_polygons(many, SIDE, POLYGONS, elsewhere=1_000_000 - POLYGONS)
    chips, bare = folder / "chips", folder / "bare"
    findings = []
    for stride in (256, 128):
        ratios = []
        for _ in range(rounds):
            alone = bare_loop(raster, bare, stride)
            ratios.append(export(raster, labels, chips, stride)[0] / alone)
        ratio = statistics.median(ratios)
        name = f"export, stride {stride}: one worker, times a bare loop without labels"
        findings.append((name, ratio, "at most 1.25", ratio <= 1.25))
    shutil.rmtree(bare, ignore_errors=True)
    speedups, layers, memory = [], [], 0.0
    for _ in range(rounds):
        one, memory = export(raster, labels, chips, 128)
        speedups.append(one / export(raster, labels, chips, 128, workers=2)[0])
        layers.append(export(raster, many, chips, 128)[0] / one)
    findings.append(_at_least("export: two workers, times as fast as one", statistics.median(speedups), 1.7))
    findings.append(_at_most("export: 1,000,000 polygons, times 20,000", statistics.median(layers), 1.5))
    many.unlink()
    write_raster(raster, 20_000)
    labels.unlink()
    write_polygons(labels, 20_000, 500_000)
    large = export(raster, labels, chips, 256)[1]
    findings.append(_at_most("export: memory at 20000 px and 500,000 polygons", large / memory, 1.2))
    return findings


def _at_least(name: str, value: float, limit: float) -> tuple[str, float, str, bool]:
    return name, value, f"at least {limit:g}", value >= limit


def _at_most(name: str, value: float, limit: float) -> tuple[str, float, str, bool]:
    return name, value, f"at most {limit:g}", value <= limit


if __name__ == "__main__":
    run_job_here(json.loads(sys.argv[1]))
