"""Windows: gathered by index from series transformed once, or cut by GluonTS from a stream.

Both give the same fields (B batch, P past length, L context length, H horizon, C channels, F
features):

=====================================  =============  =============================================
past_target, future_target             (B, P | H, C)  relative to ``center``, gaps carried forward
past_observed, future_observed         (B, P | H, C)  which of it was observed
past_location, past_scale              (B, L, C)      running statistics, see ``scaling``
past_known, future_known               (B, L | H, F)  calendar, age and known covariates
past_covariates                        (B, L, F')     past-only covariates
static_real, static_cat                (B, F'')       of the series
center                                 (B, C)         float64
=====================================  =============  =============================================
"""

import numpy as np
from torch import Tensor

from tsgen.core import Options

Batch = dict[str, Tensor]


SERIES_FIELDS = ("target", "observed", "location", "scale", "known", "covariates")


CONTEXT_FIELDS = ("past_location", "past_scale", "past_known", "past_covariates")


STATIC_FIELDS = ("static_real", "static_cat", "center")


PREDICTION_FIELDS = (
    "past_target",
    "past_observed",
    *CONTEXT_FIELDS,
    "future_known",
    *STATIC_FIELDS,
)


TRAINING_FIELDS = (*PREDICTION_FIELDS, "future_target", "future_observed")


class WindowShape(Options):
    """Lengths of a window.

    Args:
        context_length: L, steps the encoder runs over.
        past_length: P >= L, steps that lags reach back to.
        prediction_length: H.
        min_history: steps of the series before the forecast's start that a training window has at
            least.
    """

    context_length: int
    past_length: int
    prediction_length: int
    min_history: int = 1

    def first(self, length: int, before: int = 0) -> int:
        """The earliest forecast start in a series.

        It has a full past if the series is long, else what there is; where none is needed, any.
        Steps before a series has begun are none of it, as long as a window is left.

        Args:
            length: of the series.
            before: steps before it has begun.
        """
        if self.min_history == 0:
            return 0
        room = length - before - self.prediction_length
        if room >= 2 * self.past_length:
            return before + self.past_length
        first = before + max(1, min(self.context_length, room // 2))
        return max(1, min(first, length - self.prediction_length))

    def first_of(self, padded: np.ndarray) -> int:
        """The earliest forecast start in a target (C, P + T), NaN until each channel has begun."""
        own = padded[:, self.past_length :]
        if np.isfinite(own[:, :1]).any():
            return self.first(own.shape[1])
        return self.first(own.shape[1], int(np.isfinite(own).any(0).argmax()))
