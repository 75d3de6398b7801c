"""From windows to sample paths: the one place where a trained network is asked for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from gluonts.transform import Transformation

from tsgen.core import seeded, single_precision
from tsgen.forecasting.data.spec import DataSpec
from tsgen.forecasting.data.window import Window, WindowShape
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.pairs import HorizonGiven
from tsgen.nets.parallel import rows_in_parallel


class Drawing(NamedTuple):
    """A trained network with what is needed to make windows for it and to draw what follows."""

    network: Forecaster
    transformation: Transformation
    """From an entry to arrays, once per series."""
    spec: DataSpec
    shape: WindowShape
    device: torch.device

    def sample_paths(
        self, window: Window, count: int, given: HorizonGiven | None, seed: int | None, *salt: int
    ) -> np.ndarray:
        """Sample paths (B, S, H, C) that follow a window, others for another salt."""
        with seeded(seed, *salt), self.inference():
            return self.network.sample_paths(window, count, given).cpu().numpy()

    @contextmanager
    def inference(self) -> Iterator[None]:
        """How the network is asked: without gradients, and with threads for rows if it can."""
        divides = self.device.type == "cpu" and self.network.model.divides_rows
        with torch.no_grad(), rows_in_parallel(divides), single_precision():
            yield
