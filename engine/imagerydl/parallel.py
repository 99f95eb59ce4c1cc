"""How many workers a parallel processing factor means. Standard library only."""

from __future__ import annotations

import os

from .errors import ParameterError


def worker_count(factor: str) -> int:
    """Workers for ``PARALLEL_PROCESSING_FACTOR``: "" or 0 is one, "75%" a share of the cores, else a number.

    Raises:
        ParameterError: For anything else.
    """
    text = str(factor or "").strip()
    cores = os.cpu_count() or 1
    try:
        if text.endswith("%"):
            share = float(text[:-1])
            if 0 <= share <= 1000:
                return max(1, round(cores * share / 100))
        elif 0 <= int(text or 0) <= 256:
            return max(1, int(text or 0))
    except ValueError:
        pass  # said below
    raise ParameterError(
        f"PARALLEL_PROCESSING_FACTOR cannot be {factor!r}.",
        "Give a number of workers, or a share of the processor's cores such as 75%.",
    )
