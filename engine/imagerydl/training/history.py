"""The record of the epochs: one row each, in the log, in the checkpoints and to the user."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ..events import Reporter

Row = dict[str, float]


class EpochHistory(Callback):
    """Gathers one row per epoch and hands it to Lightning's CSVLogger.

    The rows travel in the checkpoints, so that a resumed run has the whole record.

    Args:
        class_names: Name of each output channel.
        shown: Names of the measures that the user sees.
        reporter: Hears each epoch's measures.
    """

    def __init__(self, class_names: Sequence[str], shown: Sequence[str], reporter: Reporter) -> None:
        self.class_names, self._shown, self._reporter = tuple(class_names), tuple(shown), reporter
        self.rows: list[Row] = []
        self._started = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.rows = [dict(row) for row in state_dict["rows"]]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the rows of the earlier run again: a logger starts with an empty file."""
        for row in self.rows:
            self._log(trainer, row)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's row (validation is over by now)."""
        row: Row = {
            "epoch": trainer.current_epoch + 1,
            "learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"]),
            **pl_module.measures,
            **pl_module.class_measures(self.class_names),
            "seconds": round(time.monotonic() - self._started, 2),
        }
        self.rows.append(row)
        self._log(trainer, row)
        self._reporter.metric(
            f"Epoch {row['epoch']} of {trainer.max_epochs}", {name: row[name] for name in self._shown}
        )

    @staticmethod
    def _log(trainer: Trainer, row: Row) -> None:
        if trainer.logger is not None:
            trainer.logger.log_metrics(row, step=int(row["epoch"]))
            trainer.logger.save()


def write_log(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as CSV; a class that does not occur has an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({name: "" if value != value else value for name, value in row.items()})
