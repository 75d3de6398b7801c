"""Series that are mostly a covariate."""

import math
from typing import Literal

import numpy as np
import pandas as pd

from tsgen.core import Options
from tsgen.data.entries import Entry


class CovariateLaw(Options):
    r""":math:`y_t = \sqrt{.8}\, c + \sqrt{.2}\, \varepsilon_t` with a covariate c.

    The covariate carries 80 % of the variance.

    Args:
        kind: "known" (:math:`c_t`, told for the future), "past" (:math:`c_{t-1}`, told up to now),
            "static" (a number of the series) or "category" (one of eight levels of the series).
    """

    kind: Literal["known", "past", "static", "category"]

    def dataset(self, num_series: int, length: int, horizon: int, seed: int) -> list[Entry]:
        """Series with their covariate.

        A known one reaches ``horizon`` steps further than the target.
        """
        rng = np.random.default_rng(seed)
        levels = np.array([-1.5, -1.0, -0.8, -0.2, 0.2, 0.8, 1.0, 1.5])
        levels = levels / levels.std()
        entries = []
        for i in range(num_series):
            start = pd.Period("2000-01-01", freq="h")
            noise = math.sqrt(0.2) * rng.standard_normal(length)
            moving, fixed, code = (
                rng.standard_normal(length + horizon),
                rng.standard_normal(),
                int(rng.integers(8)),
            )
            entry: Entry = {"start": start, "item_id": str(i)}
            if self.kind == "known":
                cause, entry["feat_dynamic_real"] = moving[:length], moving[None]
            elif self.kind == "past":
                cause = np.concatenate([rng.standard_normal(1), moving[: length - 1]])
                entry["past_feat_dynamic_real"] = moving[None, :length]
            elif self.kind == "static":
                cause, entry["feat_static_real"] = np.full(length, fixed), [fixed]
            else:
                cause, entry["feat_static_cat"] = np.full(length, levels[code]), [code]
            entry["target"] = math.sqrt(0.8) * cause + noise
            entry["mean"] = math.sqrt(0.8) * cause
            entries.append(entry)
        return entries
