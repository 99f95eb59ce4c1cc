"""The plugin as a zip, from what is committed: build/imagerydl-<version>.zip.

What goes in is ruled by .gitattributes (export-ignore). The folder in it is called imagerydl, and
every file has the plain mode 0644, which the plugin repository asks for.
"""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "imagerydl"
#: What QGIS and the plugin repository look for.
REQUIRED = (
    *("metadata.txt", "__init__.py", "LICENSE"),
    *("engine/requirements.txt", "engine/requirements-keras.txt", "engine/requirements-tensorflow.txt"),
    "engine/requirements-transformers.txt",
)
#: File name extensions the plugin repository refuses or warns about.
REFUSED = (".pyc", ".so", ".dll", ".exe", ".sh", ".bat", ".cmd", ".ps1")
LARGEST = 25e6


def main() -> int:
    """Write the zip; returns the exit status."""
    archive = subprocess.run(
        ["git", "archive", "--format=zip", f"--prefix={NAME}/", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    target = ROOT / "build" / f"{NAME}-{version()}.zip"
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(target, "w") as plugin:
        names = [name for name in source.namelist() if not name.endswith("/")]
        problems = find_problems(names)
        for name in names:
            entry = zipfile.ZipInfo(name, source.getinfo(name).date_time)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            plugin.writestr(entry, source.read(name))
    if target.stat().st_size > LARGEST:
        problems.append(f"the zip is larger than {LARGEST / 1e6:g} MB")
    for problem in problems:
        print(f"Error: {problem}", file=sys.stderr)
    print(f"{target.relative_to(ROOT)}: {len(names)} files, {target.stat().st_size / 1e3:.0f} kB")
    return bool(problems)


def find_problems(names: list[str]) -> list[str]:
    """What would keep the plugin out of the repository, or QGIS from loading it."""
    problems = [f"{name} is missing" for name in REQUIRED if f"{NAME}/{name}" not in names]
    problems += [f"{name} may not be in a plugin" for name in names if name.lower().endswith(REFUSED)]
    problems += [f"{name} may not be in a plugin" for name in names if "__pycache__" in name or "\\" in name]
    return problems


def version() -> str:
    """The version metadata.txt states."""
    metadata = ConfigParser(interpolation=None)
    metadata.read(ROOT / "metadata.txt", encoding="utf-8")
    return metadata["general"]["version"]


if __name__ == "__main__":
    sys.exit(main())
