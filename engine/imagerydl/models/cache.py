"""Where what was worked out once is kept: quantised models and what was measured of them.

Standard library only. Anything here may be deleted at any time; it is made again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: Names the folder.
FOLDER_VARIABLE = "IMAGERYDL_CACHE"


def cache_folder(kind: str) -> Path:
    """The folder for one kind of thing: in ``$IMAGERYDL_CACHE``, else in the user's cache folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named) / kind
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "imagerydl" / kind
