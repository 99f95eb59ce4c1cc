"""The errors the engine raises on purpose: each names the thing at fault and the fix.

Anything else that escapes a tool is a bug and keeps its traceback.
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of every deliberate failure.

    Args:
        message: What is wrong, naming the file, layer, parameter or class at fault.
        fix: What the user can do about it, as a full sentence.
    """

    #: Name used in worker events, so that a reader never has to match message texts.
    code = "error"

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}" if self.fix else self.message


class ParameterError(EngineError):
    """A parameter is missing, malformed, or does not go together with another one."""

    code = "parameter"


class DataError(EngineError):
    """An input raster, layer, label or chip folder cannot be used."""

    code = "data"


class ModelDefinitionError(EngineError):
    """A model definition or package is malformed, incomplete or refers to missing files."""

    code = "model_definition"


class ModelError(EngineError):
    """A model loads or runs differently from what its definition states."""

    code = "model"


class TrainingError(EngineError):
    """Training cannot start or cannot go on (no usable chips, loss is not a number)."""

    code = "training"


class TrustError(EngineError):
    """A model holds code or a pickle, and nobody has agreed to run it."""

    code = "trust"


class OutputError(EngineError):
    """An output cannot be written: it exists, the folder is read-only, the disk is full."""

    code = "output"


class OutOfMemoryError(EngineError):
    """The device ran out of memory even at the smallest batch."""

    code = "out_of_memory"


class RuntimeMissingError(EngineError):
    """A library or the whole deep-learning environment is not installed."""

    code = "runtime_missing"


class CancelledError(EngineError):
    """The user asked to stop. Not a fault; nothing is left under a final name."""

    code = "cancelled"

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)


def error_from_code(code: str, message: str, fix: str = "") -> EngineError:
    """Rebuild an error that crossed a process boundary as ``code``, ``message`` and ``fix``."""
    for kind in EngineError.__subclasses__():
        if kind.code == code:
            return CancelledError(message) if kind is CancelledError else kind(message, fix)
    return EngineError(message, fix)
