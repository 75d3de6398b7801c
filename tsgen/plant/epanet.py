"""EPANET's toolkit as wntr ships it: opened in a folder of its own, its errors in words."""

import contextlib
import ctypes
import os
import re
import tempfile
import threading
from collections import Counter
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tsgen.core import OptionError

_OPENING = threading.Lock()
_OVERLONG = re.compile(r"^[^;\[\n]*\s(\d+:\d+:\d+:\S+)", re.MULTILINE)  # EPANET would abort

# codes of EPANET 2.2 (epanet2_enums.h)
DURATION, HYDRAULIC_STEP, PATTERN_STEP, PATTERN_START, REPORT_STEP, START_CLOCK = 0, 1, 3, 4, 5, 10
NODES, LINKS, CONTROLS, RULES = 0, 2, 5, 6
JUNCTION, RESERVOIR, TANK = 0, 1, 2
CHECK_VALVE, PIPE, PUMP, GENERAL_VALVE = 0, 1, 2, 8
ELEVATION, DEMAND, HEAD, PRESSURE, MIN_LEVEL, MAX_LEVEL, VOLUME = 0, 9, 10, 11, 20, 21, 24
HEAD_PATTERN, PUMP_PATTERN, PRICE_PATTERN = 2, 15, 22
FLOW, STATUS, SETTING = 8, 11, 12
LOW_LEVEL, HIGH_LEVEL, TIMER, TIME_OF_DAY = 0, 1, 2, 3
NEGATIVE_PRESSURE = 6
FLOW_UNITS = ("CFS", "GPM", "MGD", "IMGD", "AFD", "LPS", "LPM", "MLD", "CMH", "CMD")


def networks() -> dict[str, Path]:
    """The networks that wntr ships, by name.

    Raises:
        ImportError: if wntr is not installed.
    """
    import_toolkit()
    import wntr

    folder = Path(wntr.__file__).parent / "library" / "networks"
    return {path.stem: path for path in sorted(folder.glob("*.inp"))}


def find_network(network: str | os.PathLike) -> Path:
    """The file of a network given by name or by path.

    Raises:
        ValueError: if there is none.
        ImportError: if wntr is not installed.
    """
    bundled = networks()
    if str(network) in bundled:
        return bundled[str(network)]
    path = Path(network)
    if path.suffix.lower() != ".inp" or not path.is_file():
        expected = f"one of {', '.join(bundled)} or the path of an .inp file that exists"
        raise OptionError("", "network", str(network), expected)
    return path.resolve()


@cache
def import_toolkit() -> tuple[type, dict[int, str]]:
    """The class of wntr for the toolkit, and EPANET's words for its codes.

    Raises:
        ImportError: if wntr or what it needs is not installed.
    """
    try:
        from wntr.epanet.exceptions import EN_ERROR_CODES
        from wntr.epanet.toolkit import ENepanet
    except ImportError as error:
        raise ImportError(
            f"plants need wntr, which cannot be imported ({error}); "
            'pip install "tsgen-forecast[plant]"'
        ) from error
    return ENepanet, EN_ERROR_CODES


class Epanet:
    """One EPANET project; a context manager.

    EPANET keeps a report file and, while it opens a project, three files of random names in the
    working directory. Both go to a temporary folder, which :meth:`close` removes; of the second
    kind only where the working directory cannot be written to, for changing it concerns every
    thread. Projects of one process, and of several, do not know each other.

    Args:
        path: of an .inp file.

    Attributes:
        warnings: how many times each warning came (codes 1 to 6), by code.

    Raises:
        ValueError: if EPANET cannot read the file.
        ImportError: if wntr is not installed.
    """

    def __init__(self, path: Path) -> None:
        kind, self._words = import_toolkit()
        wrong = _OVERLONG.search(path.read_text("latin-1"))
        if wrong:
            raise ValueError(
                f"network={str(path)!r}: it holds the time {wrong[1]!r}, expected hours:minutes or "
                "hours:minutes:seconds"
            )
        self.warnings: Counter[int] = Counter()
        self.time = 0
        self._folder = tempfile.TemporaryDirectory(prefix="tsgen-plant-")
        self._toolkit = kind()
        self._library = self._toolkit.ENlib
        self._project: Any = ctypes.c_uint64()
        self._library.EN_createproject(ctypes.byref(self._project))
        folder = Path(self._folder.name)
        files = (os.fsencode(path), os.fsencode(folder / "report"), os.fsencode(folder / "binary"))
        elsewhere = not os.access(os.getcwd(), os.W_OK)
        with _OPENING, contextlib.chdir(folder) if elsewhere else contextlib.nullcontext():
            code = self._library.EN_open(self._project, *files)
        if code >= 100:
            self.close()
            raise ValueError(
                f"network={str(path)!r}: EPANET cannot read it, error {code} ({self.say(code)})"
            )

    def call(self, name: str, *args: Any) -> int:
        """Call a function of the toolkit with the project and these arguments; count its warning.

        Returns:
            The code of the warning, 0 for none.

        Raises:
            RuntimeError: for an error of EPANET (codes from 100), with its code, words and time.
        """
        code = int(getattr(self._library, f"EN_{name}")(self._project, *args))
        if code >= 100:
            raise RuntimeError(
                f"EPANET error {code} in {name} after {self.time} s ({self.time / 86400:.3f} days) "
                f"of simulated time: {self.say(code)}"
            )
        if code:
            self.warnings[code] += 1
        return code

    def integer(self, name: str, *args: Any) -> int:
        """An integer that a function of the toolkit returns."""
        value = ctypes.c_int()
        self.call(name, *args, ctypes.byref(value))
        return value.value

    def integers(self, name: str, *args: Any) -> tuple[int, int]:
        """Two integers that a function of the toolkit returns."""
        first, second = ctypes.c_int(), ctypes.c_int()
        self.call(name, *args, ctypes.byref(first), ctypes.byref(second))
        return first.value, second.value

    def seconds(self, name: str, *args: Any) -> int:
        """A time that a function of the toolkit returns."""
        value = ctypes.c_long()
        self.call(name, *args, ctypes.byref(value))
        return value.value

    def number(self, name: str, *args: Any) -> float:
        """A number that a function of the toolkit returns."""
        value = ctypes.c_double()
        self.call(name, *args, ctypes.byref(value))
        return value.value

    def text(self, name: str, index: int) -> str:
        """A name that a function of the toolkit returns."""
        buffer = ctypes.create_string_buffer(256)
        self.call(name, index, buffer)
        return buffer.value.decode("latin-1")

    def run(self) -> int:
        """ENrunH: solve the network at the present time; returns the code of a warning, or 0."""
        time = ctypes.c_long()
        code = self.call("runH", ctypes.byref(time))
        self.time = time.value
        return code

    def next(self) -> int:
        """ENnextH: move the tanks on to the next event, and say how many seconds that is."""
        return self.seconds("nextH")

    def link(self, index: int, parameter: int, value: float) -> None:
        """Set a value of a link (EPANET's ENsetlinkvalue)."""
        self.call("setlinkvalue", index, parameter, ctypes.c_double(value))

    def close(self) -> None:
        """Close the project and remove its files; again does nothing."""
        if self._project is not None:
            self._library.EN_close(self._project)
            self._library.EN_deleteproject(self._project)
            self._project = None
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def say(self, code: int) -> str:
        """EPANET's words for a code."""
        words = self._words.get(code, "unknown error")
        return words.replace("%s", "...").removeprefix("At ..., ")
