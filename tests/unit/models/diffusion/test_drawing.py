"""Draws for one conditioning after another, and whether a GPU could replay them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tsgen.core import seeded
from tsgen.diffusion import (
    DDIM,
    EDM,
    SSCS,
    VESDE,
    VPSDE,
    Ancestral,
    AnnealedLangevin,
    DPMSolverPP,
    DPMSolverPP3M,
    EulerMaruyama,
    LangevinEulerMaruyama,
    NoiseLadder,
    PredictorCorrector,
    ProbabilityFlow,
)
from tsgen.models import DDPM, Gaussian, ScoreCLD, ScoreSDE
from tsgen.models.diffusion.drawing import ChainModel, SamplingPlan
from tsgen.nets import DenseDenoiser, DilatedResidualNet

SHAPES = (4,), (3,)
SAMPLERS = {
    "ancestral": Ancestral(6), "ddim": DDIM(6), "dpm": DPMSolverPP(6, eta=1.0),
    "dpm3": DPMSolverPP3M(4), "heun": ProbabilityFlow(4), "edm": EDM(4, s_churn=4.0),
    "euler": EulerMaruyama(6), "pc": PredictorCorrector(4),
}  # fmt: skip
MODELS: dict[str, Callable[[], ChainModel]] = {
    **{name: lambda s=s: DDPM(*SHAPES, sampler=s) for name, s in SAMPLERS.items()},
    "horizon": lambda: DDPM((6, 2), (6, 3), sampler=Ancestral(6)),
    "given": lambda: DDPM((6, 2), (6, 3), sampler=Ancestral(6), given_rate=0.5),
    "dense": lambda: DDPM(*SHAPES, sampler=Ancestral(6), network=DenseDenoiser),
    "vp": lambda: ScoreSDE(*SHAPES, VPSDE(20), sampler=PredictorCorrector(4)),
    "ve": lambda: ScoreSDE(*SHAPES, VESDE(20), sampler=DDIM(6)),
    "ladder": lambda: DDPM(*SHAPES, NoiseLadder(10), sampler=AnnealedLangevin()),
    "cld": lambda: ScoreCLD(*SHAPES, sampler=SSCS(6)),
    "cld_euler": lambda: ScoreCLD(*SHAPES, sampler=LangevinEulerMaruyama(6)),
}


def random_model(name: str) -> ChainModel:
    """A model whose network says something."""
    with seeded(0):
        model = MODELS[name]()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def conditionings(model: ChainModel, rows: int, count: int = 3) -> list[Tensor]:
    """Some, and others."""
    with seeded(1):
        return [torch.randn(rows, *model.cond_shape) for _ in range(count)]


@pytest.mark.parametrize("name", MODELS)
def test_a_plan_draws_what_sample_draws(name: str) -> None:
    """Under one seed, each for its own conditioning, and after another number of rows."""
    model = random_model(name)
    draw = model.sampling_plan()
    drawn = []
    with torch.no_grad():
        for rows in (5, 3, 5):
            for number, cond in enumerate(conditionings(model, rows)):
                with seeded(number):
                    expected = model.sample(cond)
                with seeded(number):
                    sample = draw(cond)
                torch.testing.assert_close(sample, expected)
                drawn.append(sample)
    assert len({x.sum().item() for x in drawn}) == 6  # the last three are the first three


def test_a_plan_lays_weights_out_once_and_keeps_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are gathered once for a number of rows; what was drawn stays as it is."""
    counted = []
    evaluator = DilatedResidualNet.evaluator
    monkeypatch.setattr(
        DilatedResidualNet, "evaluator", lambda *a: counted.append(1) or evaluator(*a)  # type: ignore[func-returns-value]
    )  # fmt: skip
    model = random_model("dpm")
    draw = model.sampling_plan()
    with torch.no_grad():
        first = draw(conditionings(model, 5)[0])
        answer = first.clone()
        for cond in conditionings(model, 5)[1:]:
            draw(cond)
    assert len(counted) == 1
    assert torch.equal(first, answer)


def test_models_without_a_chain_draw_as_ever() -> None:
    """Their plan is ``sample``."""
    model = Gaussian((4,), (3,))
    cond = torch.randn(5, 3)
    with seeded(0):
        expected = model.sample(cond)
    with seeded(0):
        assert torch.equal(model.sampling_plan()(cond), expected)


class Apart(TorchDispatchMode):
    """Refuses every operator that touches arrays of two devices.

    A waiting host reads a number from the device, which an array without contents refuses itself.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run it and look at what went in and came out."""
        result = func(*args, **(kwargs or {}))
        arrays = [v for v in tree_leaves((args, kwargs, result)) if isinstance(v, Tensor)]
        devices = {v.device.type for v in arrays if v.device.type == "meta" or v.dim() > 0}
        assert len(devices) < 2, f"{func} of arrays on {devices}"
        return result


def test_bringing_and_asking_are_noticed() -> None:
    """What a GPU could not replay."""
    on_device = torch.empty(3, device="meta")
    with Apart(), pytest.raises(AssertionError, match="_to_copy"):
        torch.ones(3).to("meta")
    with pytest.raises(RuntimeError, match="meta"):
        on_device.sum().item()


@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_could_replay_it(name: str) -> None:
    """From the second call on nothing is brought to the device, and nothing asked of it.

    Arrays of the "meta" device have shapes and no contents: as on a GPU, what is on the CPU must be
    brought there, and what depends on contents cannot be known without waiting.
    """
    model = random_model(name).to("meta")
    draw = SamplingPlan(model)
    cond = torch.empty(5, *model.cond_shape, device="meta")
    assert draw.steady
    with torch.no_grad():
        draw(cond)
        with Apart():
            assert draw(cond).shape == (5, *model.event_shape)


def test_an_adaptive_solver_is_not_replayed() -> None:
    """How many calls it makes depends on what they return."""
    model = DDPM(*SHAPES, sampler=ProbabilityFlow(method="dopri5"))
    assert not SamplingPlan(model).steady


def test_modes_do_not_mix() -> None:
    """What was made in inference mode could not be written to outside of it."""
    model = random_model("dpm")
    draw = model.sampling_plan()
    cond = conditionings(model, 5)[0]
    with torch.inference_mode(), seeded(0):
        first = draw(cond)
    with torch.no_grad(), seeded(0):
        assert torch.equal(draw(cond), first)


@pytest.mark.parametrize("name", ["dpm", "cld"])
def test_what_is_kept_for_a_time_has_no_say_in_gradients(name: str) -> None:
    """Asked without gradients first, and with them twice, at one time."""
    model = random_model(name)
    cond, x = torch.randn(5, 3), torch.randn(5, 4)
    ask = model.denoiser(cond) if name == "dpm" else model.velocity_score(cond)
    inputs = (x,) if name == "dpm" else (x, x)
    with torch.no_grad():
        expected = ask(*inputs, 0.3)
    parameters = list(model.net.time_embedding.parameters())
    for _ in range(2):
        estimate = ask(*inputs, 0.3)
        torch.testing.assert_close(estimate.detach(), expected)
        slopes = torch.autograd.grad(estimate.sum(), parameters, retain_graph=True)
        assert all(slope.abs().sum() > 0 for slope in slopes)


def test_an_adaptive_samplers_times_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are new ones at every draw."""
    model = DDPM(*SHAPES, sampler=ProbabilityFlow(method="dopri5"))
    asked = []
    embed = DilatedResidualNet.embed
    monkeypatch.setattr(DilatedResidualNet, "embed", lambda *a: asked.append(a) or embed(*a))
    draw = model.sampling_plan()
    with torch.no_grad():
        for cond in conditionings(model, 5, 2):
            with seeded(0):
                draw(cond)
            counted = len(asked)
            asked.clear()
    assert counted > 5  # each of the second draw's times
