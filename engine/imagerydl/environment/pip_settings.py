"""The user's pip settings, in the words of uv, which does not read them.

Whoever told pip about a company's package index, a folder of wheels or a certificate means it
for this as well.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

#: pip's setting -> uv's variables for it.
_TRANSLATION = {
    "index-url": ("UV_DEFAULT_INDEX",),
    "extra-index-url": ("UV_INDEX",),
    "find-links": ("UV_FIND_LINKS",),
    "cert": ("SSL_CERT_FILE",),
    "proxy": ("HTTPS_PROXY", "HTTP_PROXY"),
    "trusted-host": ("UV_INSECURE_HOST",),
}
#: Older spellings of the same setting of uv.
_ALSO = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}


def uv_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` completed by what pip is told; what is said to uv itself comes first."""
    complete = dict(environment)
    settings = pip_settings(environment)
    for name, variables in _TRANSLATION.items():
        for variable in variables:
            taken = {variable, variable.lower(), _ALSO.get(variable, variable)} & set(environment)
            if name in settings and not taken:
                complete[variable] = _separated(variable, settings[name])
    if "extra-index-url" in settings:
        # pip takes the best version over all indexes, uv the first index that has the package.
        complete.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return complete


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """What pip is told, from its configuration files and, above them, its ``PIP_`` variables."""
    settings: dict[str, str] = {}
    for path in _configuration_files(environment):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, configparser.Error, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    for name in _TRANSLATION:
        value = environment.get("PIP_" + name.upper().replace("-", "_"))
        if value:
            settings[name] = value
    return settings


def _configuration_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Every place pip looks in, the strongest last."""
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:  # pip's way of saying: none at all
        return
    home = Path.home()
    if sys.platform == "win32":
        yield Path(environment.get("PROGRAMDATA", "C:/ProgramData")) / "pip" / "pip.ini"
        yield home / "pip" / "pip.ini"
        yield Path(environment.get("APPDATA", home)) / "pip" / "pip.ini"
    else:
        yield Path("/Library/Application Support/pip/pip.conf")
        yield Path("/etc/xdg/pip/pip.conf")
        yield Path("/etc/pip.conf")
        yield home / ".pip" / "pip.conf"
        yield home / "Library" / "Application Support" / "pip" / "pip.conf"
        yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    if named:
        yield Path(named)


def _separated(variable: str, value: str) -> str:
    # Several values: pip separates them by blanks and line ends, uv's find-links by commas.
    return ("," if variable == "UV_FIND_LINKS" else " ").join(value.split())
