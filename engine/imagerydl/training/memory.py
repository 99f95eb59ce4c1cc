"""How much memory there is to use."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Optional

#: Assumed where the system does not say.
_FALLBACK = 4 * 1024**3

# Numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def available_memory() -> int:
    """Bytes of main memory that can be used without swapping, within a container's limit."""
    if sys.platform == "win32":
        return _windows_memory()
    free = _linux_memory()
    if free is None:
        try:
            free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        except (ValueError, OSError):
            free = _FALLBACK
    return min(free, _container_memory(free))


def keep_freed_memory() -> None:
    """Let this process reuse freed memory rather than hand it back to the system at once.

    A training step frees and asks for the same large blocks each time. With glibc's defaults each
    block is mapped and unmapped, and its pages are cleared again: 10 to 15 % of a CPU step.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries lack it
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def _linux_memory() -> Optional[int]:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def _container_memory(otherwise: int) -> int:
    """What a control group (v2) leaves."""
    root = Path("/sys/fs/cgroup")
    try:
        limit, used = ((root / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):  # no such files, or no limit ("max")
        return otherwise


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *((name, ctypes.c_ulonglong) for name in ("total", "free", "a", "b", "c", "d", "e")),
    )


def _windows_memory() -> int:
    status = _MemoryStatus()
    status.length = ctypes.sizeof(status)
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.free) or _FALLBACK
