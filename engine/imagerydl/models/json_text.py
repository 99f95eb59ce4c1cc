"""Reads the JSON that model definitions are really written in.

Published definitions carry byte-order marks, commas before a closing bracket, missing commas
between lines, and Windows paths with single backslashes. What can be read one way only is read;
anything else is refused with the line at fault. Standard library only.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..errors import ModelDefinitionError

# The parts of JSON text that are not strings are where commas may be mended.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
# A value's end, a line break, and the quote that starts the next key: the comma was forgotten.
_MISSING_COMMA = re.compile(r'(["}\]\del])([ \t]*\r?\n\s*")')
_ESCAPE = re.compile(r'\\(["\\/bfnrtu])?')


def read_json_object(text: str, name: str) -> dict[str, Any]:
    """The JSON object in ``text``.

    Args:
        text: The text, read leniently.
        name: What to call it in errors (a file name).

    Raises:
        ModelDefinitionError: Naming the line that cannot be read.
    """
    text = text.lstrip("\ufeff")
    for candidate in (text, _mend(text)):
        try:
            content = json.loads(candidate)
            break
        except ValueError as error:
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
