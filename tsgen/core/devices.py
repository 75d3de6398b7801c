"""Devices by name, and the precision of numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tsgen.core.seeding import seeded as seeded
from tsgen.core.seeding import seeded_everywhere as seeded_everywhere


def parse_device(name: str) -> torch.device:
    """The device of a name; "auto" is a GPU where there is one.

    Raises:
        ValueError: if torch knows no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.device(name)
    except RuntimeError:
        raise ValueError(f"device={name!r} is not a device of torch") from None


def usable_device(name: str) -> torch.device:
    """The device of a name, as :func:`parse_device`, if this machine has it.

    Raises:
        ValueError: if it has not.
    """
    device = parse_device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise ValueError(
                f"device={name!r}: torch can use {count} GPUs on this machine; device='auto' takes "
                "one where there is one"
            )
    elif device.type != "cpu":
        try:
            torch.zeros(1, device=device).item()
        except (RuntimeError, NotImplementedError, AssertionError):
            raise ValueError(f"device={name!r}: torch cannot use it on this machine") from None
    return device


@contextmanager
def single_precision() -> Iterator[None]:
    """Make networks and numbers in float32, whatever torch's default type of numbers is."""
    before = torch.get_default_dtype()
    if before == torch.float32:
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
