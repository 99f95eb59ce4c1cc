"""Outputs appear under their final name only when complete.

Files and folders are written under a temporary name beside the final one (same disk, so the last
step is one rename) and are removed if the run ends before that. Standard library only.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Union

from .errors import CancelledError, OutputError

#: Marks names that are not finished; a run that was killed may leave one, the next run of the
#: same output removes it.
SUFFIX = ".unfinished"

_unfinished: set[Path] = set()


def staging_path(final: Union[str, Path]) -> Path:
    """Where ``final`` is written until it is complete: hidden, beside it, same extension."""
    final = Path(final)
    return final.with_name(f".{final.stem}{SUFFIX}{final.suffix}")


@contextmanager
def staged(final: Union[str, Path], overwrite: bool = False) -> Iterator[Path]:
    """Write a file or folder so that it appears complete or not at all.

    Args:
        final: Path to appear; its parent folders are created.
        overwrite: Whether an existing ``final`` may be replaced (after the new one is complete).

    Yields:
        The path to write to. The caller creates a file or a folder there.

    Raises:
        OutputError: If ``final`` exists and may not be replaced, or cannot be written.
    """
    final = Path(final)
    ensure_free(final, overwrite)
    staging = staging_path(final)
    with explained(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove(staging)
        _unfinished.add(staging)
        try:
            yield staging
            _publish(staging, final)
        finally:
            _remove_with_sidecars(staging)
            _unfinished.discard(staging)


@contextmanager
def work_folder(final: Union[str, Path], keep: bool = True) -> Iterator[Path]:
    """A hidden folder beside ``final`` for what is gathered on the way to it.

    It is removed at the end, and when the run fails. A cancelled or killed run leaves it, for the
    next run of the same output to go on from.

    Args:
        final: The output.
        keep: Whether what an earlier run left may be gone on with; otherwise it is removed first.

    Yields:
        The folder, which may not exist yet.
    """
    folder = _work_folder(final)
    with explained(folder):
        if not keep:
            _remove(folder)
        try:
            yield folder
        except CancelledError:
            raise
        except Exception:
            _remove(folder)
            raise
        _remove(folder)


def has_work_folder(final: Union[str, Path]) -> bool:
    """Whether an earlier run of ``final`` left what it had gathered."""
    return _work_folder(final).is_dir()


def _work_folder(final: Union[str, Path]) -> Path:
    return Path(final).with_name(f".{Path(final).stem}{SUFFIX}")


@contextmanager
def resumable(final: Union[str, Path], overwrite: bool = False, add: bool = False) -> Iterator[Path]:
    """Write a folder like :func:`staged`, but keep what is unfinished for a run that goes on from it.

    A cancelled or killed run leaves its folder under the hidden name; whoever writes it next finds
    it there. Any other failure removes it.

    Args:
        final: Folder to appear; its parent folders are created.
        overwrite: Whether an existing ``final`` may be replaced (after the new one is complete).
        add: Whether the files are added to an existing ``final``, in place of those of one name.

    Yields:
        The folder to write in, which may hold what an earlier run left.
    """
    final = Path(final)
    if not add:
        ensure_free(final, overwrite)
    staging = staging_path(final)
    with explained(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield staging
            if add and final.is_dir():
                _merge(staging, final)
            else:
                _publish(staging, final)
        except CancelledError:
            raise
        except Exception:
            _remove_with_sidecars(staging)
            raise


def _merge(staging: Path, final: Path) -> None:
    """Move every file over; those at the root, which describe the others, last."""
    files = [path for path in staging.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: (-len(path.relative_to(staging).parts), path)):
        target = final / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
    shutil.rmtree(staging)


def empty_folder(folder: Union[str, Path]) -> None:
    """Make ``folder`` an empty folder."""
    _remove(Path(folder))
    Path(folder).mkdir(parents=True)


def ensure_free(final: Union[str, Path], overwrite: bool = False) -> None:
    """Raise :class:`OutputError` where writing ``final`` would destroy something unasked.

    An empty folder and an empty file (what temporary-file helpers make) do not count.
    """
    final = Path(final)
    if overwrite or not final.exists():
        return
    empty = not any(final.iterdir()) if final.is_dir() else final.stat().st_size == 0
    if not empty:
        raise OutputError(
            f"{final} already exists.",
            "Choose another name, or set OVERWRITE to replace it.",
        )


@contextmanager
def explained(path: Union[str, Path]) -> Iterator[None]:
    """Turn operating-system errors while writing ``path`` into an :class:`OutputError`."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutputError(
                f"The disk of {path} is full.", "Free some space, or write to another disk."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise OutputError(
                f"{path} cannot be written ({error.strerror}).", "Choose a folder you may write to."
            ) from error
        raise


def discard_unfinished() -> None:
    """Remove everything that is still being written (last act of a run that ends early)."""
    for path in list(_unfinished):
        _remove_with_sidecars(path)
        _unfinished.discard(path)


def _publish(staging: Path, final: Path) -> None:
    if final.is_dir():
        shutil.rmtree(final)
    elif final.exists():
        # Overviews and statistics of the file that goes would be taken for those of the new one.
        for stale in _sidecars(final):
            _remove(stale)
    os.replace(staging, final)
    # GDAL writes sidecars beside the name it was given: they follow the file.
    for sidecar in _sidecars(staging):
        os.replace(sidecar, final.with_name(final.name + sidecar.name[len(staging.name) :]))


def _sidecars(path: Path) -> list[Path]:
    return [other for other in path.parent.glob("*") if other.name.startswith(path.name + ".")]


def _remove_with_sidecars(path: Path) -> None:
    if path.parent.is_dir():
        for other in [path, *_sidecars(path)]:
            _remove(other)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists() or path.is_symlink():
        path.unlink(missing_ok=True)
