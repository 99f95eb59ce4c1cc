"""The pages of docs/tools come from the declarations, and nothing is left out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from imagerydl import tools

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
