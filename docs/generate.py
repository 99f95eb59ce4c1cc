"""Write a page for each tool into docs/tools/, and the page of model definitions, from what declares them.

python docs/generate.py            writes the pages
python docs/generate.py --check    fails where a page is not what it would be
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "engine"))

from imagerydl import tools  # noqa: E402 - found through the line above
from imagerydl.models.definition_keys import KEYS, Key  # noqa: E402
from imagerydl.tool import LIST_KINDS, TABLE_EXTENSIONS, VECTOR_EXTENSIONS, Kind, Param, Tool  # noqa: E402

FOLDER = DOCS / "tools"

_KINDS = {
    Kind.RASTER: "raster",
    Kind.RASTERS: "one or several rasters",
    Kind.FEATURES: "vector layer",
    Kind.LAYER: "vector layer, table or raster",
    Kind.FIELD: "field",
    Kind.FOLDER: "folder",
    Kind.FOLDERS: "one or several folders",
    Kind.FILE: "file",
    Kind.FILES: "one or several files",
    Kind.TEXT: "text",
    Kind.CHOICE: "choice",
    Kind.INTEGER: "whole number",
    Kind.NUMBER: "number",
    Kind.BOOLEAN: "true or false",
    Kind.ARGUMENTS: "names and values",
    Kind.EXTENT: "extent",
    Kind.OUT_FOLDER: "folder to create",
    Kind.OUT_RASTER: "raster to create",
    Kind.OUT_FILE: "file to create",
    Kind.OUT_FEATURES: "vector layer to create",
    Kind.OUT_TABLE: "table to create",
}


def page(tool: Tool) -> str:
    """The page of a tool, Markdown."""
    blocks = [
        f"<!-- Written by docs/generate.py from engine/imagerydl/tools/{tool.id}.py: change that. -->",
        f"# {tool.title}",
        tool.summary,
        tool.description,
        f"Toolbox: **Imagery Deep Learning > {tool.group}**. Algorithm id: `imagerydl:{tool.id}`. "
        f"Command: `imagerydl {tool.command}`.",
        "## Parameters",
        _table(
            ("Parameter", "Takes", "What it does"),
            [(f"`{param.key}`<br>{param.label}", _takes(tool, param), param.help) for param in tool.params],
        ),
    ]
    results = [(f"`{param.key}`", param.label) for param in tool.params if param.is_output]
    results += [(f"`{result.key}`", f"{result.label} ({result.kind})") for result in tool.results]
    blocks += ["## Results", _table(("Result", "What it is"), results)]
    blocks += ["## In Python", "```python\n" + _python_call(tool) + "\n```"]
    blocks += ["## On the command line", "```sh\n" + _commands(tool) + "\n```"]
    return "\n\n".join(blocks) + "\n"


def index() -> str:
    """The page that lists the tools."""
    groups: dict[str, list[Tool]] = {}
    for tool in tools.all_tools():
        groups.setdefault(tool.group, []).append(tool)
    blocks = ["<!-- Written by docs/generate.py. -->", "# Tools"]
    for group, members in groups.items():
        lines = [f"- [{tool.title}]({tool.id}.md): {tool.summary}" for tool in members]
        blocks += [f"## {group}", "\n".join(lines)]
    return "\n\n".join(blocks) + "\n"


def pages() -> dict[Path, str]:
    """Every page by its path."""
    written = {FOLDER / f"{tool.id}.md": page(tool) for tool in tools.all_tools()}
    written[FOLDER / "README.md"] = index()
    written[DOCS / "model-definition.md"] = definition_page()
    return written


def definition_page() -> str:
    """The page of the keys of a model definition, Markdown."""
    rows = [(_key_names(key), _capital(key.takes), _key_default(key), key.meaning) for key in KEYS]
    return (
        "\n\n".join([_FROM_KEYS, _DEFINITION, _table(("Key", "Takes", "Left out", "Meaning"), rows)]) + "\n"
    )


_FROM_KEYS = (
    "<!-- Written by docs/generate.py from engine/imagerydl/models/definition_keys.py: change that. -->"
)

_DEFINITION = """# Model definitions

A model definition (`.emd`) is a JSON object that says what a model is, what it takes and what its
outputs mean. Tools take it as a file, in a package (`.dlpk`), or as the JSON text itself; a bare `.onnx`
file brings its own. `imagerydl:describemodel` shows what is read in one, and what is wrong.

Reading is lenient where a text can be meant in one way only: a byte-order mark, UTF-16, Windows line
ends, commas before a closing bracket, commas forgotten between lines, single backslashes in paths,
numbers and truth as text, and the hints of an exported template ("e.g. 256"), which count as left out.
Writing is strict JSON.

Everything that is wrong is told at once, each fault with its key, its line and what to do. Keys that are
not in this table are kept and not looked at.

Paths lead from the folder of the definition. Windows separators are understood; a path that leads
nowhere, as one of another computer, is looked for by its name beside the definition. Network paths are
tried last."""


def _key_names(key: Key) -> str:
    return "<br>".join(f"`{name}`" for name in (key.name, *key.aliases))


def _key_default(key: Key) -> str:
    if key.needed:
        return f"**needed**, {key.needed}" if key.needed != "always" else "**needed**"
    if key.default in (None, "", (), {}):
        return ""
    return f"`{str(key.default).lower() if isinstance(key.default, bool) else key.default}`"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _takes(tool: Tool, param: Param) -> str:
    parts = [_KINDS[param.kind] + (" or pattern" if param.pattern else "")]
    if param.kind is Kind.OUT_FEATURES:
        parts.append(" or ".join(f".{extension}" for extension in VECTOR_EXTENSIONS))
    if param.kind is Kind.OUT_TABLE and not param.extension:
        parts.append(" or ".join(f".{extension}" for extension in TABLE_EXTENSIONS))
    if param.geometry:
        parts.append("with " + " or ".join(param.geometry) + "s")
    if param.extension:
        parts.append(" or ".join(f".{extension}" for extension in param.extension.split()))
    if param.choices:
        parts.append(", ".join(f"`{choice}`" for choice in param.choices))
    if param.words:
        parts.append("or " + ", ".join(f"`{word}`" for word in param.words))
    limits = [f"from {param.minimum:g}"] if param.minimum is not None else []
    limits += [f"to {param.maximum:g}"] if param.maximum is not None else []
    parts += [" ".join(limits)] if limits else []
    parts += [
        f"{'only' if within else 'not'} with `{key}` {', '.join(f'`{word}`' for word in words)}"
        for key, within, words in tool.conditions(param)
    ]
    if param.is_required:
        parts.append("**required**")
    elif param.default in (None, "", [], {}):
        parts.append("optional")
    else:
        parts.append(f"default `{param.default}`")
    return "<br>".join(parts)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


#: Parameters shown in the example of a tool whose required ones say too little.
_SHOWN = {
    "exporttrainingdata": (
        "IN_RASTER",
        "IN_CLASS_DATA",
        "CLASS_VALUE_FIELD",
        "METADATA_FORMAT",
        "OUT_FOLDER",
    ),
    "classifypixels": ("IN_RASTER", "IN_MODEL_DEFINITION", "OUT_CLASSIFIED_RASTER"),
    "detectobjects": ("IN_RASTER", "IN_MODEL_DEFINITION", "OUT_DETECTED_OBJECTS"),
    "classifyobjects": ("IN_RASTER", "IN_FEATURES", "IN_MODEL_DEFINITION", "OUT_FEATURE_CLASS"),
    "editmodelpackage": ("IN_PACKAGE", "TAGS"),
}

#: What the parameters of an example hold.
_VALUES = {
    "IN_RASTER": "image.tif",
    "FROM_RASTER": "year1.tif",
    "TO_RASTER": "year2.tif",
    "IN_FOLDER": "chips",
    "IN_CLASS_DATA": "labels.gpkg",
    "CLASS_VALUE_FIELD": "classvalue",
    "METADATA_FORMAT": "Classified_Tiles",
    "IN_MODEL_DEFINITION": "model.dlpk",
    "IN_PACKAGE": "model.dlpk",
    "TAGS": "roofs, 0.3 m",
    "IN_FEATURES": "trees.gpkg",
    "IN_FEATURECLASS": "detected.gpkg",
    "DETECTED_FEATURES": "detected.gpkg",
    "GROUND_TRUTH_FEATURES": "truth.gpkg",
    "IN_GROUND_TRUTH_DATA": "truth.gpkg",
    "OUT_FOLDER": "model",
    "OUT_CLASSIFIED_RASTER": "classified.tif",
    "OUT_DETECTED_OBJECTS": "detected.gpkg",
    "OUT_FEATURE_CLASS": "classified.gpkg",
    "OUT_FEATURECLASS": "suppressed.gpkg",
    "OUT_ACCURACY_TABLE": "accuracy.csv",
    "OUT_CONFUSION_MATRIX": "confusion.csv",
    "OUT_PACKAGE": "model.dlpk",
}
#: The same, where a tool means something else by the name.
_VALUES_OF = {
    ("exporttrainingdata", "OUT_FOLDER"): "chips",
    ("createmodelpackage", "IN_MODEL_DEFINITION"): "model.emd",
    ("computeaccuracypixelclassification", "IN_RASTER"): "classified.tif",
}


def _example(tool: Tool) -> list[tuple[Param, str]]:
    """The parameters an example shows, with their values."""
    keys = _SHOWN.get(tool.id) or [param.key for param in tool.params if param.is_required]
    return [(tool.param(key), _VALUES_OF.get((tool.id, key)) or _VALUES[key]) for key in keys]


def _python_call(tool: Tool) -> str:
    shown = [(param.key, [value] if param.kind in LIST_KINDS else value) for param, value in _example(tool)]
    lines = [f'    "{key}": {json.dumps(value)},' for key, value in shown]
    if not lines:
        return f'processing.run("imagerydl:{tool.id}", {{}})'
    return "\n".join([f'processing.run("imagerydl:{tool.id}", {{', *lines, "})"])


def _commands(tool: Tool) -> str:
    shown = [(param, shlex.quote(value)) for param, value in _example(tool)]
    by_key = " ".join(f"{param.key}={value}" for param, value in shown)
    by_option = " ".join(f"{param.option} {value}" for param, value in shown)
    by_key = f" -- {by_key}" if by_key else ""
    return f"qgis_process run imagerydl:{tool.id}{by_key}\nimagerydl {tool.command} {by_option}".rstrip()


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    wanted = pages()
    drifted = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    stray = sorted(set(FOLDER.glob("*.md")) - set(wanted))
    if check:
        for path in [*drifted, *stray]:
            print(f"{path.relative_to(DOCS.parent)} has drifted from the declarations: run make docs")
        return bool(drifted or stray)
    FOLDER.mkdir(exist_ok=True)
    for path in drifted:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"wrote {path.relative_to(DOCS.parent)}")
    for path in stray:
        path.unlink()
        print(f"removed {path.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
