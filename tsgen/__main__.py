"""``python -m tsgen`` is the command ``tsgen``."""

from tsgen.cli import main

main()
