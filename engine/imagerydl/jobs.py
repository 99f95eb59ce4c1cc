"""A job: one run of one tool, as data, and the one way to run it.

QGIS, the command line, notebooks and tests all come through :func:`run_job`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from . import outputs, tools
from .errors import ParameterError
from .events import Reporter
from .tool import Tool


@dataclass(frozen=True)
class Job:
    """A tool and the values it runs with, already checked and completed.

    Attributes:
        tool: What to run.
        values: One value per parameter of the tool, in the form :class:`imagerydl.tool.Kind`
            states; None where an optional one was left out.
    """

    tool: Tool
    values: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.values[key]


def make_job(tool_id: str, values: Mapping[str, Any]) -> Job:
    """A job from what a person, model or script gave.

    Raises:
        ParameterError: For an unknown tool or unusable values.
    """
    tool = tools.load(tool_id)
    return Job(tool, tool.coerce(values))


def read_job(path: Union[str, Path]) -> Job:
    """The job in a JSON file ``{"tool": id, "parameters": {...}}``."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        tool_id, values = content["tool"], content["parameters"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{path} is not a job file ({error}).") from error
    return make_job(tool_id, values)


def run_job(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run ``job`` here, in this process.

    Returns:
        Output parameters and declared results by key, JSON-serialisable.

    Raises:
        EngineError: For everything a user can mend. Whatever the reason a run ends early,
            unfinished output is removed.
    """
    try:
        return job.tool.run(job, reporter)
    finally:
        outputs.discard_unfinished()
