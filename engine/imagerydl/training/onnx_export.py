"""The network as ONNX, for programs without PyTorch, checked against the original."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

#: Largest difference from PyTorch, relative to the largest logit (at least 1).
TOLERANCE = 1e-4

_OPSET = 17


def export_onnx(network: nn.Module, bands: int, path: Path) -> None:
    """Write ``network`` with a dynamic batch, height and width; it gives logits of pixels or of whole images.

    Args:
        network: Takes ``[n, bands, h, w]`` of any size.
        bands: Bands it takes.
        path: File to write.
    """
    plain = copy.deepcopy(network).to("cpu", memory_format=torch.contiguous_format).eval()
    example = torch.rand(2, bands, 48, 80)  # odd multiples, so that no size looks like another
    axes = {0: "batch", 2: "height", 3: "width"}
    with torch.inference_mode():
        is_picture = plain(example).dim() == 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes that tracing fixes are those of the network's layers
        torch.onnx.export(
            plain,
            (example,),
            str(path),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": axes, "logits": axes if is_picture else {0: "batch"}},
            opset_version=_OPSET,
            # The tracing exporter: five times as fast as the other one, and dynamic throughout.
            dynamo=False,
        )


def onnx_difference(network: nn.Module, bands: int, path: Path, size: tuple[int, int]) -> float:
    """Largest difference between the two forms, relative to the largest logit (at least 1).

    Looks at a batch of ``size`` (height, width), and at one image of an odd size.
    """
    import onnxruntime

    plain = copy.deepcopy(network).to("cpu", memory_format=torch.contiguous_format).eval()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = torch.Generator().manual_seed(0)
    worst = 0.0
    for count, height, width in ((2, *size), (1, size[0] + 13, max(1, size[1] // 2 + 1))):
        images = torch.rand(count, bands, height, width, generator=random)
        with torch.inference_mode():
            expected = plain(images).numpy()
        (given,) = session.run(None, {"image": images.numpy()})
        worst = max(worst, float(np.abs(given - expected).max() / max(1.0, np.abs(expected).max())))
    return worst
