import functools
import json
import os

import numpy as np
import pytest
import torch
from gluonts.core.serde import encode
from torch import nn

import tsgen
from tests.support.folders import QUICK, data, rehash
from tests.support.outside_family import RectifiedFlow
from tests.support.tampering import attacks
from tsgen.core import Component, Options
from tsgen.diffusion import DPMSolverPP, NoiseLadder
from tsgen.encoders import GRUEncoder
from tsgen.models import DDPM
from tsgen.nets import DilatedResidualNet
from tsgen.storage import allow, decode, load_arrays, save_arrays, save_weights
from tsgen.storage.limit import BuildLimit, TooLarge
from tsgen.storage.names import name_of


def through_json(part):
    return decode(json.loads(json.dumps(encode(part))))


def test_parts_come_back():
    for part in (
        DPMSolverPP(7), GRUEncoder(3, hidden_size=4), (1, ("a", None), [2.5]), {"a": [True]},
        functools.partial(GRUEncoder, hidden_size=4), GRUEncoder,
    ):  # fmt: skip
        again = through_json(part)
        assert encode(again) == encode(part)
    model = through_json(DDPM((2,), (3,), network=functools.partial(DilatedResidualNet, layers=1)))
    assert isinstance(model.net, DilatedResidualNet) and len(model.net.outputs) == 1
    assert isinstance(through_json(RectifiedFlow((2,), (3,))), RectifiedFlow)  # imported here


@pytest.mark.parametrize(
    "part", [os.mkdir, os.path.join, json.loads, functools.partial(os.mkdir, "x"), nn.Linear]
)
def test_other_parts_are_refused_by_name(part):
    name = "mkdir" if isinstance(part, functools.partial) else part.__name__
    with pytest.raises(ValueError, match=f"{name}' is named, which is no part of tsgen"):
        through_json([DPMSolverPP(7), part])


built = []


class Noisy(Component):
    """A part that tells of being built."""

    def __init__(self) -> None:
        built.append(self)


def test_nothing_is_built_before_all_names_are_looked_up():
    tree = [encode(Noisy()), {"__kind__": "type", "class": "os.mkdir"}]
    built.clear()
    with pytest.raises(ValueError, match="'os.mkdir' is named"):
        decode(tree)
    assert not built
    decode(tree[:1])
    assert len(built) == 1


class Network(nn.Module):
    """A network of a user's, which is no part that registers itself."""


def test_a_part_of_ones_own_is_allowed():
    with pytest.raises(ValueError, match="given to tsgen.allow"):
        through_json(Network)
    assert tsgen.allow(Network) is Network
    assert through_json(Network) is Network

    @allow
    def network(): ...

    assert through_json([{"__kind__": "type", "class": name_of(network)}]) == [network]


@pytest.mark.parametrize(
    "build",
    [
        lambda: torch.zeros(10**6, 10**6),
        lambda: torch.randn(10**12),
        lambda: torch.arange(10**11),
        lambda: torch.linspace(0, 1, 10**11),
        lambda: torch.eye(10**6),
        lambda: torch.ones(5).repeat(10**10),
        lambda: torch.diag_embed(torch.ones(10**4)),
        lambda: torch.arange(5 * 10**4)[:, None] >= torch.arange(5 * 10**4),
        lambda: [torch.zeros(1000) for _ in range(10**9)],
        lambda: nn.GRU(6, 6, num_layers=10**30),
    ],
)
def test_what_is_too_large_is_not_built(build):
    with pytest.raises(TooLarge), BuildLimit(10**7, 1000):
        build()


def test_what_is_not_large_is_built():
    with BuildLimit(10**6, 100) as limit:
        nn.GRU(10, 10)
        torch.full((3,), 1e12), torch.linspace(0, 1e9, 10), torch.randint(10**15, (3,))
        torch.ones(5).expand(10**10, 5)
    assert limit.bytes_left > 10**6 - 20_000


def test_arrays_have_a_digest(tmp_path):
    path = tmp_path / "a.safetensors"
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.zeros((0, 4)), "c": np.array([True])}
    save_arrays(path, arrays, {"text": "é", "number": 1.5})
    again, about = load_arrays(path)
    assert about == {"text": "é", "number": 1.5} and again.keys() == arrays.keys()
    for name, array in arrays.items():
        assert np.array_equal(again[name], array) and again[name].dtype == array.dtype
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 4
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="a.safetensors is damaged"):
            load_arrays(path)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    network = nn.Linear(2, 2)
    nn.init.constant_(network.bias, float("nan"))
    with pytest.raises(ValueError, match="the network has values in bias that are not finite"):
        save_weights(tmp_path / "w.safetensors", network)


def test_a_models_options_are_still_checked(tmp_path):
    """What a folder describes is built by the constructors that users call."""
    model = tsgen.GaussianEstimator(3, **QUICK).train(data(), seed=0)
    model.serialize(tmp_path)
    path = tmp_path / "predictor.json"
    whole = json.loads(path.read_text())
    for name, value in (("batch_size", 0), ("num_samples", -1), ("batch_size", 1.5)):
        changed = whole | {"kwargs": whole["kwargs"] | {name: value}}
        path.write_text(json.dumps(changed))
        rehash(tmp_path)
        with pytest.raises(ValueError, match=f"the model is damaged .*{name}={value}"):
            tsgen.load(tmp_path)
    other = {"__kind__": "instance", "class": "tsgen.diffusion.samplers.dpm.DPMSolverPP"}
    path.write_text(json.dumps(other))
    rehash(tmp_path)
    with pytest.raises(ValueError, match="the model is damaged"):
        tsgen.load(tmp_path)


def test_loading_leaves_the_random_generator_alone(tmp_path):
    tsgen.GaussianEstimator(3, **QUICK).train(data(), seed=0).serialize(tmp_path)
    before = torch.get_rng_state()
    tsgen.load(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_folder_is_saved_anew(tmp_path):
    """A manifest tells of what was saved last, not of what else lies there."""
    for hidden in (4, 6):
        encoder = functools.partial(GRUEncoder, hidden_size=hidden, output_size=hidden)
        model = tsgen.GaussianEstimator(3, **QUICK | {"encoder": encoder}).train(data(), seed=0)
        (tmp_path / "notes.txt").write_text(f"{hidden}")
        model.serialize(tmp_path)
    assert tsgen.load(tmp_path) == model


class Words(Options):
    """A part with a text."""

    text: str = ""


@pytest.mark.parametrize("number", range(len(attacks("marker"))))
def test_every_attack_is_refused_by_itself(number, tmp_path):
    marker = tmp_path / "marker"
    with pytest.raises(ValueError):
        decode(attacks(marker)[number])
    assert not marker.exists()


@pytest.mark.parametrize(
    "name",
    ["tsgen.anomaly.files.Path", "tsgen.anomaly.files.write_detector",
     "tsgen.models.diffusion.ddpm.Tensor", "tsgen.forecasting.predictor.Component",
     "tsgen.storage.names.resolve"],
)  # fmt: skip
def test_what_a_module_of_ours_imports_or_does_is_no_part(name):
    for kind in ("type", "instance"):
        with pytest.raises(ValueError, match="is named, which is no part of tsgen"):
            decode({"__kind__": kind, "class": name})


def test_no_module_is_imported_because_a_folder_names_it(tmp_path, monkeypatch):
    (tmp_path / "of_a_stranger.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("of_a_stranger.Thing", "tsgen.models.of_a_stranger.Thing", "tsgen.cli.app.run"):
        with pytest.raises(ValueError, match="is named, which is no part of tsgen"):
            decode({"__kind__": "type", "class": name})
    assert not (tmp_path / "ran").exists()


def test_a_part_that_moved_is_read_by_its_former_name():
    written = encode(NoiseLadder(4)) | {"class": "tsgen.diffusion.sdes.NoiseLadder"}
    assert decode(written) == NoiseLadder(4)


def test_texts_that_look_like_names_are_texts():
    assert through_json(Words("os.mkdir")) == Words("os.mkdir")
