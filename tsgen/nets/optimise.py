"""Gradient descent, step by step: the one place where weights are moved."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def descend(
    loss: Tensor,
    optimiser: Optimizer,
    schedule: LRScheduler | None = None,
    gradient_clip: float | None = None,
    *,
    backward: Callable[[Tensor], None] = Tensor.backward,
    check: Callable[[Tensor], None] | None = None,
) -> None:
    """Move an optimiser's weights one step down a loss.

    Args:
        loss: a scalar.
        optimiser: of the weights.
        schedule: of the learning rate, which takes a step, too.
        gradient_clip: largest norm of the gradient of all its weights; ``None`` does not clip.
        backward: how gradients are computed from the loss.
        check: called with the gradient's norm before the step, to raise if it is not finite.
    """
    optimiser.zero_grad()
    backward(loss)
    weights = [p for group in optimiser.param_groups for p in group["params"]]
    limit = float("inf") if gradient_clip is None else gradient_clip
    norm = torch.nn.utils.clip_grad_norm_(weights, limit)
    if check is not None:
        check(norm)
    optimiser.step()
    if schedule is not None:
        schedule.step()


def minimise(
    losses: Iterable[Tensor],
    optimiser: Optimizer,
    schedule: LRScheduler | None = None,
    gradient_clip: float | None = None,
) -> Iterator[float]:
    """Take a step for each loss, and yield its value after the step.

    Args:
        losses: one after another, each computed only when its step is due.
        optimiser: of the weights.
        schedule: of the learning rate.
        gradient_clip: largest norm of the gradient; ``None`` does not clip.
    """
    for loss in losses:
        descend(loss, optimiser, schedule, gradient_clip)
        yield float(loss.detach())
