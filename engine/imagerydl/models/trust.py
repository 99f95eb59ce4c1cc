"""Consent to run code that comes with a model: by content, remembered, revocable.

A Python raster function, a pickle or a Lambda layer can do whatever the user can. It runs only once
somebody has agreed to these very files. Standard library only: QGIS asks through this, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import TrustError

#: Names the file that remembers consent.
FILE_VARIABLE = "IMAGERYDL_TRUST"

#: The parameter that gives consent without a dialog.
PARAMETER = "TRUST_MODEL"


@dataclass(frozen=True)
class ForeignCode:
    """Files of a model that run code when they are used.

    Attributes:
        files: All of them; a change in any asks for consent anew.
        reason: What they hold, as a phrase: "a Python raster function", "a pickle".
    """

    files: tuple[Path, ...]
    reason: str

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents, independent of folder and order."""
        digest = hashlib.sha256()
        for name, content in sorted((path.name, _digest(path)) for path in self.files):
            digest.update(f"{name}\0{content}\n".encode())
        return digest.hexdigest()


def trust_file() -> Path:
    """Where consent is remembered: ``$IMAGERYDL_TRUST``, else the user's settings folder."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "imagerydl" / "trusted.json"


def trusted_models() -> dict[str, str]:
    """What has been agreed to: digest -> a text that names it."""
    try:
        content = json.loads(trust_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}


def is_trusted(code: ForeignCode) -> bool:
    """Whether somebody has agreed to run these files as they are."""
    return code.digest in trusted_models()


def trust(code: ForeignCode) -> None:
    """Remember consent."""
    _write({**trusted_models(), code.digest: ", ".join(str(path) for path in code.files)})


def revoke(digest: str) -> bool:
    """Forget consent; returns whether there was any."""
    known = trusted_models()
    found = known.pop(digest, None) is not None
    if found:
        _write(known)
    return found


def ensure_trusted(code: ForeignCode, consent: bool) -> None:
    """Let a model's code run, or refuse.

    Args:
        code: What would run.
        consent: Whether the user agrees now; it is remembered.

    Raises:
        TrustError: Where nobody has agreed to these files.
    """
    if is_trusted(code):
        return
    if consent:
        trust(code)
        return
    names = ", ".join(path.name for path in code.files)
    raise TrustError(
        f"The model holds {code.reason} ({names}), which can do anything that you can.",
        f"If you trust its author, run again with {PARAMETER} set to true; the choice is remembered for "
        "these very files.",
    )


def _write(known: dict[str, str]) -> None:
    path = trust_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".trusted-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(known, stream, indent=1, sort_keys=True, ensure_ascii=False)
    os.replace(name, path)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
