"""A tool with one parameter of every kind, whose run does what it is told; declared as real ones are."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

_POINT = (
    '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {},'
    ' "geometry": {"type": "Point", "coordinates": [30, 50]}}]}'
)


def run(job, reporter):
    """Act out ``ACTION`` and give back what arrived, as JSON text in ``SEEN``."""
    action, _, argument = (job["ACTION"] or "").partition(" ")
    reporter.message("toy runs")
    if action:
        _ACTIONS[action](reporter, argument)
    seen = {"values": job.values, "pid": os.getpid(), "files": _peek(job), "environment": dict(os.environ)}
    results = {"SEEN": json.dumps(seen), "NUMBER": 7}
    if job["OUT_RASTER"]:
        Path(job["OUT_RASTER"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(job["RASTER"], job["OUT_RASTER"])
        results["OUT_RASTER"] = job["OUT_RASTER"]
    for key in ("OUT_FEATURES", "OUT_SKETCH"):
        if job[key]:
            Path(job[key]).parent.mkdir(parents=True, exist_ok=True)
            Path(job[key]).write_text(_POINT, encoding="utf-8")
            results[key] = job[key]
    if job["OUT_TABLE"]:
        Path(job["OUT_TABLE"]).parent.mkdir(parents=True, exist_ok=True)
        Path(job["OUT_TABLE"]).write_text("Class,AP\nroof,0.5\n", encoding="utf-8")
        results["OUT_TABLE"] = job["OUT_TABLE"]
    if job["OUT_FOLDER"]:
        Path(job["OUT_FOLDER"]).mkdir(parents=True, exist_ok=True)
        results["OUT_FOLDER"] = job["OUT_FOLDER"]
        Path(job["OUT_FOLDER"], "note.txt").write_text("toy")
    return results


def _peek(job):
    """Which inputs exist while the tool runs; written layers are gone afterwards."""
    paths = [job["RASTER"], job["FEATURES"], job["LAYER"], job["OVERLAY"], *(job["RASTERS"] or [])]
    return {path: Path(path.split("|")[0]).exists() for path in paths if path}


def _count(reporter, argument):
    for done in range(21):
        reporter.progress("Counting", done, 20, "steps")
        time.sleep(0.03)
    reporter.warning("mind the step")
    reporter.metric("Epoch 1", {"loss": 0.5, "accuracy": 0.875})


def _slow(reporter, argument):
    for done in range(1000):
        reporter.progress("Waiting", done, 1000, "steps")
        time.sleep(0.05)


def _deaf(reporter, argument):
    reporter.message("deaf now")
    if hasattr(signal, "pthread_sigmask"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


def _parent(reporter, argument):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    reporter.message(f"child {child.pid}")
    time.sleep(60)


def _die(reporter, argument):
    print("last words: " + argument, file=sys.stderr, flush=True)
    os._exit(7)


def _kill(reporter, argument):
    print("allocating", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def _bug(reporter, argument):
    raise ZeroDivisionError("one by none")


def _print(reporter, argument):
    print("a library talks on stdout")
    print('{"event": "message", "level": "info", "text": "forged"}')
    os.system("echo and so does a C library")


def _nothing(reporter, argument):
    pass


_ACTIONS = {
    "environment": _nothing,
    "count": _count, "slow": _slow, "deaf": _deaf, "parent": _parent, "die": _die, "kill": _kill,
    "bug": _bug, "print": _print,
}  # fmt: skip


def make_tool(tool: ModuleType, errors: ModuleType, needs_runtime: bool = True):
    """The toy declared with the given ``tool`` and ``errors`` modules (the plugin's, or the worker's)."""
    kind, param = tool.Kind, tool.Param

    def check(values):
        if values["WHOLE"] == 13:
            raise errors.ParameterError("WHOLE (Whole) is unlucky.", "Take another number.")

    def checked_run(job, reporter):
        if job["ACTION"] == "refuse":
            raise errors.DataError("scene.tif has no bands.", "Give another raster.")
        return run(job, reporter)

    tiff, high = (("CHOICE", ("TIFF",)),), (("LEVEL", ("HIGH",)),)
    params = (
        param("RASTER", kind.RASTER, "Raster", "One raster.", optional=True),
        param("RASTERS", kind.RASTERS, "Rasters", "Several rasters.", optional=True),
        param("FEATURES", kind.FEATURES, "Features", "Polygons.", optional=True, geometry=("polygon",)),
        param("LAYER", kind.LAYER, "Layer", "A raster or polygons.", optional=True, geometry=("polygon",)),
        param("FIELD", kind.FIELD, "Field", "A field of the layer.", optional=True, parent="LAYER"),
        param("FOLDER", kind.FOLDER, "Folder", "A folder or pattern.", optional=True, pattern=True),
        param("FOLDERS", kind.FOLDERS, "Folders", "Some folders.", optional=True),
        param("FILES", kind.FILES, "Files", "Some files.", optional=True),
        param("FILE", kind.FILE, "Model", "A file or its text.", optional=True, extension="emd dlpk"),
        param("ACTION", kind.TEXT, "Action", "What to act out.", optional=True, multiline=True),
        # Before the choices it depends on, the second of which depends on the first.
        param("REMARK", kind.TEXT, "Remark", "Says.", optional=True, only_with=high),
        param("CHOICE", kind.CHOICE, "Choice", "A keyword.", default="PNG", choices=("TIFF", "PNG")),
        param(
            "LEVEL", kind.CHOICE, "Level", "How much.", default="LOW", choices=("LOW", "HIGH"), only_with=tiff
        ),
        param("QUALITY", kind.INTEGER, "Quality", "Percent.", default=75, only_with=tiff, advanced=True),
        param("NAMED", kind.ARGUMENTS, "Named", "Values.", default={"a": "1"}, only_with=high),
        param(
            "OVERLAY",
            kind.LAYER,
            "Overlay",
            "Anything.",
            optional=True,
            only_with=(*tiff, *high),
        ),
        param("WHOLE", kind.INTEGER, "Whole", "A whole number.", default=256, minimum=1, maximum=4096),
        param("REAL", kind.NUMBER, "Real", "A number.", optional=True, minimum=0, advanced=True),
        param(
            "SWITCH", kind.BOOLEAN, "Switch", "On or off.", default=False, words=("ALL_TILES", "SOME_TILES")
        ),
        param("AMOUNT", kind.NUMBER, "Amount", "How much.", default=0.0, only_with=(("SWITCH", (True,)),)),
        param("ARGUMENTS", kind.ARGUMENTS, "Arguments", "Named values.", default={"padding": "8"}),
        param("EXTENT", kind.EXTENT, "Extent", "A part.", optional=True),
        param("CELL_SIZE", kind.NUMBER, "Cell size", "Units of the CRS.", optional=True, minimum=0),
        param("OUT_RASTER", kind.OUT_RASTER, "Copy", "A raster.", optional=True),
        param("OUT_FEATURES", kind.OUT_FEATURES, "Outlines", "A vector layer.", optional=True),
        param("OUT_SKETCH", kind.OUT_FEATURES, "Sketch", "A layer.", optional=True, only_with=tiff),
        param("OUT_FOLDER", kind.OUT_FOLDER, "Chips", "A folder.", optional=True),
        param("OUT_TABLE", kind.OUT_TABLE, "Table", "Some numbers.", optional=True),
        param("OUT_FILE", kind.OUT_FILE, "Report", "A file.", optional=True, extension="html"),
    )
    results = (tool.Result("SEEN", "text", "What arrived"), tool.Result("NUMBER", "number", "Seven"))
    return tool.Tool(
        id="toy" if needs_runtime else "quicktoy",
        command="toy",
        title="Toy Tool",
        group="Deep learning",
        summary="Does what it is told.",
        description="First paragraph,\nwrapped.\n\nSecond: a < b.",
        params=params,
        results=results,
        run=checked_run,
        check=check,
        tags=("toy",),
        needs_runtime=needs_runtime,
    )
