"""A detector as ONNX, for programs without PyTorch, checked against the original.

It takes one tile of the size it was trained on: torchvision's detectors count boxes and pad images in
Python, which the exporter writes down as it saw it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from torch import Tensor, nn

from ..events import Reporter

#: Largest difference in scores, and in pixels of boxes.
SCORE_TOLERANCE, BOX_TOLERANCE = 1e-4, 1e-2

_OPSET = 17


class _Answers(nn.Module):
    """A detector for one image, with tensors in place of dictionaries."""

    def __init__(self, detector: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.detector, self.names = detector, tuple(names)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        (found,) = self.detector(image)
        return tuple(found[name] for name in self.names)


def write_detector_onnx(
    detector: nn.Module, samples: np.ndarray, path: Path, reporter: Reporter
) -> Optional[Path]:
    """Write and check the ONNX form: ``image`` in; ``boxes``, ``labels``, ``scores`` (``masks``) out.

    Args:
        detector: With the limits it shall have.
        samples: Normalised chips ``[n, bands, h, w]`` to compare on.
        path: File to write.
        reporter: Hears how it went.

    Returns:
        The file; None where there is none: hours of training are not thrown away for that.
    """
    plain = copy.deepcopy(detector).to("cpu", memory_format=torch.contiguous_format).eval()
    try:
        _export(plain, samples[:1], path)
        reason = _difference(plain, samples, path)
    except Exception as error:  # noqa: BLE001 - exporter and runtime raise kinds of their own
        reason = str(error).strip().split("\n")[0]
    if not reason:
        height, width = samples.shape[2:]
        reporter.message(f"The ONNX form, for tiles of {width} x {height} pixels, finds what PyTorch finds.")
        return path
    path.unlink(missing_ok=True)
    reporter.warning(f"The model has no ONNX form ({reason}); it runs with PyTorch.")
    return None


def _export(detector: nn.Module, sample: np.ndarray, path: Path) -> None:
    heads = getattr(detector.network, "roi_heads", None)
    names = ["boxes", "labels", "scores"]
    if heads is not None and heads.has_mask():
        names.append("masks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes that tracing fixes are meant to be fixed
        torch.onnx.export(
            _Answers(detector, names).eval(),
            (torch.from_numpy(sample),),
            str(path),
            input_names=["image"],
            output_names=names,
            dynamic_axes={name: {0: "objects"} for name in names},
            opset_version=_OPSET,
            dynamo=False,
        )


def _difference(detector: nn.Module, samples: np.ndarray, path: Path) -> str:
    """What the two forms disagree on; "" for nothing."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for sample in samples:
        given = dict(zip((o.name for o in session.get_outputs()), session.run(None, {"image": sample[None]})))
        with torch.inference_mode():
            (expected,) = detector(torch.from_numpy(sample[None]))
        wanted = {name: expected[name].numpy() for name in ("boxes", "scores")}
        if len(given["scores"]) != len(wanted["scores"]):
            return f"it finds {len(given['scores'])} objects where PyTorch finds {len(wanted['scores'])}"
        for name, tolerance in (("scores", SCORE_TOLERANCE), ("boxes", BOX_TOLERANCE)):
            worst = float(np.abs(given[name] - wanted[name]).max(initial=0))
            if worst > tolerance:
                return f"its {name} differ from PyTorch's by {worst:.1e}"
    return ""
