"""Shared set-up: one thread, and the real data where there are any."""

import os
import warnings
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
warnings.filterwarnings("ignore", message="Using `json`-module")
warnings.filterwarnings("ignore", message="Period with BDay freq")


@pytest.fixture
def real_data() -> Path:
    root = os.environ.get("TSGEN_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("TSGEN_DATA does not point at the real data")
    return Path(root)
