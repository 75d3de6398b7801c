"""The command line: ``tsgen datasets | train | forecast | evaluate | benchmark``.

Exit codes: 0 done, 1 failed, 2 used wrongly, with one line on stderr that says what and where.
"""

from tsgen.cli.main import main

__all__ = ["main"]
