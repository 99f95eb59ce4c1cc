"""Reading while the model computes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_END: Any = object()


def one_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items in the same order; each is made in another thread while the one before it is used.

    Whoever does not go through to the end must close it, so that nothing is read from what is closed by then.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="one-ahead") as maker:
        waiting = maker.submit(next, items, _END)
        while (item := waiting.result()) is not _END:
            waiting = maker.submit(next, items, _END)
            yield item
