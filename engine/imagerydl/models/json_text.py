"""Reads the JSON that model definitions are really written in.

Published definitions carry byte-order marks, UTF-16, commas before a closing bracket, missing commas
between lines, and Windows paths with single backslashes. What can be read one way only is read;
anything else is refused with the line at fault. Standard library only.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Union

from ..errors import ModelDefinitionError

#: Where a value stands in a JSON text: keys and positions, from the outermost.
Place = tuple[Union[str, int], ...]

# The parts of JSON text that are not strings are where commas may be mended.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
# The end of a value, and on a later line the beginning of the next one: the comma was forgotten.
_MISSING_COMMA = re.compile(r'(["}\]0-9el])([ \t]*(?:\r\n|\r|\n)\s*(?=["{\[]))')
# On the same line only where a key follows, which no value can be.
_MISSING_COMMA_IN_LINE = re.compile(r'(["}\]0-9el])([ \t]*(?="[0-9]+"\s*:))')
_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9A-Fa-f]{4})?')
_TOKEN = re.compile(
    r"""(?P<key>"(?:[^"\\]|\\.)*"(?=\s*:))|"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s{}\[\],:"]+""", re.DOTALL
)


def decode_json_text(content: bytes, name: str) -> str:
    """The text of a file in UTF-8 or UTF-16, with or without a byte-order mark.

    Args:
        content: The file.
        name: What to call it in errors.

    Raises:
        ModelDefinitionError: Naming the line that is neither.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif content[1:2] == b"\0":  # the second byte of a brace, little end first
        encoding = "utf-16-le"
    elif content[:1] == b"\0":
        encoding = "utf-16-be"
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ModelDefinitionError(
            f"{name} cannot be read as text: line {line} is neither UTF-8 nor UTF-16.",
            "Save it as UTF-8, or give the definition that the model was saved with.",
        ) from error
    return text.lstrip("\ufeff")


def read_json_object(text: str, name: str) -> dict[str, Any]:
    """The JSON object in ``text``.

    Args:
        text: The text, read leniently.
        name: What to call it in errors (a file name).

    Raises:
        ModelDefinitionError: Naming the line that cannot be read.
    """
    text = text.lstrip("\ufeff")
    problem: Exception = ValueError("it is empty")
    for mended in (False, True):
        try:
            content = json.loads(mend(text) if mended else text)
            break
        except (ValueError, RecursionError) as error:
            problem = error
    else:
        line = getattr(problem, "lineno", 1)
        lines = text.split("\n")
        shown = lines[line - 1].strip() if line <= len(lines) else ""
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


def mend(text: str) -> str:
    """The text as strict JSON where it can be meant one way only; valid JSON keeps its meaning.

    No line is added or taken away, so that errors name the line as it is in the file.
    """
    strings: list[str] = []

    # Strings are set aside while commas are mended: a class may be called "a,]".
    def keep(match: re.Match) -> str:
        strings.append(_ESCAPE.sub(lambda m: m.group() if m.group(1) else "\\\\", match.group()))
        return f'"{len(strings) - 1}"'

    bare = _STRING.sub(keep, text)
    bare = _MISSING_COMMA.sub(r"\1,\2", bare)
    bare = _MISSING_COMMA_IN_LINE.sub(r"\1,\2", bare)
    bare = _TRAILING_COMMA.sub(r"\1", bare)
    # A full stop after the last brace, as in one published sample.
    bare = re.sub(r"}\s*\.\s*\Z", "}", bare)
    return _STRING.sub(lambda match: strings[int(match.group()[1:-1])], bare)


def line_numbers(text: str) -> dict[Place, int]:
    """The line of every value in a JSON text, counted from 1, as leniently as it is read.

    The line of a value in an object is that of its key. Where a key occurs twice its last line counts, as
    its last value does.
    """
    lines: dict[Place, int] = {}
    place: list[Union[str, int]] = []  # what is being read, from the outermost
    line, seen = 1, 0
    for match in _TOKEN.finditer(text):
        part = match.group()
        line += text.count("\n", seen, match.start())
        seen = match.start()
        if part in "}]":
            del place[-1:]
            continue
        if match.group("key") and place and isinstance(place[-1], str):
            place[-1] = _content(part)
            lines[tuple(place)] = line
            continue
        if not place or isinstance(place[-1], int):
            place[-1:] = [place[-1] + 1] if place else []
            lines[tuple(place)] = line
        if part in "{[":
            place.append("" if part == "{" else -1)
    return lines


def _content(string: str) -> str:
    try:
        return str(json.loads(string))
    except ValueError:
        return string[1:-1]
