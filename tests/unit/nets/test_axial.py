"""The axial network, and models that learn with parts of their events given."""

import functools

import pytest
import torch

from tsgen.core import seeded
from tsgen.diffusion import DPMSolverPP
from tsgen.models import DDPM
from tsgen.nets import AxialTransformer
from tsgen.testing import check_model

SMALL = functools.partial(AxialTransformer, layers=2, channels=16, num_heads=2)


def test_a_model_with_the_axial_network_conforms() -> None:
    """On horizons, with one conditioning and with one for each step."""
    model = functools.partial(DDPM, network=SMALL, sampler=DPMSolverPP(4))
    check_model(model, ((6, 3), (1, 2), (4, 1)), fit=False)


@pytest.mark.slow
def test_a_model_with_the_axial_network_learns() -> None:
    """The usual law."""
    network = functools.partial(AxialTransformer, layers=2, channels=32, num_heads=4)
    check_model(
        functools.partial(DDPM, network=network, sampler=DPMSolverPP(20)), ((4, 2),),
        fit_events=((4, 2),), steps=1500,
    )  # fmt: skip


@pytest.mark.parametrize("network", [None, SMALL])
def test_a_model_that_is_given_parts_conforms(network: functools.partial | None) -> None:
    """With every pattern of what is given."""
    events = ((6, 3),) if network else ((3,), (1,), (6, 3))
    patterns = ("cells", "channels", "steps")
    model = functools.partial(
        DDPM, network=network, sampler=DPMSolverPP(4), given_rate=0.7, given_patterns=patterns
    )
    check_model(model, events, fit=False)


def test_cells_are_tokens_that_know_their_place() -> None:
    """Equal values at other steps or channels give other outputs; rows do not mix."""
    with seeded(0):
        net = SMALL((5, 4), (2,))
        torch.nn.init.normal_(net.output.weight)
        x, cond, t = torch.ones(2, 5, 4), torch.ones(2, 2), torch.tensor([0.3, 0.3])
        out = net(x, net.embed(t), net.condition(cond))
    assert out[0].unique().numel() == 20
    assert torch.allclose(out[0], out[1], atol=1e-5)
    x[1, 2, 3] = 5
    changed = net(x, net.embed(t), net.condition(cond))
    assert torch.allclose(changed[0], out[0], atol=1e-5)
    assert (changed[1] - out[1]).abs().min() > 1e-5  # every cell attends to every other


def test_options_that_do_not_fit_are_refused() -> None:
    """Naming what is wrong."""
    with pytest.raises(ValueError, match=r"event_shape=\(3,\)"):
        AxialTransformer((3,), (4,))
    with pytest.raises(ValueError, match="channels=30.*num_heads=8"):
        AxialTransformer((6, 3), (4,), channels=30)
    with pytest.raises(ValueError, match="given_rate=1.5"):
        DDPM((3,), (4,), given_rate=1.5)


def test_what_is_given_is_a_share_that_is_uniform_in_every_pattern() -> None:
    """Cells apart, whole channels, all up to a step; and nothing in the rest of the examples."""
    x, cond = torch.zeros(6000, 10, 8), torch.zeros(6000, 2)
    for pattern in ("cells", "channels", "steps"):
        options = {"given_rate": 0.75, "given_patterns": (pattern,), "residual_layers": 1}
        model, calls = DDPM((10, 8), (2,), **options), []
        model.net.register_forward_pre_hook(lambda _, inputs, to=calls: to.append(inputs))
        with seeded(0), torch.no_grad():
            model.loss(x, cond)
        ((*_, (_, mask)),) = calls  # the network gets what is given, and where
        given = mask.bool()
        share = given.float().mean((1, 2))
        assert abs(float((share > 0).float().mean()) - 0.75) < (
            0.12 if pattern != "cells" else 0.03
        )
        # of ten steps, the first k of which are given if k / 10 lies below a uniform share, .55
        expected = 0.75 * (0.55 if pattern == "steps" else 0.5)
        assert abs(float(share.mean()) - expected) < 0.02
        if pattern == "channels":
            assert (given.any(1) == given.all(1)).all()
        if pattern == "steps":
            assert (given.any(2) == given.all(2)).all()
            assert (given[:, 1:] <= given[:, :-1]).all()


@pytest.mark.parametrize(("given_rate", "target"), [(0.0, "v"), (0.9, "eps")])
def test_trained_models_draw_from_the_conditional_law(given_rate: float, target: str) -> None:
    """Of a Gaussian pair: by their own training, or guided by reconstruction.

    Mean and deviation of x1 given x0 are linear and constant; the tolerance is a tenth of the
    unconditional deviation, far below what is wrong without conditioning.
    """
    correlation = 0.9
    with seeded(0):
        model = DDPM(
            (2,),
            (1,),
            given_rate=given_rate,
            target=target,
            sampler=DPMSolverPP(20),
            residual_layers=4,
        )
        optimiser = torch.optim.Adam(model.parameters(), 3e-3)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1200)
        for _ in range(1200):
            x = torch.randn(256, 2)
            x[:, 1] = correlation * x[:, 0] + (1 - correlation**2) ** 0.5 * x[:, 1]
            optimiser.zero_grad()
            model.loss(x, torch.zeros(256, 1)).mean().backward()
            optimiser.step()
            decay.step()
        mask = torch.tensor([True, False])
        for value in (-1.0, 0.0, 1.5):
            given = torch.tensor([value, 0.0])
            with torch.no_grad():
                drawn = model.sample_given(torch.zeros(1), given, mask, (4000,))
            assert (drawn[:, 0] == value).all()
            assert abs(float(drawn[:, 1].mean()) - correlation * value) < 0.1
            assert abs(float(drawn[:, 1].std()) - (1 - correlation**2) ** 0.5) < 0.1
