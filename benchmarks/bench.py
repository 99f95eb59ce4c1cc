"""What the tools cost beside the bare work, as ratios measured in one run; `make bench`.

* training: step rate of Train Deep Learning Model against a bare PyTorch loop with the same network,
  batch, number format and chips, ready in memory (at least 0.9)
* worker: seconds from starting the worker process to its first tile (below 2.5)
* export: see exporting.py
* classifying pixels: see classifying.py
* objects: see detecting.py

Machines are noisy: both sides of a ratio run in turn, and medians are compared. Exits with 1 where a
target is missed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "engine"), str(ROOT / "examples")]

import classifying  # noqa: E402 - what is ours is found through the lines above
import detecting  # noqa: E402
import exporting  # noqa: E402
import numpy as np  # noqa: E402
import rasterio  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional  # noqa: E402
from town import CLASSES, make_scene, write_scene  # noqa: E402

from imagerydl.chips.folder import read_exported_folder  # noqa: E402
from imagerydl.events import Reporter, decode  # noqa: E402
from imagerydl.jobs import make_job, run_job  # noqa: E402
from imagerydl.models.architectures.registry import build_network, describe_network  # noqa: E402
from imagerydl.training.devices import choose_device  # noqa: E402

#: Pixels; chips a batch; how often each side is measured.
TILE, STRIDE, BATCH, ROUNDS = 160, 80, 16, 3
SCENE = 1400
#: Steps at the start of a run that warm caches and are not counted.
WARM_UP = 2


@dataclass(frozen=True)
class Finding:
    """One number, and whether it is what it should be."""

    name: str
    value: float
    target: str = ""
    reached: bool = True

    def row(self) -> str:
        """As a line of the table."""
        verdict = f"({self.target}) {'ok' if self.reached else 'MISSED'}" if self.target else ""
        return f"  {self.name:62}{self.value:8.2f}   {verdict}"


class StepTimes(Reporter):
    """Notes when each training step ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def progress(self, stage: str, *arguments: Any, **options: Any) -> None:
        """Every call of the training stage is a finished step."""
        if stage == "Training":
            self.ends.append(time.perf_counter())

    def median_step(self) -> float:
        """Seconds of a step."""
        return statistics.median(np.diff(self.ends)[WARM_UP:])


def run_tool(tool: str, reporter: Reporter | None = None, **values: object) -> None:
    """Run a tool in this process."""
    run_job(make_job(tool, {**values, "OVERWRITE": True}), reporter or Reporter())


def bench_export(folder: Path) -> list[Finding]:
    """Export Training Data against bare loops, and against itself with more workers and labels."""
    return [Finding(*numbers) for numbers in exporting.measure(folder / "export", ROUNDS)]


def bench_classifying(folder: Path) -> list[Finding]:
    """Classify Pixels against the model alone, and its memory."""
    return [Finding(*numbers) for numbers in classifying.measure(folder / "classify", ROUNDS)]


def bench_objects(folder: Path) -> list[Finding]:
    """Detect Objects and Classify Objects against their models alone."""
    return [Finding(*numbers) for numbers in detecting.measure(folder / "objects", ROUNDS)]


def write_chips(folder: Path) -> None:
    """Chips of a generated town to train on."""
    write_scene(make_scene(SCENE, SCENE, seed=3), folder, "scene")
    run_tool(
        "exporttrainingdata",
        IN_RASTER=[str(folder / "scene.tif")],
        IN_CLASS_DATA=str(folder / "scene.gpkg"),
        CLASS_VALUE_FIELD="classvalue",
        METADATA_FORMAT="Classified_Tiles",
        TILE_SIZE_X=TILE,
        TILE_SIZE_Y=TILE,
        STRIDE_X=STRIDE,
        STRIDE_Y=STRIDE,
        OUT_FOLDER=str(folder / "chips"),
    )


def bench_training(folder: Path) -> list[Finding]:
    """Steps a second, the tool's over the loop's; with augmentation too, which the loop lacks."""
    write_chips(folder)
    images, labels = chips_in_memory(folder / "chips")
    rounds = [
        (bare_step(images, labels), tool_step(folder, "NONE"), tool_step(folder, "DEFAULT"))
        for _ in range(ROUNDS)
    ]
    plain = statistics.median(bare / ours for bare, ours, _ in rounds)
    augmented = statistics.median(bare / ours for bare, _, ours in rounds)
    return [
        Finding("training, times the step rate of a bare loop", plain, "at least 0.9", plain >= 0.9),
        Finding("training with augmentation, against that same loop", augmented),
    ]


def tool_step(folder: Path, augmentation: str) -> float:
    """Seconds of a step of the tool."""
    times = StepTimes()
    run_tool(
        "trainmodel",
        times,
        IN_FOLDER=[str(folder / "chips")],
        OUT_FOLDER=str(folder / "model"),
        MAX_EPOCHS=1,
        BATCH_SIZE=BATCH,
        LEARNING_RATE=0.001,
        VALIDATION_PERCENTAGE=1,
        AUGMENTATION=augmentation,
    )
    return times.median_step()


def chips_in_memory(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Images ``[n, 3, h, w]`` float and channels ``[n, h, w]`` of all chips."""
    images, labels = [], []
    for chip in read_exported_folder(folder).chips:
        with rasterio.open(chip.image) as file:
            images.append(file.read())
        with rasterio.open(chip.label) as file:
            labels.append(file.read(1).astype(np.int64))
    pictures = torch.from_numpy(np.stack(images)).float().div(255)
    return pictures.contiguous(memory_format=torch.channels_last), torch.from_numpy(np.stack(labels))


def bare_step(images: torch.Tensor, labels: torch.Tensor) -> float:
    """Seconds of a step of a plain loop, once through the chips; channel 0 is the background."""
    device = choose_device("AUTO")
    network = build_network("UNET", describe_network("UNET", "NONE", 0.2), 3, max(CLASSES) + 1)
    network = network.to(device.torch, memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.001)
    ends = []
    for start in range(0, len(images) - BATCH + 1, BATCH):
        batch, target = (part[start : start + BATCH].to(device.torch) for part in (images, labels))
        with device.autocast():
            logits = network(batch)
        loss = functional.cross_entropy(logits.float(), target)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        loss.item()  # waits for the device, as the tool does to show the loss
        ends.append(time.perf_counter())
    return statistics.median(np.diff(ends)[WARM_UP:])


def bench_worker(folder: Path) -> list[Finding]:
    """Seconds from starting the worker, as QGIS does, to its first tile."""
    seconds = statistics.median(seconds_to_first_tile(folder) for _ in range(2 * ROUNDS - 1))
    return [Finding("worker, seconds from its start to the first tile", seconds, "below 2.5", seconds < 2.5)]


def seconds_to_first_tile(folder: Path) -> float:
    """One start."""
    job = folder / "job.json"
    values = {
        "IN_RASTER": [str(folder / "scene.tif")],
        "IN_MODEL_DEFINITION": str(folder / "model" / "model.emd"),
        "OUT_CLASSIFIED_RASTER": str(folder / "classified.tif"),
        "OVERWRITE": True,
    }
    job.write_text(json.dumps({"tool": "classifypixels", "parameters": values}), encoding="utf-8")
    command = [sys.executable, "-I", "-u", str(ROOT / "engine" / "imagerydl"), "worker", str(job)]
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as worker:
        for line in worker.stdout:
            event = decode(line) or {}
            if event.get("event") == "progress" and event["unit"] == "tiles" and event["done"]:
                worker.kill()
                return time.perf_counter() - started
            if event.get("event") == "error":
                sys.exit(f"The worker failed: {event['message']}")
    sys.exit("The worker ended without a tile.")


def main() -> int:
    """Run everything; returns the exit status."""
    findings: list[Finding] = []
    benches = {
        "classifying pixels": bench_classifying,
        "objects": bench_objects,
        "export": bench_export,
        "training": bench_training,
        "worker": bench_worker,
    }
    benches = {title: bench for title, bench in benches.items() if not sys.argv[1:] or title in sys.argv[1:]}
    with tempfile.TemporaryDirectory(prefix="imagerydl-bench-") as folder:
        for title, bench in benches.items():
            print(f"measuring: {title}", flush=True)
            findings += bench(Path(folder))
    print(f"\n{choose_device('AUTO').description}; chips of {TILE} pixels, batches of {BATCH}")
    for finding in findings:
        print(finding.row())
    return 0 if all(finding.reached for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
