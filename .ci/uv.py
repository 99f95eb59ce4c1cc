"""Run uv with the user's pip settings: an index, a certificate or a proxy named to pip counts for it too.

``python .ci/uv.py PROGRAM ARGUMENTS...``
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "engine"))

from imagerydl.environment.pip_settings import uv_environment
from imagerydl.environment.processes import clean_environment

if __name__ == "__main__":
    sys.exit(subprocess.run(sys.argv[1:], env=uv_environment(clean_environment()), check=False).returncode)
