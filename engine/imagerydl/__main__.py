"""Start the engine: ``python -m imagerydl``, or the folder itself, ``python engine/imagerydl``.

The second form is how the plugin starts it: an isolated interpreter (``-I``) knows nothing of
the plugin's folder, and nothing needs to be installed in the environment.
"""

import sys

if not __package__:
    from pathlib import Path

    # Python put this very folder on the path; its modules are to be found as imagerydl.* only.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from imagerydl.cli import main

if __name__ == "__main__":
    sys.exit(main())
