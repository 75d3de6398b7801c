"""A worker of speed.py as its parent sees it."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent


class WorkerFailed(RuntimeError):
    """A worker refused or died; the message says which and why."""


class Worker:
    """Starts a process, asks it for work and ends it.

    Args:
        name: for messages.
        python: its interpreter.
        script: a file of this folder.
        options: what it is to do.
        own_path: whether it sees this process's PYTHONPATH.

    Raises:
        WorkerFailed: from every method, if the process answers with an error or not at all.
    """

    def __init__(
        self, name: str, python: str, script: str, options: dict[str, Any], own_path: bool
    ) -> None:
        self.name = name
        self.folder = tempfile.TemporaryDirectory(prefix="tsgen-speed-")
        self.log = Path(self.folder.name) / "log"
        threads = str(options["threads"])
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        if not own_path:
            environment.pop("PYTHONPATH", None)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [python, "-W", "ignore", str(HERE / script), json.dumps(options)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env=environment, cwd=self.folder.name,
            )  # fmt: skip
        self.about: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Wait until it is ready."""
        try:
            self.about = self._answer()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self.close()

    def ask(self, command: str) -> dict[str, Any]:
        """Have it do something: run, warm or rates."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its last words are in the log
        return self._answer()

    def close(self) -> None:
        """End it, by closing its stdin if that is enough."""
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.folder.cleanup()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            said = self.log.read_text().strip().splitlines()[-1:] or ["nothing was said"]
            raise WorkerFailed(f"{self.name}: the process ended with {code}: {said[0]}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerFailed(f"{self.name}: {answer['error']}")
        return answer
