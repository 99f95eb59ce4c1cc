"""How many workers a parallel processing factor means. Standard library only."""

from __future__ import annotations

import os


def worker_count(factor: str) -> int:
    """Threads for a parallel processing factor: "" or 0 is one, "75%" a share of the cores, else a number.

    Raises:
        ValueError: For anything else.
    """
    text = str(factor or "").strip()
    cores = os.cpu_count() or 1
    if text.endswith("%"):
        share = float(text[:-1])
        if not 0 <= share <= 1000:
            raise ValueError(text)
        return max(1, round(cores * share / 100))
    number = int(text or 0)
    if not 0 <= number <= 256:
        raise ValueError(text)
    return max(1, number)
