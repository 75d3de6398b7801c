"""Data sets x models x seeds, with every run recorded in benchmarks/results/forecasting.csv.

    python benchmarks/forecasting.py --data exchange_rate_nips --models timegrad,lowrank --seeds 3

This is `tsgen benchmark` (see `tsgen benchmark --help`) with `--out` set to that table.
"""

import sys

from _record import RESULTS

from tsgen.cli import main

if __name__ == "__main__":
    main(["benchmark", "--out", str(RESULTS / "forecasting.csv"), *sys.argv[1:]])
