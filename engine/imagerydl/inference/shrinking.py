"""Running batches that may not fit the device: out of memory halves them, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional, TypeVar

from ..errors import OutOfMemoryError

Result = TypeVar("Result")


class ShrinkingBatches:
    """Calls something for batches of any number, in pieces that fit.

    Args:
        device: Where it runs, for messages.
        tell: Receives a sentence when the batch has to shrink.
        what: What a batch consists of.
        at_once: Members a call is best given; None for all of a batch.
    """

    def __init__(
        self, device: str, tell: Callable[[str], None], what: str = "tile", at_once: Optional[int] = None
    ) -> None:
        self._device = device
        self._tell = tell
        self._what = what
        self._limit = at_once or 0  # members a call is given at most; 0: not known to be limited

    def run(self, count: int, size: tuple[int, int], call: Callable[[slice], Result]) -> list[Result]:
        """The results of ``call`` for all of a batch: one, or one for each piece.

        Args:
            count: Members of the batch.
            size: (height, width) of a member, for messages.
            call: Runs a part of the batch; raises MemoryError where it does not fit.

        Raises:
            OutOfMemoryError: If not even one fits.
        """
        while True:
            piece = min(self._limit or count, count)
            try:
                return [call(slice(start, start + piece)) for start in range(0, count, piece)]
            except MemoryError as error:
                if piece == 1:
                    raise OutOfMemoryError(
                        f"{self._device} has not enough memory for a single {self._what} "
                        f"of {size[1]} x {size[0]} pixels.",
                        "Close other programs that use it, or choose DEVICE CPU.",
                    ) from error
                self._limit = piece // 2
                self._tell(
                    f"{self._device} is out of memory with {piece} {self._what}s at a time: going on with "
                    f"{self._limit}. Set batch_size {self._limit} to spare the attempt."
                )
