"""The pages of docs/tools come from the declarations, and nothing is left out."""

from __future__ import annotations

import ast
import importlib.util
import shlex
from pathlib import Path

import pytest

from imagerydl import tools
from imagerydl.cli import build_parser
from imagerydl.jobs import make_job

ROOT = Path(__file__).resolve().parents[2]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load(ROOT / "docs" / "generate.py")
package = load(ROOT / ".ci" / "package.py")


@pytest.mark.parametrize("tool", tools.all_tools(), ids=lambda tool: tool.id)
def test_a_page_documents_every_parameter_and_result(tool):
    page = generate.page(tool)
    for param in tool.params:
        assert f"`{param.key}`<br>{param.label}" in page
        assert param.help.replace("|", "\\|") in page
    for result in tool.results:
        assert f"`{result.key}`" in page
    assert f"imagerydl:{tool.id}" in page


@pytest.mark.parametrize("tool", tools.all_tools(), ids=lambda tool: tool.id)
def test_the_examples_of_a_page_run(tool):
    """W32: the call is Python, the command is known, and both give a job that the tool accepts."""
    examples = generate.page(tool).partition("## In Python")[2]
    call = ast.parse(examples.partition("```python\n")[2].partition("```")[0]).body[0].value
    assert ast.literal_eval(call.args[0]) == f"imagerydl:{tool.id}"
    job = make_job(tool.id, ast.literal_eval(call.args[1]))
    in_qgis, by_command = examples.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert shlex.split(in_qgis)[:3] == ["qgis_process", "run", f"imagerydl:{tool.id}"]
    typed = dict(word.split("=", 1) for word in shlex.split(in_qgis)[4:])
    given = vars(build_parser().parse_args(shlex.split(by_command)[1:]))
    assert make_job(tool.id, typed).values == job.values
    assert make_job(tool.id, {param.key: given[param.key] for param in tool.params}).values == job.values


def test_the_pages_are_those_the_declarations_give():
    """What `make lint` checks; here so that a test run tells as well."""
    drifted = [
        path.name
        for path, text in generate.pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert drifted == [], "run make docs"


def test_a_plugin_that_the_repository_would_refuse_is_told():
    complete = [f"imagerydl/{name}" for name in package.REQUIRED]
    assert package.find_problems(complete) == []
    assert package.find_problems(complete[1:]) == [f"{package.REQUIRED[0]} is missing"]
    for stray in ("imagerydl/a.so", "imagerydl/__pycache__/a.py", "imagerydl/run.sh"):
        assert package.find_problems([*complete, stray]) == [f"{stray} may not be in a plugin"]
