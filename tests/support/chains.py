"""The discrete chain that a schedule stands for."""

from torch import Tensor

from tsgen.diffusion import Schedule


def betas(schedule: Schedule) -> Tensor:
    r"""Return :math:`1 - \bar\alpha_n / \bar\alpha_{n-1}`, (N,), of one that preserves variance."""
    product = schedule.alpha(schedule.times()) ** 2
    return 1 - product[1:] / product[:-1]
