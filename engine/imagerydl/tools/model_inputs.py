"""The model that a tool runs: which, with which arguments, where, and whether its code is trusted."""

from __future__ import annotations

from collections.abc import Iterable

from ..models.arguments import ModelArgument
from ..tool import Kind, Param

DEVICE = Param(
    "DEVICE",
    Kind.TEXT,
    "Device",
    (
        "AUTO (a CUDA graphics card where there is one, else the processor), CPU, CUDA, or CUDA:0, "
        "CUDA:1 and so on."
    ),
    default="AUTO",
    advanced=True,
)

TRUST_MODEL = Param(
    "TRUST_MODEL",
    Kind.BOOLEAN,
    "Trust the model's code",
    (
        "Agree to run code that comes with the model (a Python raster function, a pickle), which can do "
        "anything that you can. The choice is remembered for these very files."
    ),
    default=False,
    advanced=True,
)


def model_definition(what: str = "model", more: str = "") -> Param:
    """``IN_MODEL_DEFINITION``, in any form a model comes in.

    Args:
        what: Kind of model.
        more: What else there is to say, with a blank before it.
    """
    return Param(
        "IN_MODEL_DEFINITION",
        Kind.FILE,
        "Model definition",
        (
            f"The trained {what}: an .emd file, a .dlpk package, the definition's JSON text, or an ONNX "
            f"model (.onnx).{more}"
        ),
        extension="emd dlpk onnx",
    )


def model_arguments(key: str, label: str, example: str, known: Iterable[ModelArgument]) -> Param:
    """The arguments of a run.

    Args:
        key: ``ARGUMENTS`` or ``MODEL_ARGUMENTS``, as ArcGIS calls them in this tool.
        label: Shown in the dialog.
        example: Names and values as they are written.
        known: Those that every model takes.
    """
    told = "; ".join(f"{argument.name}: {argument.help}" for argument in known)
    return Param(
        key,
        Kind.ARGUMENTS,
        label,
        f"Names and values, as in '{example}': {told} A model may declare more of its own.",
        optional=True,
    )
