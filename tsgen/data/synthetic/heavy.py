"""Heavy tails: a vector autoregression with Student-t innovations."""

import math
from typing import Annotated

import numpy as np

from tsgen.core import FINITE, above
from tsgen.data.synthetic.linear import LinearLaw


class StudentTVAR(LinearLaw):
    r"""Vector autoregression with multivariate Student-t innovations.

    :math:`y_t = \mu + A (y_{t-1} - \mu) + \varepsilon_t`,
    :math:`\varepsilon_t = \sqrt{(\nu - 2) / w_t}\, g_t` with :math:`g_t \sim N(0, Q)` and
    :math:`w_t \sim \chi^2_\nu`: one factor for all channels of a step, so that they are extreme
    together even where Q is diagonal. This is :math:`t_\nu(0, \frac{\nu - 2}{\nu} Q)`, whose
    covariance is Q (Kotz, Nadarajah, Multivariate t Distributions and Their Applications, 2004, eq.
    1.1). Other options as in :class:`LinearLaw`.

    Moments, forecasts and densities given a history are exact. The first value of a series is drawn
    from a t law with the stationary mean and covariance, so these two hold at every step; the
    marginal's shape, a sum of t variables without a closed form, settles at the rate of A's powers.

    Args:
        df: :math:`\nu`, above 2; moments from the order :math:`\nu` on are infinite.
    """

    df: Annotated[float, above(2), FINITE] = 4.0

    def _radius(self, num: int, rng: np.random.Generator) -> np.ndarray:
        return np.sqrt((self.df - 2) / rng.chisquare(self.df, (num, 1)))

    def _log_innovation(self, distance: np.ndarray, log_det: float) -> np.ndarray:
        df, half = self.df, (self.df + self.num_channels) / 2
        constant = math.lgamma(half) - math.lgamma(df / 2) - 0.5 * log_det
        constant -= 0.5 * self.num_channels * math.log((df - 2) * math.pi)
        return constant - half * np.log1p(distance / (df - 2))
