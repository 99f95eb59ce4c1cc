"""Write a page for each tool into docs/tools/, and the page of model definitions, from what declares them.

python docs/generate.py            writes the pages
python docs/generate.py --check    fails where a page is not what it would be
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "engine"))

from imagerydl import tools  # noqa: E402 - found through the line above
from imagerydl.models.definition_keys import KEYS, Key  # noqa: E402
from imagerydl.tool import VECTOR_EXTENSIONS, Kind, Param, Tool  # noqa: E402

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


_EXAMPLES = {
    Kind.RASTERS: ("image.tif", '["image.tif"]'),
    Kind.FOLDERS: ("chips", '["chips"]'),
    Kind.OUT_FOLDER: ("model", '"model"'),
    Kind.OUT_RASTER: ("classified.tif", '"classified.tif"'),
    Kind.FILE: ("model.dlpk", '"model.dlpk"'),
}


#: Parameters of the example of an export.
_EXPORTED = ("IN_RASTER", "IN_CLASS_DATA", "CLASS_VALUE_FIELD", "METADATA_FORMAT", "OUT_FOLDER")


def _example(tool: Tool) -> list[tuple[Param, str, str]]:
    """The parameters an example shows, with their values in a shell and in Python."""
    shown = [param for param in tool.params if param.is_required]
    if tool.id == "exporttrainingdata":
        shown = [tool.param(key) for key in _EXPORTED]
    words = {
        "IN_CLASS_DATA": "labels.gpkg",
        "CLASS_VALUE_FIELD": "classvalue",
        "METADATA_FORMAT": "Classified_Tiles",
    }
    if tool.id == "exporttrainingdata":
        words["OUT_FOLDER"] = "chips"
    example = []
    for param in shown:
        shell, python = _EXAMPLES.get(param.kind, ("", ""))
        if param.key in words:
            shell, python = words[param.key], f'"{words[param.key]}"'
        example.append((param, shell, python))
    return example


def _python_call(tool: Tool) -> str:
    lines = [f'    "{param.key}": {python},' for param, _, python in _example(tool)]
    if not lines:
        return f'processing.run("imagerydl:{tool.id}", {{}})'
    return "\n".join([f'processing.run("imagerydl:{tool.id}", {{', *lines, "})"])


def _commands(tool: Tool) -> str:
    by_key = " ".join(f"{param.key}={shell}" for param, shell, _ in _example(tool))
    by_option = " ".join(f"{param.option} {shell}" for param, shell, _ in _example(tool))
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
