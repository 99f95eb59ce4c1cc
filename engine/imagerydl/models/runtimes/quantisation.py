"""ONNX networks with 8-bit integer convolutions: made once from real tiles, kept on disk, measured.

Static quantisation: the ranges of activations come from tiles of the raster to be classified. (Dynamic
quantisation leaves convolutions alone.) Unsigned 8-bit activations and signed 8-bit weights, a scale per
channel: the form that x86 processors have instructions for (VNNI).
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelError, RuntimeMissingError
from ..cache import cache_folder
from .precision import INT8, agreement, is_worth_it, sentence, speedup

#: Part of every name in the cache: to be raised when what is made here changes.
_VERSION = 1

Scores = Callable[[Any, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Quantised:
    """A quantised network and what it costs.

    Attributes:
        path: The file.
        agreement: Share of calibration pixels that keep their class.
        speedup: How many times as fast as float32 it is here.
    """

    path: Path
    agreement: float
    speedup: float

    @property
    def is_worth_it(self) -> bool:
        """Whether ``AUTO`` takes it."""
        return is_worth_it(self.speedup, self.agreement)

    @property
    def summary(self) -> str:
        """What was measured, for the user."""
        return sentence(INT8, self.speedup, self.agreement)


def quantised(
    path: Path,
    batches: Sequence[np.ndarray],
    settings: Mapping[str, Any],
    *,
    feed: Callable[[np.ndarray], dict[str, np.ndarray]],
    reopen: Callable[[Path], Any],
    scores: Scores,
    exact: Any,
) -> Quantised:
    """Quantise a network, unless the same was done before.

    Args:
        path: The float32 network.
        batches: Real input; what the ranges come from and the agreement is measured on.
        settings: Whatever else the outcome depends on.
        feed: A batch as the session takes it.
        reopen: Opens a file like the float32 session.
        scores: Scores of a batch in a session.
        exact: The float32 session.

    Raises:
        RuntimeMissingError: Without the package that writes ONNX.
        ModelError: Without tiles, and for a network that cannot be quantised.
    """
    if not batches:
        raise ModelError(
            "The raster has no tile to calibrate INT8 with.", "Use PRECISION FLOAT32, or a raster with data."
        )
    folder = cache_folder("quantised")
    key = _key(path, batches, settings)
    made, notes = folder / f"{path.stem}-{key}.onnx", folder / f"{path.stem}-{key}.json"
    known = _read_notes(notes)
    if made.is_file() and known:
        return Quantised(made, known["agreement"], known["speedup"])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as work:
        new = Path(work) / made.name
        _quantise(path, new, Path(work), [feed(batch) for batch in batches])
        session = reopen(new)
        exact_run, other_run = _runner(scores, exact), _runner(scores, session)
        alike = agreement(exact_run, other_run, batches)
        faster = speedup(exact_run, other_run, batches[0])
        del session, other_run  # Windows does not move a file that is open
        os.replace(new, made)
        (Path(work) / "notes").write_text(
            json.dumps({"agreement": alike, "speedup": faster}), encoding="utf-8"
        )
        os.replace(Path(work) / "notes", notes)
    return Quantised(made, alike, faster)


def _runner(scores: Scores, session: Any) -> Callable[[np.ndarray], np.ndarray]:
    return lambda batch: scores(session, batch)


def _quantise(path: Path, target: Path, work: Path, inputs: Sequence[dict[str, np.ndarray]]) -> None:
    if find_spec("onnx") is None:
        raise RuntimeMissingError(
            "INT8 needs the package onnx, which is not installed.",
            "Run the tool Set Up Deep Learning Runtime, or use PRECISION FLOAT32.",
        )
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Tiles(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._inputs = iter(inputs)

        def get_next(self) -> Any:
            return next(self._inputs, None)

    prepared = work / "prepared.onnx"
    try:
        # Folds constants and joins operators, so that what is quantised is what would run.
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(target),
            Tiles(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
        )
    except Exception as error:  # onnx and onnxruntime raise whatever their checks come upon
        raise ModelError(
            f"{path.name} cannot be brought to INT8 ({error}).", "Use PRECISION FLOAT32."
        ) from error


def _key(path: Path, batches: Sequence[np.ndarray], settings: Mapping[str, Any]) -> str:
    """What a quantised network depends on: weights, tiles, library, processor (for the speed)."""
    import onnxruntime

    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    for batch in batches:
        digest.update(str(batch.shape).encode())
        digest.update(np.ascontiguousarray(batch).tobytes())
    about = {**settings, "version": _VERSION, "library": onnxruntime.__version__, "processor": _processor()}
    digest.update(json.dumps(about, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    import platform

    return f"{platform.machine()} {platform.processor()} {os.cpu_count()}"


def _read_notes(path: Path) -> dict[str, float]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {key: float(content[key]) for key in ("agreement", "speedup")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
