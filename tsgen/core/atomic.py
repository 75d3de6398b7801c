"""Files and folders that are there whole or not at all, whatever stops the process that writes.

A file is written beside its place and renamed. A folder of several files cannot be renamed into
place where other files are beside them, so it is committed with a redo log: everything is written
into ``model.part``, one rename makes it ``model.ready``, and then its files are moved. Whoever
writes to or opens the folder next finishes a commit that was stopped on its way.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PART = ".part"
"""Ending of what is being written, or removed; it may be thrown away at any time."""
MODEL_PART, READY = f"model{PART}", "model.ready"
"""Folders inside another one: a commit that is being written, and one on its way into place."""
MANIFEST = "manifest.json"
"""File of a saved folder that names all others, with their sizes and hashes. It is written last and
goes into place first, so that files of an older model are not taken for those of the new one."""
_STALE = "stale.json"

_CANNOT_WRITE = frozenset(
    getattr(errno, name)
    for name in ("EACCES", "EDQUOT", "EFBIG", "EIO", "ENOSPC", "EPERM", "EROFS")
    if hasattr(errno, name)
)


class WriteError(OSError):
    """A file or a folder cannot be written: the disk is full or broken, or the place read-only."""

    def __str__(self) -> str:
        """One line that names the place and the reason."""
        return f"{self.filename}: cannot be written ({self.strerror})"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file beside its place, which it takes when it is whole and on the disk.

    Args:
        path: of the file; its folder is made if need be.

    Yields:
        The path to write to. It is removed again if the writing fails.

    Raises:
        WriteError: naming the file, if it cannot be written.
    """
    path = Path(os.path.realpath(path))  # a link stays, what it points to is replaced
    if path.exists() and not path.is_file():  # a pipe or a device
        yield path
        return
    part = path.with_name(path.name + PART)
    with _located(path):
        _make(path.parent)
        try:
            yield part
            if path.exists():
                shutil.copymode(path, part)
            _sync(part)
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                remove(part)
            raise
        _sync(path.parent)


@contextmanager
def committing(folder: Path, stale: Iterable[str] = ()) -> Iterator[Path]:
    """Write several files and folders into a folder, all of them or none.

    Args:
        folder: made if need be.
        stale: names in it that are removed in the same go, unless they are written anew.

    Yields:
        An empty folder to write into. If that fails it is removed, and ``folder`` stays as it was.

    Raises:
        WriteError: naming the folder, if it cannot be written to.
    """
    part = folder / MODEL_PART
    with _located(folder):
        finish_commit(folder)
        remove(part)
        part.mkdir(parents=True)
        try:
            yield part
            names = {path.name for path in part.iterdir()}
            (part / _STALE).write_text(json.dumps(sorted({*stale} - names)))
            for path in (*part.rglob("*"), part):
                _sync(path)
            os.rename(part, folder / READY)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        _sync(folder)
        finish_commit(folder)


def finish_commit(folder: Path) -> None:
    """Move what a commit has ready into place; nothing happens where there is none.

    Raises:
        WriteError: naming the folder, if it cannot be written to; what is ready stays.
    """
    ready = folder / READY
    if not ready.is_dir():
        return
    with _located(folder):
        stale = ready / _STALE
        if stale.exists():
            for name in json.loads(stale.read_text()):
                if name in (".", "..") or Path(name).name != name:  # a stranger's folder
                    raise ValueError(f"{stale}: {name!r} is no name of a file in the folder")
                remove(folder / name)
            stale.unlink()
        for path in sorted(ready.iterdir(), key=lambda path: (path.name != MANIFEST, path.name)):
            place = folder / path.name
            if path.is_dir() or place.is_dir():
                remove(place)
            os.replace(path, place)
        ready.rmdir()
        _sync(folder)


def discard(path: Path) -> None:
    """Remove a file or a folder, if it is there, so that no half of it is taken for the whole."""
    trash = path.with_name(path.name + PART)
    with _located(path):
        remove(trash)  # of a removal that was stopped
        with suppress(FileNotFoundError):
            os.rename(path, trash)
        remove(trash)


class FolderInUse(ValueError):
    """Another process, or another thread, writes to a folder."""


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Keep others from writing to a folder; a process that ends, however it ends, lets go of it.

    Args:
        folder: made if need be; a folder that was made and is still empty in the end is removed.
        wait: until it is free, where somebody else has it.

    Raises:
        FolderInUse: if somebody else has it.
        WriteError: naming the folder, if it cannot be made.
    """
    folder = Path(os.path.abspath(folder))
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with _located(folder):
        _make(folder)
    handle = None
    try:
        if fcntl is not None:
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise FolderInUse(
                    f"{folder}: another process is writing to this folder; wait for its end or "
                    "choose another folder"
                ) from None
            except OSError:  # a file system without locks
                pass
        yield
    finally:
        with suppress(OSError):
            for path in missing:
                if not os.listdir(path):
                    path.rmdir()
        if handle is not None:
            os.close(handle)


@contextmanager
def _located(path: Path) -> Iterator[None]:
    """Turn what a full disk or a read-only place raises into an error that names the place."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise WriteError(error.errno, error.strerror, str(path)) from error


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there, one file after the other."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink(missing_ok=True)


def _make(folder: Path) -> None:
    """Make a folder and those around it, if they are not there."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)


def _sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or what a folder lists."""
    if path.is_dir() and fcntl is None:  # Windows cannot open a folder
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL, errno.ENOTSUP):  # there is no such sync
            raise
    finally:
        os.close(handle)
