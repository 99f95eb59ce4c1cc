"""Batches of raw chips, in the order an epoch wants them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional, Protocol

import numpy as np
import torch
from torch import Tensor

from ..chips.folder import ChipPair
from .dataset import READERS

#: Pixel types that tensors take as they are; others become float32.
_TENSOR_TYPES = (np.uint8, np.int16, np.int32, np.float32)


class ChipSource(Protocol):
    """Chips with labels, in memory or read as needed.

    Attributes:
        images: ``[chips, bands, height, width]``; None where chips are read as needed.
        shape: (bands, height, width) of a chip.
        class_names: Of the classes that are told apart, in order.
        pairs: The files.
    """

    images: Optional[np.ndarray]
    pairs: tuple[ChipPair, ...]

    @property
    def shape(self) -> tuple[int, int, int]: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, Any]:
        """Images ``[n, bands, h, w]`` and labels of some chips."""


class ChipBatches:
    """An iterable of ``(images, labels)`` batches; each iteration is one epoch.

    Args:
        data: The chips.
        indices: Which of them.
        batch_size: Chips a batch.
        seed: Shuffles; None keeps the order of ``indices``.
        epoch: Says which epoch an iteration is for: its order depends on that alone.
        drop_last: Leave out a last batch that is not full, where that loses little: four full
            ones are there, or it holds a single chip, which batch normalisation cannot take.
    """

    def __init__(
        self,
        data: ChipSource,
        indices: np.ndarray,
        batch_size: int,
        seed: Optional[int] = None,
        epoch: Callable[[], int] = lambda: 0,
        drop_last: bool = False,
    ) -> None:
        self.data, self.indices, self.batch_size = data, indices, batch_size
        self._seed, self._epoch = seed, epoch
        full, rest = divmod(len(indices), batch_size)
        self.drop_last = drop_last and (full >= 4 or (full >= 1 and rest == 1))

    def __len__(self) -> int:
        full, rest = divmod(len(self.indices), self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self.indices
        if self._seed is not None:
            order = np.random.default_rng([self._seed, self._epoch()]).permutation(order)
        parts = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(self))]
        taken = map(self.data.take, parts) if self.data.images is not None else self._read_ahead(parts)
        for images, labels in taken:
            if images.dtype not in _TENSOR_TYPES:
                images = images.astype(np.float32)
            is_array = isinstance(labels, np.ndarray)  # objects are tensors already
            yield torch.from_numpy(images), torch.from_numpy(labels) if is_array else labels

    def _read_ahead(self, parts: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        with ThreadPoolExecutor(READERS) as pool:
            waiting = iter(parts)
            ahead = deque(pool.submit(self.data.take, part) for part, _ in zip(waiting, range(READERS)))
            while ahead:
                batch = ahead.popleft().result()
                following = next(waiting, None)
                if following is not None:
                    ahead.append(pool.submit(self.data.take, following))
                yield batch
