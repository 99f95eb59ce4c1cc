"""Which bands show red, green and blue."""

from __future__ import annotations

from collections.abc import Sequence


def red_green_blue(names: Sequence[str]) -> tuple[int, int, int]:
    """0-based positions of the red, green and blue bands by name, else the first three."""
    lower = [name.strip().lower() for name in names]
    found = []
    for color in ("red", "green", "blue"):
        known = [word for word in (color, color[0]) if word in lower]
        if not known:
            return 0, 1, 2
        found.append(lower.index(known[0]))
    return found[0], found[1], found[2]
