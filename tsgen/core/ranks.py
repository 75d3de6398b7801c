"""Processes that train one model together, and which of them this one is.

Whoever starts the processes joins them to a group, for instance::

    torchrun --nproc-per-node 2 script.py      # with torch.distributed.init_process_group("gloo")

Without a group a process is alone, and every function here does nothing. Every process of a group
must call them in the same order: each waits for all others.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tsgen.core.seeding import seed_torch

T = TypeVar("T")


class Rank(NamedTuple):
    """The number of this process in its group, from 0, and how many there are."""

    number: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes the files of all."""
        return self.number == 0


def current_rank() -> Rank:
    """The rank of this process in torch's default process group; alone it is 0 of 1."""
    if dist.is_available() and dist.is_initialized():
        return Rank(dist.get_rank(), dist.get_world_size())
    return Rank()


def from_rank_zero(compute: Callable[[], T]) -> T:
    """The result of a function that the process of rank 0 calls for all.

    Raises:
        Exception: in every process, what it raised there.
    """
    rank = current_rank()
    if rank.size == 1:
        return compute()
    answer: list[Any] = [None, None]
    if rank.writes:
        try:
            answer[0] = compute()
        except Exception as error:
            answer[1] = error
    dist.broadcast_object_list(answer, src=0)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]


def from_every_rank(value: T) -> list[T]:
    """The value that each process has, by rank."""
    rank = current_rank()
    if rank.size == 1:
        return [value]
    values: list[Any] = [None] * rank.size
    dist.all_gather_object(values, value)
    return values


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of a number, or of a tensor of one shape, over the processes."""
    count = current_rank().size
    if count > 1:
        value = value.detach().clone()
        dist.all_reduce(value)
        value /= count
    return value


def average_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Give each weight the mean of its gradients in all processes, in one message.

    A process in which a weight has no gradient counts as one with a gradient of zero; where no
    process has one it stays without.
    """
    weights = list(weights)
    count = current_rank().size
    if count == 1 or not weights:
        return
    has_gradient = torch.tensor([w.grad is not None for w in weights], dtype=weights[0].dtype)
    parts = [(torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in weights]
    message = torch.cat([has_gradient.to(weights[0].device), *parts])
    dist.all_reduce(message)
    holders, *means = message.split([len(weights), *(len(part) for part in parts)])
    for weight, mean, number in zip(weights, means, holders.tolist(), strict=True):
        weight.grad = (mean / count).view_as(weight).to(weight) if number else None


def share_weights(module: nn.Module) -> None:
    """Give every process the parameters and buffers of rank 0."""
    if current_rank().size > 1:
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor, src=0)


def part_random_numbers() -> None:
    """Seed torch's generators anew, in each process in its own way, from those of rank 0.

    Processes that begin with one seed would else draw the same windows and the same noise.
    """
    rank = current_rank()
    if rank.size > 1:
        seed = from_rank_zero(lambda: int(torch.randint(2**62, ())))
        seed_torch(seed + rank.number)
