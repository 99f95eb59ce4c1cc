"""What an interrupted training leaves behind, and when the next run may go on from it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from .. import __version__
from ..chips.folder import ChipPair
from ..outputs import explained
from .settings import TrainingSettings

#: Settings that do not change what is learnt.
_IRRELEVANT = ("out_folder", "overwrite", "device", "folders")

_STATE, _CHECKPOINTS = "state.json", "checkpoints"


class WorkFolder:
    """The folder beside the output in which a training run keeps its checkpoints.

    Args:
        out_folder: The model folder that will appear.
    """

    def __init__(self, out_folder: Path) -> None:
        self.path = out_folder.with_name(f".{out_folder.name}.training")
        self.state: dict[str, Any] = {}

    def open(self, fingerprint: str) -> bool:
        """Take the folder over where it is of the same training, else start with an empty one.

        Returns:
            Whether there is something to go on from.

        Raises:
            OutputError: Where it cannot be written.
        """
        with explained(self.path):
            self.state = self._read_state()
            if self.state.get("fingerprint") != fingerprint:
                self.clear()
                self.save(fingerprint=fingerprint)
        return self.last_checkpoint is not None

    @property
    def last_checkpoint(self) -> Optional[Path]:
        """State after the last finished epoch."""
        return self._existing("last.ckpt")

    @property
    def best_checkpoint(self) -> Optional[Path]:
        """State after the epoch with the best validation accuracy."""
        return self._existing("best.ckpt")

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / _CHECKPOINTS

    def save(self, **values: Any) -> None:
        """Add ``values`` to what the next run is to know."""
        self.state.update(values)
        self.path.mkdir(parents=True, exist_ok=True)
        partial = self.path / (_STATE + ".partial")
        partial.write_text(json.dumps(self.state, indent=1), encoding="utf-8")
        partial.replace(self.path / _STATE)

    def clear(self) -> None:
        """Forget everything."""
        self.state = {}
        shutil.rmtree(self.path, ignore_errors=True)

    def forget_epochs(self) -> None:
        """Forget the checkpoints, keep the rest."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _existing(self, name: str) -> Optional[Path]:
        path = self.checkpoints / name
        return path if path.is_file() else None

    def _read_state(self) -> dict[str, Any]:
        try:
            state = json.loads((self.path / _STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}


def fingerprint(settings: TrainingSettings, pairs: Sequence[ChipPair]) -> str:
    """What makes two trainings the same: settings, chips, starting weights and program version.

    Chips count by name, size and time of change: reading them all would take as long as an epoch.
    """
    digest = hashlib.sha256(__version__.encode())
    content = {key: value for key, value in dataclasses.asdict(settings).items() if key not in _IRRELEVANT}
    digest.update(json.dumps(content, sort_keys=True, default=str).encode())
    files = [path for pair in pairs for path in (pair.image, pair.label, pair.second) if path]
    for start in (settings.pretrained_model, settings.backbone_weights):
        if start and not str(start).lstrip().startswith("{"):
            files.append(Path(start))
    for path in files:
        status = path.stat() if path.is_file() else None
        facts = (str(path), status.st_size, status.st_mtime_ns) if status else (str(path),)
        digest.update(repr(facts).encode())
    return digest.hexdigest()
