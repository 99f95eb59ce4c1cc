"""What goes wrong when a network runs in PyTorch, in the words of this engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import ModelError
from .protocol import looks_like_out_of_memory


@contextmanager
def network_errors(name: str, shape: tuple[int, ...]) -> Iterator[None]:
    """Whatever a network raises on a batch, as one of two errors.

    Args:
        name: What to call the network.
        shape: Of the batch ``[n, bands, h, w]``.

    Raises:
        MemoryError: If the device has no room for the batch.
        ModelError: If the network cannot run on it.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise MemoryError(str(error)) from error
    except MemoryError:
        raise
    except Exception as error:  # a network is a program, and may raise anything
        if looks_like_out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise ModelError(
            f"{name} cannot run on {shape[0]} tiles of {shape[3]} x {shape[2]} pixels and {shape[1]} bands "
            f"({error}).",
            "Check that the model fits its definition.",
        ) from error
