"""The command line: ``tsgen datasets | train | forecast | evaluate | benchmark``.

Exit codes: 0 done, 1 failed, 2 used wrongly, with one line on stderr that says what and where, and
130 stopped by Ctrl-C.
"""

import signal
import sys
from collections.abc import Sequence

from tsgen.cli.output import complain

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code.

    Everything heavy is imported in here, so that Ctrl-C is answered while Python imports, too. A
    process that is about to end takes no further Ctrl-C: its exit code is decided.

    Args:
        arguments: instead of those of the process.
    """
    try:
        from tsgen.cli.app import run

        code = run(list(sys.argv[1:] if arguments is None else arguments))
        _end(arguments is None)
    except KeyboardInterrupt as stop:
        _end(arguments is None)
        complain("stopped.", stop)
        # where it came through an exec("..."), as of a dataclass that was being made, Python
        # remembers it and ends by the signal after all; the next exec("...") makes it forget
        exec("")
        code = 130
    sys.exit(code)


def _end(of_process: bool) -> None:
    if of_process:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
