"""What Classify Pixels costs beside the model alone: rates, memory, first tile.

The bare side is ONNX Runtime with its own settings, fed from memory, with the same batches and threads,
and nothing read, decided or written. Both sides do the same tiles in turn. The engine chooses how it calls
ONNX Runtime (tiles at once, layout of narrow networks), and that counts for it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin
from torch import nn

from imagerydl.models.architectures.registry import build_network, describe_network
from imagerydl.models.definition import write_definition

#: Pixels a side of the raster and of a tile; tiles a batch; classes.
SIDE, TILE, BATCH, CLASSES = 8192, 256, 8, 6

#: Raster side the U-Net is timed on: the rate does not depend on it, and the whole takes minutes a round.
UNET_SIDE = 2048

_PROGRAM = """
import os, sys, time
sys.path.insert(0, {engine!r})
start = time.perf_counter()
from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job

def peak():
    # Not getrusage, whose peak a process inherits from the one that started it.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))

class Watch(Reporter):
    first = None
    def progress(self, stage, done, total=0, *rest, **more):
        if stage == "Classifying pixels" and done and Watch.first is None:
            Watch.first = time.perf_counter() - start
        if {stop} and stage == "Classifying pixels" and done > {stop} * total:
            print("RESULT", time.perf_counter() - start, Watch.first, peak(), flush=True)
            os._exit(0)

def hear(event):
    if event["event"] == "message" and "float32" in event["text"]:
        print("SAID", event["text"], flush=True)

run_job(make_job("classifypixels", {values!r}), Watch(hear))
print("RESULT", time.perf_counter() - start, Watch.first, peak())
"""


def measure(folder: Path, rounds: int) -> Iterator[tuple[str, float, str, bool]]:
    """Yield (name, value, target, reached)."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = str(Path(__file__).resolve().parent.parent / "engine")
    large, small = folder / "large.tif", folder / "small.tif"
    write_picture(large, SIDE)
    write_picture(small, UNET_SIDE)
    network = build_network("UNET", describe_network("UNET", "NONE", 0.0), 3, CLASSES).eval()
    unet = write_model(folder / "unet", network)
    layer = write_model(folder / "layer", nn.Conv2d(3, CLASSES, 1))
    firsts = []
    for name, model, raster, side, target in (
        ("U-Net, no overlap, x ONNX Runtime alone", unet, small, UNET_SIDE, 0.95),
        ("one layer, no overlap, x ONNX Runtime alone", layer, large, SIDE, 0.7),
    ):
        ratios = []
        for _ in range(rounds):
            bare = bare_seconds(model.with_suffix(".onnx"), side)
            ours, first, _ = run_tool(engine, raster, model, folder / "out.tif", "padding 0")
            firsts.append(first)
            # What starting a process and loading libraries takes is not the pipeline's.
            ratios.append(bare / (ours - first))
        ratio = statistics.median(ratios)
        yield name, ratio, f"at least {target}", ratio >= target
    yield "seconds to the first tile", statistics.median(firsts), "below 3", statistics.median(firsts) < 3
    yield from lower_precision(engine, folder, unet, small, rounds)
    yield from memory(engine, folder, layer)


def lower_precision(
    engine: str, folder: Path, model: Path, raster: Path, rounds: int
) -> Iterator[tuple[str, float, str, bool]]:
    """Whole numbers of 8 bits against float32; how alike they are is printed by the run."""
    ratios = []
    for _ in range(rounds):
        seconds = []
        for precision in ("FLOAT32", "INT8"):
            extra = {"PRECISION": precision}
            whole, first, _ = run_tool(engine, raster, model, folder / "out.tif", "padding 0", extra)
            seconds.append(whole - first)
        ratios.append(seconds[0] / seconds[1])
    ratio = statistics.median(ratios)
    yield "INT8, times the rate of float32", ratio, "above 1", ratio > 1


def memory(engine: str, folder: Path, model: Path) -> Iterator[tuple[str, float, str, bool]]:
    """Peak memory of 8192 and of 65536 pixels a side, 25 % overlap, confidence on."""
    peaks = []
    for side in (8192, 65536):
        raster = folder / f"empty_{side}.tif"
        write_sparse(raster, side)
        extra = {"OUT_CONFIDENCE_RASTER": str(folder / "confidence.tif")}
        # Far enough for every buffer to have been filled, in any size.
        stop = 0.0 if side == 8192 else 0.05
        *_, peak = run_tool(engine, raster, model, folder / "out.tif", "overlap 0.25", extra, stop)
        peaks.append(peak)
        raster.unlink()
    yield "MB of memory, 8192 pixels a side, libraries included", peaks[0], "below 600", peaks[0] < 600
    yield (
        "memory, 65536 over 8192 pixels a side",
        peaks[1] / peaks[0],
        "at most 1.05",
        peaks[1] <= 1.05 * peaks[0],
    )


def run_tool(
    engine: str,
    raster: Path,
    model: Path,
    out: Path,
    arguments: str,
    extra: dict[str, str] | None = None,
    stop: float = 0.0,
) -> tuple[float, float, float]:
    """Seconds, seconds to the first tile and megabytes of one run in a fresh process."""
    values = {
        "IN_RASTER": [str(raster)],
        "IN_MODEL_DEFINITION": str(model),
        "OUT_CLASSIFIED_RASTER": str(out),
        "ARGUMENTS": f"{arguments};batch_size {BATCH}",
        "DEVICE": "CPU",
        "OVERWRITE": True,
        "RESUME": False,
        **(extra or {}),
    }
    program = _PROGRAM.format(engine=engine, values=values, stop=stop)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("SAID"):
            print("   ", line.removeprefix("SAID "))
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    if line is None:
        raise RuntimeError(done.stderr)
    seconds, first, peak = (float(part) for part in line.split()[1:])
    return seconds, first, peak


def bare_seconds(model: Path, side: int) -> float:
    """Seconds ONNX Runtime alone takes for the tiles of a raster of ``side`` pixels."""
    import os

    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    batch = np.random.default_rng(0).random((BATCH, 3, TILE, TILE), dtype=np.float32)
    session.run(None, {name: batch})
    count = (side // TILE) ** 2 // BATCH
    start = time.perf_counter()
    for _ in range(count):
        session.run(None, {name: batch})
    return time.perf_counter() - start


def write_picture(path: Path, side: int) -> None:
    """A raster of ``side`` pixels, three bands of bytes, DEFLATE: smooth, with grain."""
    generator = np.random.default_rng(1)
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 3,
        "dtype": "uint8",
        "compress": "DEFLATE",
        "tiled": True,
        "crs": "EPSG:32633",
        "transform": from_origin(400_000, 5_800_000, 0.5, 0.5),
    }
    with rasterio.open(path, "w", **profile) as file:
        for top in range(0, side, 512):
            rows = np.arange(top, min(top + 512, side))[:, np.newaxis]
            columns = np.arange(side)[np.newaxis]
            bands = [
                110 + 60 * np.sin(rows / (90 + 30 * band)) * np.cos(columns / (70 + 20 * band))
                for band in range(3)
            ]
            grain = generator.integers(-12, 13, (3, len(rows), side))
            data = np.clip(np.stack(bands) + grain, 1, 255).astype(np.uint8)
            file.write(data, window=((top, top + len(rows)), (0, side)))


def write_sparse(path: Path, side: int) -> None:
    """A raster of ``side`` pixels whose blocks are not stored: zeros, which are valid here."""
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 3,
        "dtype": "uint8",
        "tiled": True,
        "sparse_ok": True,
        "bigtiff": "YES",
        "crs": "EPSG:32633",
        "transform": from_origin(400_000, 5_800_000, 0.5, 0.5),
    }
    with rasterio.open(path, "w", **profile):
        pass


def write_model(stem: Path, network: nn.Module) -> Path:
    """A network as ONNX with any batch and size, and its definition."""
    example = torch.zeros(1, 3, TILE, TILE)
    axes = {0: "n", 2: "h", 3: "w"}
    torch.onnx.export(
        network,
        (example,),
        str(stem.with_suffix(".onnx")),
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": axes, "y": axes},
        dynamo=False,
    )
    definition = {
        "Framework": "ONNX",
        "ModelConfiguration": "UNET",
        "ModelType": "ImageClassification",
        "ModelFile": stem.with_suffix(".onnx").name,
        "ImageHeight": TILE,
        "ImageWidth": TILE,
        "ExtractBands": [0, 1, 2],
        "Classes": [
            {"Value": value, "Name": f"class {value}", "Color": [value, 0, 0]} for value in range(CLASSES)
        ],
        "Normalization": {"Subtract": [0, 0, 0], "Divide": [255, 255, 255]},
    }
    write_definition(definition, stem.with_suffix(".emd"))
    return stem.with_suffix(".emd")
