"""The noise levels of score networks trained without a differential equation (NCSN)."""

import math

import numpy as np
import torch
from torch import Tensor

from tsgen.core import OptionError, Positive
from tsgen.diffusion.schedules import Schedule, check_rising


class NoiseLadder(Schedule):
    r"""The noise levels of NCSN: :math:`\sigma_n` in a geometric sequence, no decay.

    Song, Ermon 2019, section 3.2: level n of N is :math:`\sigma_{min} (\sigma_{max} /
    \sigma_{min})^{(n - 1) / (N - 1)}`. Below the first level sigma falls to 0 in a straight line.
    ``DDPM(..., schedule=NoiseLadder(), sampler=AnnealedLangevin())`` is NCSN.

    :meth:`of_data` is the way to choose ``sigma_max``, and the number of levels with it: a last
    level below the distances between events leaves a sampler's chain near the events where it
    started (Song, Ermon 2020, technique 1). The events are those that the model sees, scaled.

    Args:
        num_steps: N, at least 2.
        sigma_min: the first level.
        sigma_max: the last level, see :meth:`of_data`.
    """

    num_steps: int = 10
    sigma_min: Positive = 0.01
    sigma_max: Positive = 1.0

    def __post_init__(self) -> None:
        """Check that there are two levels and that sigma rises."""
        if self.num_steps < 2:
            raise OptionError(type(self).__name__, "num_steps", self.num_steps, "at least 2")
        check_rising(self, self.sigma_min, self.sigma_max)

    @classmethod
    def of_data(cls, data: np.ndarray, sigma_min: float = 0.01) -> "NoiseLadder":
        r"""The ladder of NCSN version 2 (Song, Ermon 2020, techniques 1 and 2).

        The last level is the largest distance between two data points, and the ratio of levels is
        the :math:`\gamma` with :math:`\Phi(\sqrt{2D} (\gamma - 1) + 3 \gamma) -
        \Phi(\sqrt{2D} (\gamma - 1) - 3 \gamma) = .5`: neighbouring levels share half of their mass.

        Args:
            data: (n, D), at least two points that differ.
            sigma_min: the first level.
        """
        # half a second and 40 MB that no forecast needs
        from scipy import optimize, spatial, special

        root = math.sqrt(2 * data.shape[1])

        def shared(ratio: float) -> float:
            centre = root * (ratio - 1)
            return float(special.ndtr(centre + 3 * ratio) - special.ndtr(centre - 3 * ratio))

        largest = float(spatial.distance.pdist(data).max())
        if not largest > sigma_min:
            below = f"below the largest distance between two points, {largest:g}"
            raise OptionError(cls.__name__, "sigma_min", sigma_min, below)
        ratio = optimize.brentq(lambda r: shared(r) - 0.5, 1.0, 50.0) if shared(50) < 0.5 else 50.0
        steps = 1 + math.ceil(math.log(largest / sigma_min) / math.log(ratio))
        return cls(max(2, steps), sigma_min, largest)

    def alpha(self, t: Tensor) -> Tensor:
        """One: nothing decays."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise at time t."""
        n = t * self.num_steps
        share = (n.clamp_min(1) - 1) / (self.num_steps - 1)
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** share * n.clamp_max(1)

    def sigma_dot(self, t: Tensor) -> Tensor:
        """Derivative of sigma in t; at the first level that towards the second."""
        rate = math.log(self.sigma_max / self.sigma_min) * self.num_steps / (self.num_steps - 1)
        inside = t * self.num_steps >= 1 - 1e-12
        return torch.where(inside, rate * self.sigma(t), self.sigma_min * self.num_steps)

    @property
    def prior_std(self) -> float:
        """The last level."""
        return self.sigma_max
