"""Noise ladders: the levels of the two papers, and how data choose them."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from tsgen.diffusion import NoiseLadder, langevin_step


def test_ladders_are_those_of_the_papers() -> None:
    """Geometric; version 2 chooses number and end by the data, and the Langevin step by both."""
    ladder = NoiseLadder(10, 0.01, 1.0)
    sigma = ladder.sigma(ladder.times())
    assert torch.allclose(sigma[1:], torch.logspace(-2, 0, 10, dtype=torch.float64))
    assert sigma[0] == 0
    inner = ladder.times()[1:]
    slope = (ladder.sigma(inner + 1e-7) - ladder.sigma(inner)) / 1e-7
    assert torch.allclose(ladder.sigma_dot(inner), slope, rtol=1e-5)
    assert torch.allclose(ladder.sigma_dot(inner[:1] / 2), torch.tensor(0.1).double())
    data = np.random.default_rng(0).normal(size=(200, 3072)) * 0.5
    chosen = NoiseLadder.of_data(data, 0.01)
    largest = np.sqrt(((data[:, None, :8] - data[None, :, :8]) ** 2).sum(-1)).max()
    assert chosen.sigma_max > largest
    ratio = (chosen.sigma_max / 0.01) ** (1 / (chosen.num_steps - 1))
    root = math.sqrt(2 * 3072)
    shared = stats.norm.cdf(root * (ratio - 1) + 3 * ratio)
    shared -= stats.norm.cdf(root * (ratio - 1) - 3 * ratio)
    assert abs(shared - 0.5) < 0.02
    # CIFAR-10's numbers in that paper: 232 levels from 50 to .01, T = 5, epsilon = 6.2e-6
    assert abs(langevin_step((50 / 0.01) ** (1 / 231), 5) - 6.2e-6 / 0.01**2) < 0.002


def test_bad_numbers_are_refused() -> None:
    """Naming the process and the field."""
    for make, text in (
        (lambda: NoiseLadder(1), "num_steps=1 must be at least 2"),
        (lambda: NoiseLadder.of_data(np.zeros((3, 2))), "largest distance"),
    ):
        with pytest.raises(ValueError, match=text):
            make()
