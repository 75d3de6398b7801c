"""Arrays and weights in safetensors files, which hold numbers and no code."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from torch import nn

_KEY = "tsgen"
"""The one key of a file's metadata: of several the order, and so the bytes, would be at random."""


def save_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], about: dict[str, Any] | None = None
) -> None:
    """Write arrays and plain values into one file, with a digest of both.

    Args:
        path: the file.
        arrays: by name.
        about: what can be written as JSON.
    """
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    plain = json.dumps(about or {})
    metadata = json.dumps({"about": plain, "sha256": _digest(whole, plain)})
    path.write_bytes(safetensors.numpy.save(whole, {_KEY: metadata}))


def load_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what :func:`save_arrays` wrote: arrays by name, and the plain values.

    Raises:
        ValueError: if the file is damaged.
    """
    data = plain_file(path).read_bytes()
    try:
        arrays = safetensors.numpy.load(data)
        size = int.from_bytes(data[:8], "little")
        metadata = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_KEY])
        plain, digest = metadata["about"], metadata["sha256"]
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} is damaged ({error})") from None
    if digest != _digest(arrays, plain):
        raise ValueError(f"{path.name} is damaged (its values are not those that were written)")
    return arrays, json.loads(plain)


def _digest(arrays: Mapping[str, np.ndarray], plain: str) -> str:
    whole = hashlib.sha256(plain.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        whole.update(f"{name} {array.dtype} {array.shape}".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def save_weights(path: Path, network: nn.Module) -> None:
    """Write the weights and buffers of a network.

    Raises:
        ValueError: naming a weight that is not finite; :func:`load_weights` would refuse it.
    """
    state = network.state_dict()
    _check_finite(state, "the network")
    # tensors that share memory are written one by one
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    path.write_bytes(safetensors.torch.save(whole))


def load_weights(path: Path, network: nn.Module) -> None:
    """Read weights and buffers into a network that is made for them.

    Args:
        path: a safetensors file.
        network: its weights are replaced.

    Raises:
        ValueError: if the file is damaged, if a name, shape or type differs from the network's, or
            if a weight is not finite.
    """
    try:
        state = safetensors.torch.load(plain_file(path).read_bytes())
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path.name} is damaged ({error})") from None
    expected = network.state_dict()
    if odd := sorted(expected.keys() ^ state.keys()):
        side = "lacks" if odd[0] in expected else "has, beyond the network's,"
        more = f" and {len(odd) - 1} others" if len(odd) > 1 else ""
        raise ValueError(f"{path.name} {side} the weight {odd[0][:200]!r}{more}")
    for name, tensor in expected.items():
        there = state[name]
        if there.shape != tensor.shape or there.dtype != tensor.dtype:
            raise ValueError(
                f"{path.name}: {name} is {_shape(there)}, the network that predictor.json "
                f"describes has {_shape(tensor)}"
            )
    _check_finite(state, path.name)
    network.load_state_dict(state)


def plain_file(path: Path) -> Path:
    """The path of a file that ends, which a pipe or a link to a device does not.

    Raises:
        ValueError: if there is no such file.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} is missing, or is no plain file")
    return path


def _shape(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _check_finite(state: Mapping[str, torch.Tensor], where: str) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{where} has values in {name} that are not finite")


def check_zip(path: Path) -> None:
    """Compare the checksums in a zip archive, which neither torch nor NumPy looks at.

    Raises:
        ValueError: if one differs.
    """
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{path.name} is damaged (in {damaged!r})")
