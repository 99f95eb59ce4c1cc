"""A detector as ONNX, for programs without PyTorch, checked against the original.

It takes one tile of the size it was trained on: torchvision's detectors count boxes and pad images in
Python, which the exporter writes down as it saw it. A detector with queries takes any number of such tiles.
"""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from torch import Tensor, nn

from ..events import Reporter
from ..models.architectures.object_detector import ObjectDetector
from ..models.architectures.rtdetr import QueryDetector

#: Largest difference in scores, and in pixels of boxes.
SCORE_TOLERANCE, BOX_TOLERANCE = 1e-4, 1e-2

#: Largest difference in logits, and in boxes as shares of the tile.
ANSWER_TOLERANCE = 1e-4

_OPSET = 17


class _Form(nn.Module, ABC):
    """A detector with tensors in place of dictionaries.

    Args:
        detector: The detector.
        names: Of its outputs.

    Attributes:
        axes: Of which tensors the length is left open.
    """

    axes: Mapping[str, Mapping[int, str]]

    def __init__(self, detector: ObjectDetector, names: Sequence[str]) -> None:
        super().__init__()
        self.detector, self.names = detector, tuple(names)

    @abstractmethod
    def difference(self, given: Mapping[str, np.ndarray], image: Tensor) -> str:
        """What the outputs for one image differ in from the original's; "" for nothing."""


class _Lists(_Form):
    """What torchvision's detectors find in one image, as lists."""

    def __init__(self, detector: ObjectDetector) -> None:
        heads = getattr(detector.network, "roi_heads", None)
        gives_masks = heads is not None and heads.has_mask()
        super().__init__(detector, ["boxes", "labels", "scores", *(["masks"] if gives_masks else [])])
        self.axes = {name: {0: "objects"} for name in self.names}

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        (found,) = self.detector(image)
        return tuple(found[name] for name in self.names)

    def difference(self, given: Mapping[str, np.ndarray], image: Tensor) -> str:
        (expected,) = self.detector(image)
        wanted = {name: expected[name].numpy() for name in ("boxes", "scores")}
        if len(given["scores"]) != len(wanted["scores"]):
            return f"it finds {len(given['scores'])} objects where PyTorch finds {len(wanted['scores'])}"
        for name, tolerance in (("scores", SCORE_TOLERANCE), ("boxes", BOX_TOLERANCE)):
            worst = float(np.abs(given[name] - wanted[name]).max(initial=0))
            if worst > tolerance:
                return f"its {name} differ from PyTorch's by {worst:.1e}"
        return ""


class _Answers(_Form):
    """What every query answers, as DETR's exports give it."""

    def __init__(self, detector: ObjectDetector) -> None:
        super().__init__(detector, ["logits", "boxes"])
        self.axes = {name: {0: "batch"} for name in ("image", *self.names)}

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.detector.answers(images)

    def difference(self, given: Mapping[str, np.ndarray], image: Tensor) -> str:
        wanted = np.concatenate([answer[0].numpy() for answer in self.detector.answers(image)], axis=1)
        seen = np.concatenate([given[name][0] for name in self.names], axis=1)
        # Queries are numbered by how sure their places are, of which two may be equally so.
        apart = np.abs(seen[:, None] - wanted[None]).max(axis=2)
        worst = float(max(apart.min(axis=0).max(), apart.min(axis=1).max()))
        return f"its answers differ from PyTorch's by {worst:.1e}" if worst > ANSWER_TOLERANCE else ""


def write_detector_onnx(
    detector: ObjectDetector, samples: np.ndarray, path: Path, reporter: Reporter
) -> Optional[Path]:
    """Write and check the ONNX form: ``image`` in; ``boxes``, ``labels``, ``scores`` (``masks``) out.

    A detector with queries gives ``logits`` ``[n, queries, classes]`` and ``boxes`` ``[n, queries, 4]``:
    centre and size as shares of the tile.

    Args:
        detector: With the limits it shall have.
        samples: Normalised chips ``[n, bands, h, w]`` to compare on.
        path: File to write.
        reporter: Hears how it went.

    Returns:
        The file; None where there is none: hours of training are not thrown away for that.
    """
    plain = copy.deepcopy(detector).to("cpu", memory_format=torch.contiguous_format).eval()
    form = (_Answers if isinstance(plain, QueryDetector) else _Lists)(plain).eval()
    try:
        _export(form, samples[:1], path)
        reason = _difference(form, samples, path)
    except Exception as error:  # noqa: BLE001 - exporter and runtime raise kinds of their own
        reason = str(error).strip().split("\n")[0]
    if not reason:
        height, width = samples.shape[2:]
        reporter.message(f"The ONNX form, for tiles of {width} x {height} pixels, finds what PyTorch finds.")
        return path
    path.unlink(missing_ok=True)
    reporter.warning(f"The model has no ONNX form ({reason}); it runs with PyTorch.")
    return None


def _export(form: _Form, sample: np.ndarray, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes that tracing fixes are meant to be fixed
        torch.onnx.export(
            form,
            (torch.from_numpy(sample),),
            str(path),
            input_names=["image"],
            output_names=list(form.names),
            dynamic_axes=form.axes,
            opset_version=_OPSET,
            dynamo=False,
        )


def _difference(form: _Form, samples: np.ndarray, path: Path) -> str:
    """What the two forms disagree on; "" for nothing."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for sample in samples:
        given = dict(zip(form.names, session.run(list(form.names), {"image": sample[None]})))
        with torch.inference_mode():
            reason = form.difference(given, torch.from_numpy(sample[None]))
        if reason:
            return reason
    return ""
