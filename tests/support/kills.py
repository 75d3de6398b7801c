"""Commands that are killed, or find the disk full, at any file operation below a folder.

A process that has imported everything forks a child for each run, so that a run costs what the
command itself costs. In the child an audit hook sees what ``strace`` would: files opened for
writing, renames, removals, and folders made or removed. A process that is killed leaves the folder
as it is at that moment; so one undisturbed run, whose hook copies the folder before each operation,
gives what a kill at each of them leaves.
"""

import errno
import hashlib
import importlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PLACES = {"os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.mkdir": 2}
"""Events, and where among their arguments a folder's number is that the path is relative to."""
_TORN = b'{"torn": '


@dataclass
class Ended:
    """How a run ended: its exit code, what it printed, the operations that it came to.

    An operation is its name, its path, the copy of the folder before it, and how much was printed.
    """

    code: int
    out: str
    err: str
    operations: list[tuple[str, str, str | None, int]]


@dataclass
class State:
    """What a kill leaves: where, a copy of the folder, and what had been printed."""

    where: str
    copy: Path
    printed: str
    torn: str | None
    """A file that had been opened for writing, and holds something that is no use."""

    def restore(self, below: Path) -> None:
        """Have a folder as the kill left it."""
        restore(self.copy, below)
        if self.torn is not None:
            (below / self.torn).write_bytes(_TORN)


def restore(copy: Path, below: Path) -> None:
    """Have a folder as a copy of it is; without the copy it is not there."""
    shutil.rmtree(below, ignore_errors=True)
    if copy.exists():
        shutil.copytree(copy, below)


class Forge:
    """The process that forks."""

    def __init__(self) -> None:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.kills"], cwd=_ROOT,
            env=os.environ | dict.fromkeys(names, "1"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(
        self,
        call: str,
        arguments: Sequence[Any],
        below: Path,
        *,
        copies: Path | None = None,
        full_at: int | None = None,
        read_only_at: int | None = None,
        limit: int | None = None,
    ) -> Ended:
        """Call a function in a process of its own.

        Args:
            call: "module:function"; it returns an exit code or ``None``.
            arguments: of the function, as text.
            below: the folder whose operations count.
            copies: folder for copies of ``below`` before each operation.
            full_at: number of the operation from which on no file can be made.
            read_only_at: number of the operation from which on nothing can be changed.
            limit: bytes that a file can have; what is written beyond fails, whoever writes it.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        job = {
            "call": call, "arguments": [str(a) for a in arguments], "below": str(below),
            "copies": copies and str(copies), "full_at": full_at, "read_only_at": read_only_at,
            "limit": limit,
        }  # fmt: skip
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return Ended(**json.loads(self.process.stdout.readline()))

    def states(
        self, call: str, arguments: Sequence[Any], below: Path, copies: Path
    ) -> tuple[list[State], Ended]:
        """Run a command undisturbed.

        Returns:
            What a kill at each operation leaves, each state once, and how the run ended.
        """
        ended = self.run(call, arguments, below, copies=copies)
        states, names = [], set()
        for number, (event, path, copy, printed) in enumerate(ended.operations):
            where = f"{number}: {event} {path}"
            if (copy, printed) not in names:
                states.append(State(where, copies / str(copy), ended.out[:printed], None))
            names.add((copy, printed))
            torn = below / path
            if event == "open" and not torn.is_dir() and (copies / str(copy)).exists():
                states.append(State(f"torn {where}", copies / str(copy), ended.out[:printed], path))
        return states, ended

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def command(*arguments: str) -> int:
    """Run a command of the command line; figures are not drawn."""
    from matplotlib.figure import Figure

    from tsgen.cli.app import run

    Figure.savefig = lambda self, file, **options: file.write(b"drawn")  # type: ignore[method-assign]
    return run(list(arguments))


class _Operations:
    """An audit hook that notes operations below a folder, and interferes with them."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.below, self.copies = os.path.realpath(job["below"]), job["copies"]
        self.full_at, self.read_only_at = job["full_at"], job["read_only_at"]
        self.noted: list[tuple[str, str, str | None, int]] = []
        self.is_busy = False

    def __call__(self, event: str, arguments: tuple) -> None:
        if self.is_busy or (event != "open" and event not in _PLACES):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITES):
            return
        self.is_busy = True
        try:
            path = self._path(arguments, _PLACES.get(event))
            if path is not None and (path + "/").startswith(self.below + "/"):
                self._note(event, path)
        finally:
            self.is_busy = False

    def _path(self, arguments: tuple, place: int | None) -> str | None:
        path = arguments[0]
        if isinstance(path, int):
            return None
        folder = -1 if place is None else arguments[place]
        base = os.getcwd() if folder in (None, -1) else os.readlink(f"/proc/self/fd/{folder}")
        return os.path.normpath(os.path.join(base, os.fsdecode(path)))

    def _note(self, event: str, path: str) -> None:
        number = len(self.noted)
        copy = None if self.copies is None else self._copy()
        printed = len(sys.stdout.getvalue())  # type: ignore[attr-defined]
        self.noted.append((event, os.path.relpath(path, self.below), copy, printed))
        if self.read_only_at is not None and number >= self.read_only_at:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        if self.full_at is not None and number >= self.full_at and event in ("open", "os.mkdir"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _copy(self) -> str:
        """Copy the folder, once for each content."""
        whole = hashlib.sha256()
        for path in sorted(Path(self.below).rglob("*")):
            whole.update(os.fsencode(path) + (b"" if path.is_dir() else path.read_bytes()))
        name = whole.hexdigest()[:16] if os.path.exists(self.below) else "none"
        place = Path(self.copies, name)
        if name != "none" and not place.exists():
            shutil.copytree(self.below, place)
        return name


def _child(job: dict[str, Any], told: str, errors: int) -> None:
    os.dup2(errors, 2)
    sys.stdout = io.StringIO()
    operations = _Operations(job)
    module, _, name = job["call"].partition(":")
    function = getattr(importlib.import_module(module), name)
    sys.addaudithook(operations)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if job["limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], limits[1]))
    code = 1
    try:
        code = int(function(*job["arguments"]) or 0)
    except BaseException as error:
        print(f"{type(error).__name__} ended the run: {error}", file=sys.stderr)
    finally:
        operations.is_busy = True
        sys.stderr.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        about = {"operations": operations.noted, "out": sys.stdout.getvalue()}
        Path(told).write_text(json.dumps(about | {"modules": sorted(sys.modules)}))
        os._exit(code)


def _serve() -> None:
    """Fork a child for each line of standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import tsgen.cli.app  # noqa: F401

    for line in sys.stdin:
        job = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            told, (read, write) = f"{folder}/told.json", os.pipe()
            child = os.fork()
            if child == 0:
                _child(job, told, write)
            os.close(write)
            err = os.fdopen(read, errors="replace").read()
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            about = json.loads(Path(told).read_text())
        for name in about.pop("modules"):  # the next child finds them imported
            with suppress(Exception), warnings.catch_warnings(action="ignore"):
                importlib.import_module(name)
        answers.write(json.dumps({"code": code, "err": err, **about}) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
