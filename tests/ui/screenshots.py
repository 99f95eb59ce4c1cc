"""Take the pictures of docs/images: starts QGIS under Xvfb, which runs ``take_pictures.py``.

``make screenshots`` calls this with a scratch profile in which the plugin is enabled. One or some pictures
alone: ``make screenshots ONLY="toolbox detection"``; their names are in ``steps`` there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parents[1] / "docs" / "images"
SCREEN = "1600x1700x24"
LIMIT = 1800  # seconds; a QGIS that shows an unexpected dialog would wait for ever


def main() -> int:
    """Run QGIS once; 0 if every picture was taken."""
    profile = Path(os.environ["QGIS_CUSTOM_CONFIG_PATH"]).with_name("profile-pictures")
    shutil.rmtree(profile, ignore_errors=True)
    shutil.copytree(os.environ["QGIS_CUSTOM_CONFIG_PATH"], profile)
    environment = {**os.environ, "LIBGL_ALWAYS_SOFTWARE": "1", "IMAGERYDL_PICTURES": str(IMAGES)}
    # "offscreen" cannot carry the desktop; and with this set the profile given below is ignored.
    for name in ("QT_QPA_PLATFORM", "QGIS_CUSTOM_CONFIG_PATH"):
        environment.pop(name, None)
    log = IMAGES.parents[1] / "build" / "screenshots.log"
    log.unlink(missing_ok=True)
    environment["IMAGERYDL_PICTURES_LOG"] = str(log)
    town = IMAGES.parents[1] / "build" / "tmp" / "town"
    make_town = [os.environ["IMAGERYDL_PYTHON"], str(HERE.parents[1] / "examples" / "town.py"), str(town)]
    subprocess.run(make_town, check=True)
    environment["IMAGERYDL_TOWN"] = str(town)
    environment["IMAGERYDL_EXAMPLES"] = str(HERE.parents[1] / "examples")
    command = [
        "xvfb-run", "-a", "-s", f"-screen 0 {SCREEN}",
        "qgis", "--nologo", "--noversioncheck", "--profiles-path", str(profile),
        "--code", str(HERE / "take_pictures.py"),
    ]  # fmt: skip
    subprocess.run(command, env=environment, timeout=LIMIT, check=False)
    told = log.read_text(encoding="utf-8") if log.exists() else "QGIS did not start."
    print(told)
    return 0 if told.rstrip().endswith("done") else 1


if __name__ == "__main__":
    sys.exit(main())
