"""Names of backbones: Esri's spellings, those of the segmentation library, and ``timm:`` names."""

from __future__ import annotations

import difflib
import os

from ...errors import ParameterError

#: No backbone: the plain network of the model type.
NONE = "NONE"


def forbid_downloads() -> None:
    """Keep the model libraries from looking on the network; weights are local files here."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")


def encoder_name(backbone: str) -> str:
    """The segmentation library's name of a backbone.

    Args:
        backbone: ``resnet34``, Esri's ``RESNET34``, or ``timm:`` and a timm name.

    Raises:
        ParameterError: For an unknown one, with the closest known names.
    """
    forbid_downloads()
    import segmentation_models_pytorch as smp

    name = backbone.strip().lower()
    if name.startswith(("timm:", "tu-")):
        import timm

        name, known = name.replace("timm:", "").replace("tu-", "", 1), timm.list_models()
        prefix = "tu-"
    else:
        known, prefix = smp.encoders.get_encoder_names(), ""
    by_lower = {candidate.lower(): candidate for candidate in known}
    if name not in by_lower:
        close = difflib.get_close_matches(name, by_lower, n=5, cutoff=0.5)
        raise ParameterError(
            f"There is no backbone {backbone!r}.",
            f"Use NONE, {', '.join(close or ['resnet34', 'mobilenet_v2', 'efficientnet-b0'])}, "
            "or timm: and the name of a timm model.",
        )
    return prefix + by_lower[name]
