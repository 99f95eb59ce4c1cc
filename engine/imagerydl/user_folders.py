"""Where a user's programs keep what they write, by the custom of the system. Standard library only."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_NAME = "imagerydl"


def cache_folder() -> Path:
    """For what may be deleted at any time, because it is made again."""
    return _folder("LOCALAPPDATA", "Local", "Caches", "XDG_CACHE_HOME", ".cache")


def settings_folder() -> Path:
    """For what the user has decided."""
    return _folder("APPDATA", "Roaming", "Application Support", "XDG_CONFIG_HOME", ".config")


def data_folder() -> Path:
    """For what is large and takes long to make, and stays on this machine."""
    return _folder("LOCALAPPDATA", "Local", "Application Support", "XDG_DATA_HOME", ".local/share")


def _folder(windows_variable: str, windows: str, mac: str, linux_variable: str, linux: str) -> Path:
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get(windows_variable) or home / "AppData" / windows)
    elif sys.platform == "darwin":
        base = home / "Library" / mac
    else:
        base = Path(os.environ.get(linux_variable) or home / linux)
    return base / _NAME
