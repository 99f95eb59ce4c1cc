"""Contract over every tool, QGIS side: the algorithm says exactly what the declaration says."""

from __future__ import annotations

import pytest
from qgis.core import QgsProcessingContext

from imagerydl.engine.imagerydl import tools
from imagerydl.engine.imagerydl.tool import Kind

TOOLS = tools.all_tools()


@pytest.fixture(params=TOOLS, ids=[tool.id for tool in TOOLS])
def tool(request):
    return request.param


@pytest.fixture
def algorithm(provider, tool):
    return provider.algorithm(tool.id).create()


def test_identity(algorithm, tool):
    assert algorithm.id() == f"imagerydl:{tool.id}"
    assert algorithm.displayName() == tool.title
    assert algorithm.group() == tool.group
    assert algorithm.groupId().isalnum()
    assert algorithm.tags() == list(tool.tags)
    assert algorithm.shortDescription() == tool.summary
    assert len(algorithm.shortHelpString().split("\n")) == len(tool.description.split("\n\n"))
    assert algorithm.helpUrl().endswith(f"docs/tools/{tool.id}.md")


def test_parameters(algorithm, tool):
    for param in tool.params:
        definition = algorithm.parameterDefinition(param.key)
        assert definition is not None, param.key
        assert definition.description() == param.label
        assert definition.help().startswith(param.help)
        assert definition.isDestination() == param.is_output
        if param.kind is Kind.CHOICE:
            assert definition.options() == list(param.choices)
            assert definition.usesStaticStrings()
        if param.kind in (Kind.INTEGER, Kind.NUMBER, Kind.CHOICE, Kind.TEXT, Kind.BOOLEAN):
            assert definition.defaultValue() == param.default
    known = {param.key for param in tool.params}
    extra = {d.name() for d in algorithm.parameterDefinitions()} - known
    assert all(name.endswith("_SELECTED_ONLY") for name in extra)


def test_only_required_parameters_are_required(algorithm, tool):
    """A saved model goes on working when a tool gets a new parameter with a default."""
    context = QgsProcessingContext()
    for param in tool.params:
        if not param.is_required and not param.is_output:
            assert algorithm.parameterDefinition(param.key).checkValueIsAcceptable(None, context), param.key


def test_outputs(algorithm, tool):
    outputs = {output.name(): output.type() for output in algorithm.outputDefinitions()}
    types = {
        "number": "outputNumber", "text": "outputString", "file": "outputFile", "folder": "outputFolder",
        "raster": "outputRaster",
    }  # fmt: skip
    for result in tool.results:
        assert outputs[result.key] == types[result.kind]
    for param in tool.params:
        assert not param.is_output or param.key in outputs


def test_an_empty_call_is_refused_by_name(algorithm, tool, worker):
    required = [param.key for param in tool.params if param.is_required]
    acceptable, message = algorithm.checkParameterValues({}, QgsProcessingContext())
    if required:
        assert not acceptable
        assert any(key in message for key in required)
