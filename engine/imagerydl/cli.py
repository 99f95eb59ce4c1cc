"""The command line, made from the tools' declarations.

``imagerydl classify-pixels --in-raster a.tif --in-model-definition m.dlpk ...``
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any, Optional

from . import __version__, tools, worker
from .errors import CancelledError, EngineError
from .events import Reporter, terminal_sink
from .jobs import make_job, run_job
from .tool import LIST_KINDS, Kind, Param, Tool

EXIT_BAD_USAGE = 2


def _add_option(parser: argparse.ArgumentParser, tool: Tool, param: Param) -> None:
    described = param.help
    if param.choices:
        described += f" One of: {', '.join(param.choices)}."
    if param.default not in (None, "", [], {}):
        described += f" Default: {param.default}."
    for key, within, keywords in tool.conditions(param):
        described += f" {'Only' if within else 'Not'} with {tool.param(key).option} {', '.join(keywords)}."
    options: dict[str, Any] = {
        "dest": param.key,
        "help": described.replace("%", "%%"),
        "required": param.is_required,
        "metavar": param.kind.value.upper(),
    }
    if param.kind in LIST_KINDS:
        options["nargs"] = "+"
    elif param.kind is Kind.BOOLEAN:
        options["nargs"] = "?"
        options["const"] = True
    elif param.kind is Kind.ARGUMENTS:
        options["nargs"] = "+"
        options["metavar"] = "NAME=VALUE"
    parser.add_argument(param.option, **options)


def _arguments_value(items: Sequence[str]) -> Any:
    """``padding=8 batch_size=4``, or the one-string ArcGIS form ``"padding 8;batch_size 4"``."""
    if all("=" in item for item in items):
        return dict(item.split("=", 1) for item in items)
    return ";".join(items)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command, one per tool."""
    parser = argparse.ArgumentParser(
        prog="imagerydl", description="Deep learning on imagery: export, train, classify."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for tool in tools.all_tools():
        command = commands.add_parser(
            tool.command,
            help=tool.summary,
            description=f"{tool.summary}\n\n{tool.description}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(tool=tool)
        for param in tool.params:
            _add_option(command, tool, param)
    return parser


def _run(tool: Tool, arguments: argparse.Namespace) -> int:
    values = {param.key: getattr(arguments, param.key) for param in tool.params}
    for param in tool.params:
        if param.kind is Kind.ARGUMENTS and values[param.key] is not None:
            values[param.key] = _arguments_value(values[param.key])
    cancelled = threading.Event()

    def ask_to_stop(signum: int, frame: Any) -> None:
        if cancelled.is_set():  # a second Ctrl-C means it
            raise KeyboardInterrupt
        cancelled.set()

    signal.signal(signal.SIGINT, ask_to_stop)
    signal.signal(signal.SIGTERM, ask_to_stop)
    result = run_job(make_job(tool.id, values), Reporter(terminal_sink, cancelled.is_set))
    print(json.dumps(result, indent=2, ensure_ascii=False, default=str))
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; returns the exit status (0, 1 failed, 2 bad usage, 3 cancelled)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if len(argv) == 2 and argv[0] == "worker":  # not for people, and in a hurry: no parser is built
        return worker.main(argv[1])
    arguments = build_parser().parse_args(argv)
    try:
        return _run(arguments.tool, arguments)
    except CancelledError:
        print("Cancelled.", file=sys.stderr)
        return worker.EXIT_CANCELLED
    except EngineError as error:
        print(f"Error: {error}", file=sys.stderr)
        return EXIT_BAD_USAGE if error.code == "parameter" else worker.EXIT_FAILED
    except Exception:  # noqa: BLE001 - a bug: show where
        traceback.print_exc()
        return worker.EXIT_FAILED
