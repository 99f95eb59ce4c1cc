"""What a PyTorch file is, and whether opening it runs code, told without opening it. Standard library only.

A pickle is a program: it may call anything it can name. Files that name nothing but tensors and plain
containers load in PyTorch's restricted mode (``weights_only``), whose list this follows; every other one
needs consent (:mod:`.trust`).
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from ..errors import ModelError


class TorchFile(Enum):
    """Kinds of files PyTorch writes."""

    SAFETENSORS = "safetensors"
    TORCHSCRIPT = "a TorchScript program"
    EXPORTED = "an exported program"
    PICKLE = "a pickle"


#: What tensors and plain containers are rebuilt with.
_HARMLESS = re.compile(
    r"collections\.(OrderedDict|Counter)"
    r"|torch\.(\w*Storage|\w*Tensor|Size|device|bfloat16|float\w+|u?int\d+|complex\d+|bool|q\w+)"
    r"|torch\.storage\.(Typed|Untyped)Storage"
    r"|torch\._utils\._rebuild_\w+"
    r"|torch\._tensor\._rebuild_from_type_v2"
    r"|torch\.nn\.parameter\.Parameter"
    r"|torch\.serialization\._get_layout"
    r"|_codecs\.encode"
    r"|(builtins|__builtin__)\.(set|bytearray|complex)"
    r"|numpy\.(core|_core)\.multiarray\.(_reconstruct|scalar)"
    r"|numpy\.(ndarray|dtype)"
)

#: Operators of TorchScript that write or map files of any name.
_FILE_OPERATORS = re.compile(rb"\b(?:torch|aten)\.(?:save|from_file)\s*\(")

#: Old files are several pickles one after the other, with raw numbers behind them.
_PICKLES_OF_OLD_FILES = 5

_OTHER_KINDS = {
    b"\x89HDF": "an HDF5 file, as Keras writes it",
    b"\x08": "an ONNX file",
    b"%PDF": "a PDF file",
    b"<": "a web page",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}


def torch_file_kind(path: Path) -> TorchFile:
    """Which kind of PyTorch file it is, by its content.

    Raises:
        ModelError: If it is none, or damaged.
    """
    if path.suffix.lower() == ".safetensors":
        return TorchFile.SAFETENSORS
    with path.open("rb") as stream:
        start = stream.read(32)
    if start[:1] == b"\x80":
        return TorchFile.PICKLE
    if start[:2] != b"PK":
        kind = next((text for magic, text in _OTHER_KINDS.items() if start.startswith(magic)), "")
        raise ModelError(
            f"{path.name} is no PyTorch file{f' but {kind}' if kind else ''}.",
            "Correct ModelFile in the definition, or copy the file again.",
        )
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] or name for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path.name} is damaged ({error}).", "Copy or download it again.") from error
    if "constants.pkl" in names:
        return TorchFile.TORCHSCRIPT
    if "archive_format" in names or "serialized_exported_program.json" in names:
        return TorchFile.EXPORTED
    if "data.pkl" in names:
        return TorchFile.PICKLE
    raise ModelError(
        f"{path.name} is a zip archive, but none that PyTorch wrote.",
        "Correct ModelFile in the definition. A model package must end with .dlpk.",
    )


def code_in(path: Path) -> str:
    """What runs code when a PyTorch file is opened, as a phrase; "" where nothing does.

    Exported programs count as code: PyTorch evaluates expressions in them and unpickles parts of them.

    Raises:
        ModelError: As :func:`torch_file_kind`.
    """
    kind = torch_file_kind(path)
    if kind is TorchFile.EXPORTED:
        return "an exported PyTorch program, parts of which are evaluated as Python"
    if kind is TorchFile.TORCHSCRIPT:
        return "a TorchScript program that writes or maps files" if _touches_files(path) else ""
    if kind is TorchFile.PICKLE:
        named = sorted(foreign_names(path))
        if named:
            more = ", ..." if len(named) > 3 else ""
            return f"a pickle that calls {', '.join(named[:3])}{more}"
    return ""


def foreign_names(path: Path) -> set[str]:
    """What a pickled file names besides tensors and plain containers."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as stream:
                return _names_of_old_file(stream)
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.endswith(".pkl")]
            found: set[str] = set()
            for name in pickles:
                found |= _foreign(_names(io.BytesIO(archive.read(name))))
            return found
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise ModelError(f"{path.name} is damaged ({error}).", "Copy or download it again.") from error


def _names_of_old_file(stream: BinaryIO) -> set[str]:
    found: set[str] = set()
    for _ in range(_PICKLES_OF_OLD_FILES):
        if not stream.read(1):
            break
        stream.seek(-1, io.SEEK_CUR)
        found |= _foreign(_names(stream))
    return found


def _names(stream: BinaryIO) -> set[str]:
    """All names one pickle looks up."""
    names: set[str] = set()
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            names.add(str(argument).replace(" ", "."))
        elif opcode.name == "STACK_GLOBAL":
            # Its two texts are usually the last ones; PyTorch's restricted mode takes none of these.
            names.add(f"{'.'.join(texts[-2:]) or 'an unknown name'} ")
        elif opcode.name.startswith("EXT"):
            names.add("a registered extension")
        elif isinstance(argument, str):
            texts.append(argument)
    return names


def _foreign(names: set[str]) -> set[str]:
    return {name.strip() for name in names if not _HARMLESS.fullmatch(name)}


def _touches_files(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(
            _FILE_OPERATORS.search(archive.read(name))
            for name in archive.namelist()
            if name.endswith(".py") and "/code/" in name
        )
