"""The engine's worker with a tool that describes models by what their files say.

A model is a JSON file: ``results`` is what the tool gives, ``error`` what it refuses with, ``wait`` how
many seconds it takes. Every start leaves a line in the file ``<model>.log``.
"""

import json
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2] / "engine")
sys.dont_write_bytecode = True

from imagerydl import tool, tools, worker  # noqa: E402 - the path comes first
from imagerydl.errors import ModelDefinitionError  # noqa: E402


def run(job, reporter):
    """Say what the model's file says."""
    path = Path(job["IN_MODEL_DEFINITION"])
    with path.with_name(path.name + ".log").open("a") as log:
        log.write("described\n")
    said = json.loads(path.read_text())
    for step in range(int(said.get("wait", 0) * 20)):
        reporter.progress("wait", step, 10**6)
        time.sleep(0.05)
    if "error" in said:
        raise ModelDefinitionError(*said["error"])
    return said["results"]


TOOL = tool.Tool(
    id="describemodel",
    command="describe-model",
    title="Describe",
    group="Toys",
    summary="Describes.",
    description="Describes.",
    params=(
        tool.Param("IN_MODEL_DEFINITION", tool.Kind.FILE, "Model", "A model."),
        tool.Param("TRUST_MODEL", tool.Kind.BOOLEAN, "Trust", "Whether to trust.", default=False),
    ),
    results=(),
    run=run,
)
tools.load = lambda tool_id: {"describemodel": TOOL}[tool_id]

if __name__ == "__main__":
    sys.exit(worker.main(sys.argv[1]))
