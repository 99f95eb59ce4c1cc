"""Reads the JSON that model definitions are really written in.

Published definitions carry byte-order marks, UTF-16, commas before a closing bracket, missing commas
between lines, and Windows paths with single backslashes. What can be read one way only is read;
anything else is refused with the line at fault. Standard library only.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

from ..errors import ModelDefinitionError

# The parts of JSON text that are not strings are where commas may be mended.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
# A value's end, a line break, and what starts the next key or object: the comma was forgotten.
_MISSING_COMMA = re.compile(r'(["}\]\del])([ \t]*\r?\n\s*["{])')
_ESCAPE = re.compile(r'\\(["\\/bfnrtu])?')


_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[{}\[\]]')


def decode_json_text(content: bytes, name: str) -> str:
    """The text of a JSON file: UTF-8 or UTF-16, with or without a byte-order mark.

    Raises:
        ModelDefinitionError: If it is neither.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif content[:1] == b"\0":
        encoding = "utf-16-be"
    elif content[1:2] == b"\0":
        encoding = "utf-16-le"
    else:
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ModelDefinitionError(
            f"{name} cannot be read as text ({error}).",
            "Give an .emd file saved as UTF-8, or a package.",
        ) from error


def line_of_key(text: str, key: str) -> int:
    """The line, from 1, on which the outermost object has ``key``; 0 where it has not."""
    depth = 0
    for match in _TOKEN.finditer(text):
        mark = match.group()
        if mark in "{[":
            depth += 1
        elif mark in "}]":
            depth -= 1
        elif depth == 1 and match.group(2) and match.group(1) == key:
            return text.count("\n", 0, match.start()) + 1
    return 0


def read_json_object(text: str, name: str) -> dict[str, Any]:
    """The JSON object in ``text``.

    Args:
        text: The text, read leniently.
        name: What to call it in errors (a file name).

    Raises:
        ModelDefinitionError: Naming the line that cannot be read.
    """
    text = text.lstrip("\ufeff")
    for repair in (str, _mend):
        try:
            content = json.loads(repair(text))
            break
        except (ValueError, RecursionError) as error:
            problem = error
    else:
        line = getattr(problem, "lineno", 1)
        shown = text.splitlines()[line - 1].strip() if text.strip() else ""
        raise ModelDefinitionError(
            f"{name} is not JSON: {getattr(problem, 'msg', problem)} at line {line}, {shown[:80]!r}.",
            "Correct that line, or give the definition the model was saved with.",
        )
    if not isinstance(content, dict):
        raise ModelDefinitionError(
            f"{name} holds a JSON {type(content).__name__}, not an object.",
            "A model definition starts with '{' and ends with '}'.",
        )
    return content


def _mend(text: str) -> str:
    # A backslash that escapes nothing was meant as one, in a Windows path.
    text = _STRING.sub(
        lambda string: _ESCAPE.sub(lambda m: m.group() if m.group(1) else "\\\\", string.group()), text
    )
    text = _MISSING_COMMA.sub(r"\1,\2", text)
    # Strings are set aside while commas are removed: a class may be called "a,]".
    strings: list[str] = []

    def keep(match: re.Match) -> str:
        strings.append(match.group())
        return f'"{len(strings) - 1}"'

    bare = _STRING.sub(keep, text)
    bare = _TRAILING_COMMA.sub(r"\1", bare)
    # A full stop after the last brace, as in one published sample.
    bare = re.sub(r"}\s*\.\s*$", "}", bare)
    return _STRING.sub(lambda match: strings[int(match.group()[1:-1])], bare)
