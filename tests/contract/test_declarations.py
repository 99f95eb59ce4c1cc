"""Contract over every tool: its declaration is complete, consistent and free of surprises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imagerydl import tools
from imagerydl.cli import build_parser
from imagerydl.errors import ParameterError
from imagerydl.jobs import make_job
from imagerydl.tool import LIST_KINDS, Kind

ROOT = Path(__file__).resolve().parents[2]
TOOLS = tools.all_tools()
PARAMS = [(tool, param) for tool in TOOLS for param in tool.params]

#: Never changed, never removed: saved models and scripts name them.
PUBLISHED = (
    "exporttrainingdata", "trainmodel", "classifypixels", "detectobjects", "classifyobjects", "detectchange",
    "nonmaximumsuppression", "computeaccuracyobjectdetection", "computeaccuracypixelclassification",
    "describemodel", "createmodelpackage", "editmodelpackage", "trustedmodels", "setupruntime",
    "checkruntime",
)  # fmt: skip

each_tool = pytest.mark.parametrize("tool", TOOLS, ids=[tool.id for tool in TOOLS])
each_param = pytest.mark.parametrize(
    ("tool", "param"), PARAMS, ids=[f"{tool.id}-{param.key}" for tool, param in PARAMS]
)


def test_published_ids_stay():
    assert set(PUBLISHED) <= set(tools.TOOL_IDS)


@each_tool
def test_a_tool_lives_in_the_file_of_its_name(tool):
    assert re.fullmatch(r"[a-z]+", tool.id)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", tool.command)
    assert tool.command.replace("-", "") == tool.id
    assert tools.load(tool.id) is tool
    assert (ROOT / "algorithms" / f"{tool.id}.py").is_file()


@each_tool
def test_a_tool_reads_well(tool):
    assert tool.title
    assert tool.title == tool.title.strip()
    assert re.fullmatch(r"[A-Z][a-z]+( [A-Za-z]+)*", tool.group)
    assert re.fullmatch(r"[A-Z][^\n]*\.", tool.summary)
    assert tool.description.strip().endswith((".", ")"))
    for text in (tool.title, tool.summary, tool.description):
        assert not re.search(r"</?[a-z]+>|`|\*\*", text), "no markup: it is shown in dialogs and terminals"
    assert tool.tags
    assert all(tag == tag.strip() for tag in tool.tags)


@each_tool
def test_keys_are_unique_and_upper_case(tool):
    keys = [param.key for param in tool.params]
    assert len(keys) == len(set(keys))
    results = [result.key for result in tool.results]
    assert len(results) == len(set(results))
    outputs = {param.key for param in tool.params if param.is_output}
    assert not outputs & set(results), "an output parameter is a result by itself"
    for key in keys + results:
        assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", key)


@each_tool
def test_required_parameters_come_before_the_others(tool):
    # Imagery may come in several ways, of which one is required; the documented order has it first.
    inputs = [param for param in tool.params if not param.is_output and param.key != "IN_RASTER"]
    required = [param.is_required for param in inputs]
    assert required == sorted(required, reverse=True)


@each_tool
def test_results_have_a_known_kind(tool):
    for result in tool.results:
        assert result.kind in {"number", "text", "file", "folder", "raster"}
        assert result.label


@each_param
def test_a_parameter_reads_well(tool, param):
    assert re.match(r"[A-Z]", param.label)
    assert not param.label.endswith(".")
    assert param.help.rstrip().endswith((".", ")")), "full sentences"
    assert not re.search(r"</?[a-z]+>|`|\*\*", param.help)


@each_param
def test_a_default_is_a_value_of_its_kind(tool, param):
    assert param.coerce(None) == (param.default if param.kind not in LIST_KINDS else [])
    if param.default not in (None, (), []):
        assert param.coerce(param.default) == param.default
    if param.is_required:
        assert param.default is None


@each_param
def test_what_a_kind_needs_is_there_and_nothing_else(tool, param):
    assert bool(param.choices) == (param.kind is Kind.CHOICE)
    if param.parent:
        assert param.kind is Kind.FIELD
        assert tool.param(param.parent).kind in (Kind.FEATURES, Kind.LAYER)
    assert (param.minimum is None and param.maximum is None) or param.kind in (Kind.INTEGER, Kind.NUMBER)
    assert not param.geometry or param.kind in (Kind.FEATURES, Kind.LAYER)
    assert not param.pattern or param.kind is Kind.FOLDER
    assert not param.words or param.kind is Kind.BOOLEAN
    assert set(param.geometry) <= {"point", "line", "polygon"}
    assert "." not in param.extension


@each_param
def test_limits_hold(tool, param):
    for limit, beyond in ((param.minimum, -1), (param.maximum, 1)):
        if limit is not None:
            assert param.coerce(limit) == limit
            with pytest.raises(ParameterError, match=param.key):
                param.coerce(limit + beyond)


@each_tool
def test_the_command_line_takes_every_parameter(tool, capsys):
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([tool.command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for param in tool.params:
        assert param.option in shown


def test_the_command_line_tells_with_what_a_parameter_applies(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["export-training-data", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "Default: FIXED_SIZE. Only with --metadata-format Labeled_Tiles, Imagenet. --" in shown
    assert "need it for points and lines. Not with --metadata-format CycleGAN. --" in shown


@each_tool
def test_an_output_can_be_replaced_only_on_request(tool):
    """An existing output is never destroyed without being asked."""
    if any(param.kind in (Kind.OUT_FOLDER, Kind.OUT_RASTER) for param in tool.params):
        overwrite = tool.param("OVERWRITE")
        assert (overwrite.kind, overwrite.default) == (Kind.BOOLEAN, False)


def test_declarations_need_the_standard_library_alone(by_the_standard_library_alone):
    listed = by_the_standard_library_alone(
        "from imagerydl import cli, jobs, tools, worker\n"
        "print(','.join(tool.id for tool in tools.all_tools()))"
    )
    assert listed == ",".join(tools.TOOL_IDS)


def test_the_three_ways_of_inference_and_the_review_of_results_are_tools():
    """W5, W6, W7: objects, classes of objects, pixels; and how good they are."""
    groups = {tool.id: tool.group for tool in TOOLS}
    assert groups["detectobjects"] == groups["classifyobjects"] == groups["classifypixels"] == "Inference"
    assert groups["computeaccuracyobjectdetection"] == "Accuracy"


@each_tool
def test_scripts_and_notebooks_can_call_every_tool(tool):
    """W32: each is a command, and a job for any Python."""
    assert tool.command in build_parser().format_help()
    with pytest.raises(ParameterError, match="NO_SUCH_PARAMETER"):
        make_job(tool.id, {"NO_SUCH_PARAMETER": 1})


@each_param
def test_what_a_parameter_applies_to_exists(tool, param):
    for key, keywords in param.only_with:
        deciding = tool.param(key)
        assert deciding.kind in (Kind.CHOICE, Kind.BOOLEAN)
        assert keywords
        assert set(keywords) <= set(deciding.choices or (True, False))
        assert not param.is_required, "it could not be left out where it does not apply"
