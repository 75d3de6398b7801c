"""Scores that are known in closed form."""

import torch
from torch import Tensor

from tsgen.diffusion import CLD


def gaussian_score(process: CLD, mean: float, std: float):
    """The velocity's score for events from N(mean, std^2)."""

    def score(x: Tensor, v: Tensor, t: float) -> Tensor:
        factor, root = (m[0] for m in process.marginal(torch.tensor([t]).double(), hybrid=False))
        start = torch.tensor([std**2, process.gamma * process.mass], dtype=torch.float64).diag()
        precision = torch.linalg.inv(factor @ start @ factor.T + root @ root.T)
        off_x, off_v = x - factor[0, 0] * mean, v - factor[1, 0] * mean
        return -(precision[1, 0] * off_x + precision[1, 1] * off_v)

    return score
