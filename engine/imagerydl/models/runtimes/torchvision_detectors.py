"""torchvision's detectors: building one for a state dict, and what its weights and settings tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ...errors import ModelError
from ..architectures.backbones import forbid_downloads
from ..definition import ModelDefinition

#: Where the class scores of each family come from: end of the weights' name, and anchors a position.
_CLASS_HEADS = (
    ("roi_heads.box_predictor.cls_score.weight", 1),
    ("head.classification_head.module_list.0.1.weight", 6),  # SSDlite
    ("head.classification_head.module_list.0.weight", 4),  # SSD
)

#: Of RetinaNet and FCOS, whose anchors a position differ and whose names do not.
_DENSE_HEAD = "head.classification_head.cls_logits.weight"
_BOX_HEAD = "head.regression_head.bbox_reg.weight"

#: Arguments of the builders that ``ModelParameters`` may set.
_SETTINGS = (
    *("min_size", "max_size", "image_mean", "image_std", "box_detections_per_img", "detections_per_img"),
    "topk_candidates",
)

#: What torchvision's networks that it trained itself have in their frozen normalisation.
_FROZEN_EPS = 0.0


def build_detector(definition: ModelDefinition, state: Mapping[str, Any]) -> Any:
    """The detector a state dict belongs to, with fresh weights.

    ``ModelParameters.architecture`` names it. Its number of classes is that of the weights.

    Raises:
        ModelError: If no known one is named, or it cannot be built as the definition says.
    """
    forbid_downloads()
    import torchvision

    parameters = definition.model_parameters
    named = str(parameters.get("architecture") or definition.model_name)
    wanted = named.rpartition(".")[2].lower()
    known = torchvision.models.list_models(torchvision.models.detection)
    if wanted not in known:
        raise ModelError(
            f"{definition.model_file.name} holds weights alone, and {definition.name} does not say of which "
            f"detector{f' that is known here ({named!r})' if named else ''}.",
            f"Name it in ModelParameters.architecture: {', '.join(known)}.",
        )
    channels = class_channels(state)
    if channels is None:
        raise ModelError(
            f"{definition.model_file.name} holds no weights of a {wanted}: it has no layer for classes.",
            "Correct ModelParameters.architecture in the definition.",
        )
    settings = {key: parameters[key] for key in _SETTINGS if key in parameters}
    try:
        network = torchvision.models.get_model(
            wanted, weights=None, weights_backbone=None, num_classes=channels, **settings
        )
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The {wanted} of {definition.name} cannot be built ({error}).",
            f"Correct ModelParameters: of {', '.join(_SETTINGS)} it takes those of torchvision's {wanted}.",
        ) from error
    if not any(name.endswith("num_batches_tracked") for name in state):
        _freeze(network, float(parameters.get("frozen_eps", _FROZEN_EPS)))
    return network


def class_channels(state: Mapping[str, Any]) -> Optional[int]:
    """Class scores that a detector of torchvision with these weights gives, a background among them.

    RetinaNet and FCOS need no background, and some are trained without one. None for weights of another
    network.
    """
    for ending, anchors in _CLASS_HEADS:
        for name, tensor in state.items():
            if name.endswith(ending) and tensor.ndim in (2, 4):
                return tensor.shape[0] // anchors
    scores = next((tensor for name, tensor in state.items() if name.endswith(_DENSE_HEAD)), None)
    boxes = next((tensor for name, tensor in state.items() if name.endswith(_BOX_HEAD)), None)
    if scores is None or boxes is None:
        return None
    return scores.shape[0] // (boxes.shape[0] // 4)


def is_torchvision(network: Any) -> bool:
    """Whether a network, plain or scripted, prepares its pictures as torchvision's detectors do."""
    return all(hasattr(getattr(network, "transform", None), name) for name in ("image_mean", "image_std"))


def own_overlap(network: Any) -> Optional[float]:
    """Overlap of duplicates that a detector of torchvision suppresses; None where it has none."""
    for part in (getattr(network, "roi_heads", None), network):
        overlap = getattr(part, "nms_thresh", None)
        if isinstance(overlap, float):
            return overlap
    return None


def set_limits(network: Any, threshold: float, overlap: float) -> None:
    """Let a detector of torchvision that is plain Python report what is asked for, and no less."""
    import torch

    if isinstance(network, torch.jit.ScriptModule):
        return  # its limits are part of the program
    for part in (getattr(network, "roi_heads", None), network):
        if hasattr(part, "score_thresh") and hasattr(part, "nms_thresh"):
            part.score_thresh, part.nms_thresh = threshold, overlap


def _freeze(network: Any, eps: float) -> None:
    """Put frozen normalisation, which counts no batches, where a fresh network learns it."""
    import torch
    from torchvision.ops import FrozenBatchNorm2d

    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.BatchNorm2d):
                setattr(parent, name, FrozenBatchNorm2d(child.num_features, eps=eps))
