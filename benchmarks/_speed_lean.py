"""Keeps out of a worker's memory what only developers install: pandas would load pyarrow, 40 MB."""

import sys

sys.modules["pyarrow"] = None  # type: ignore[assignment]
