"""Where what was worked out once is kept: quantised models and what was measured of them.

Standard library only. Anything here may be deleted at any time; it is made again.
"""

from __future__ import annotations

import os
from pathlib import Path

from .. import user_folders

#: Names the folder.
FOLDER_VARIABLE = "IMAGERYDL_CACHE"


def cache_folder(kind: str) -> Path:
    """The folder for one kind of thing: in ``$IMAGERYDL_CACHE``, else in the user's cache folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    return (Path(named) if named else user_folders.cache_folder()) / kind
