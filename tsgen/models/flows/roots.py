"""Inverses of increasing functions of one variable that have no closed form."""

from collections.abc import Callable

import torch
from torch import Tensor

ValueAndSlope = Callable[[Tensor], tuple[Tensor, Tensor]]


def solve_increasing(
    function: ValueAndSlope, y: Tensor, low: Tensor, high: Tensor, iterations: int = 60
) -> Tensor:
    """Elementwise root x of f(x) = y between ``low`` and ``high``.

    Newton steps that leave the bracket, or do not at least halve the last step, are replaced by
    bisection. A last Newton step is taken with gradients: the root's derivatives are those of the
    implicit function theorem, :math:`dx / dy = 1 / f'(x)`.

    Args:
        function: x -> f(x) and f'(x) > 0, both shaped like x.
        y: targets.
        low: f(low) <= y, shaped like y.
        high: f(high) >= y, shaped like y.
        iterations: at most; the search stops when no bracket can become smaller.
    """
    with torch.no_grad():
        x = 0.5 * (low + high)
        last, finished = high - low, torch.zeros_like(y, dtype=torch.bool)
        small = 4 * torch.finfo(y.dtype).eps
        for _ in range(iterations):
            value, slope = function(x)
            error = value - y
            low, high = torch.where(error <= 0, x, low), torch.where(error >= 0, x, high)
            step = error / slope
            newton = x - step
            taken = (newton > low) & (newton < high) & (2 * step.abs() <= last)
            following = torch.where(taken, newton, 0.5 * (low + high))
            last = (following - x).abs()
            finished = (
                finished | (last <= small * (1 + x.abs())) | (error.abs() <= small * (1 + y.abs()))
            )
            x = torch.where(finished, x, following)
            if finished.all():
                break
    value, slope = function(x)
    step = (value - y) / slope.detach()
    return x - torch.where(step.isfinite(), step, torch.zeros_like(step)).clamp(-1, 1)
