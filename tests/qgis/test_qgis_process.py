"""qgis_process, in a process of its own, on a profile nobody has used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

# Debian 12 wraps the program in a script that passes an option it does not know.
PROGRAM = shutil.which("qgis_process.bin") or shutil.which("qgis_process")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    profile = tmp_path_factory.mktemp("profile")
    environment = {**os.environ, "QGIS_CUSTOM_CONFIG_PATH": str(profile)}
    environment.pop("IMAGERYDL_PYTHON", None)
    assert PROGRAM, "qgis_process is not installed"
    enabled = subprocess.run(
        [PROGRAM, "plugins", "enable", "imagerydl"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert enabled.returncode == 0, enabled.stderr
    return environment


def call(environment, *arguments):
    return subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def test_every_tool_is_listed_and_helps(environment):
    listed = call(environment, "list").stdout
    for tool_id in ("exporttrainingdata", "trainmodel", "classifypixels", "setupruntime", "checkruntime"):
        assert f"imagerydl:{tool_id}" in listed
    helped = call(environment, "help", "imagerydl:classifypixels").stdout
    assert "IN_MODEL_DEFINITION" in helped
    assert "OUT_CLASSIFIED_RASTER" in helped
    assert "<p>" not in helped


def test_a_missing_environment_is_named(environment, tmp_path):
    from samples import write_raster

    done = call(
        environment, "run", "imagerydl:classifypixels", "--", f"IN_RASTER={write_raster(tmp_path / 'a.tif')}",
        "IN_MODEL_DEFINITION=model.emd", f"OUT_CLASSIFIED_RASTER={tmp_path / 'out.tif'}",
    )  # fmt: skip
    assert done.returncode == 1
    assert (
        "The deep-learning environment is not set up. "
        'Run the tool "Set up runtime" (imagerydl:setupruntime) once, then try again.'
    ) in done.stderr + done.stdout


def test_a_refusal_of_the_engine_reaches_the_terminal(environment, engine, tmp_path):
    missing = tmp_path / "no chips here"
    done = call(
        {**environment, "IMAGERYDL_PYTHON": engine},
        "run", "imagerydl:trainmodel", "--", f"IN_FOLDER={missing}", f"OUT_FOLDER={tmp_path / 'model'}",
    )  # fmt: skip
    assert done.returncode == 1
    assert str(missing) in done.stderr
    assert not (tmp_path / "model").exists()


def test_what_does_not_apply_is_refused_by_name(environment, engine, tmp_path):
    from samples import write_raster

    done = call(
        {**environment, "IMAGERYDL_PYTHON": engine},
        "run", "imagerydl:exporttrainingdata", "--", f"IN_RASTER={write_raster(tmp_path / 'a.tif')}",
        "METADATA_FORMAT=KITTI_rectangles", "CROP_MODE=BOUNDING_BOX", f"OUT_FOLDER={tmp_path / 'chips'}",
    )  # fmt: skip
    assert done.returncode == 1
    told = done.stderr + done.stdout
    assert "CROP_MODE (Crop mode) does not apply to METADATA_FORMAT=KITTI_rectangles." in told
    assert "It applies to Labeled_Tiles, Imagenet" in told
    assert not (tmp_path / "chips").exists()


def test_json_mode_stays_json(environment):
    """Nothing the plugin prints gets between."""
    described = json.loads(call(environment, "--json", "help", "imagerydl:trainmodel").stdout)
    assert described["parameters"]["MAX_EPOCHS"]["default_value"] == 20
