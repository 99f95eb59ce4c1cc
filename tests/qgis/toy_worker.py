"""The engine's own worker with the toy tool in its registry; started like the engine itself."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2] / "engine")
sys.path.append(str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from toy_tool import make_tool  # noqa: E402

from imagerydl import errors, tool, tools, worker  # noqa: E402 - the path comes first

tools.load = lambda tool_id: make_tool(tool, errors)

if __name__ == "__main__":
    sys.exit(worker.main(sys.argv[1]))
