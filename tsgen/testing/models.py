"""The contract of models."""

import copy
import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tsgen.core import seeded
from tsgen.evaluation import energy_score
from tsgen.models import GenerativeModel
from tsgen.nets.optimise import descend
from tsgen.testing.common import check_raises, reload

Events = tuple[tuple[int, ...], ...]


def _train(
    model: GenerativeModel, draw: Callable[[], tuple[Tensor, ...]], steps: int, lr: float
) -> None:
    """Optimise every player in turn."""
    optimisers = [torch.optim.Adam(model.player_parameters(p), lr=lr) for p in model.players]
    decays = [torch.optim.lr_scheduler.CosineAnnealingLR(o, steps) for o in optimisers]
    for _ in range(steps):
        batch = draw()
        for player, optimiser, decay in zip(model.players, optimisers, decays, strict=True):
            loss = (
                model.loss(*batch)
                if len(model.players) == 1
                else model.player_loss(player.name, *batch)
            )
            descend(loss.mean(), optimiser, decay, gradient_clip=10.0)


def check_model(
    model_class: Callable[..., GenerativeModel],
    events: Events = ((3,), (1,), (6, 3)),
    *,
    fit: bool = True,
    fit_events: Events = ((3,),),
    law: Literal["mixture", "gaussian"] = "mixture",
    steps: int = 1500,
    tolerance: float = 0.03,
    **options: Any,
) -> None:
    """Check the contract of :class:`~tsgen.models.GenerativeModel`.

    Args:
        model_class: called with ``event_shape``, ``cond_shape`` and the options.
        events: event shapes; each is tried with one conditioning vector and, if 2-D, with one per
            step.
        fit: whether to check that it learns, too.
        fit_events: the shapes at which it must learn.
        law: what must be learnt: a two-peaked correlated conditional law, or a Gaussian one for
            families that can represent no other.
        steps: training steps of batches of 256.
        tolerance: how far above the exact law's energy score the model may lie, as a share of it,
            beyond three standard errors of the comparison.
        **options: given to the model.

    Raises:
        AssertionError: naming what is violated.
    """
    for event in events:
        conds: list[tuple[int, ...]] = [(4,)] + ([(event[0], 4)] if len(event) == 2 else [])
        for cond in conds:
            with seeded(0):
                _check_model_contract(model_class, event, cond, options)
    if fit:
        for event in fit_events:
            with seeded(1):
                _check_model_learns(model_class, event, law, steps, tolerance, options)


def _check_model_contract(
    model_class: Callable[..., GenerativeModel],
    event: tuple[int, ...],
    cond_shape: tuple[int, ...],
    options: dict,
) -> None:
    model = model_class(event, cond_shape, **options)
    name = f"{type(model).__name__}{event}|{cond_shape}"
    assert model.event_shape == event and model.cond_shape == cond_shape, f"{name}: shapes not kept"
    assert model.has_log_prob in ("exact", "bound", "unnormalised", "none"), name
    shapes: list[tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]]
    shapes = [((5,), ((),)), ((2, 3), ((), (2, 5)))]
    for batch, sample_shapes in shapes:
        x, cond = torch.randn(*batch, *event), torch.randn(*batch, *cond_shape)
        before = x.clone(), cond.clone()
        assert model.loss(x, cond).shape == batch, f"{name}: loss is not one number per example"
        watched = model.monitor(x, cond)
        assert watched.shape == batch and watched.isfinite().all(), f"{name}: monitor"
        for sample_shape in sample_shapes:
            drawn = model.sample(cond, sample_shape)
            assert drawn.shape == (*sample_shape, *batch, *event), (
                f"{name}: sample {tuple(drawn.shape)}"
            )
            assert drawn.isfinite().all(), f"{name}: samples are not finite"
        assert torch.equal(x, before[0]) and torch.equal(cond, before[1]), f"{name}: inputs changed"
    if model.has_log_prob == "none":
        log_prob = functools.partial(model.log_prob, x, cond)
        check_raises(NotImplementedError, log_prob, f"{name}: log_prob")
    else:
        assert model.log_prob(x, cond).shape == batch, (
            f"{name}: log_prob is not one number per example"
        )

    x, cond = torch.randn(6, *event), torch.randn(6, *cond_shape)
    start = {k: v.clone() for k, v in model.named_parameters()}
    _train(model, lambda: (x, cond), 3, 1e-2)  # networks often start with a zero output layer
    for player in model.players:
        model.zero_grad()
        alone = len(model.players) == 1
        losses = model.loss(x, cond) if alone else model.player_loss(player.name, x, cond)
        losses.mean().backward()
        owned = {id(p) for p in model.player_parameters(player)}
        for key, parameter in model.named_parameters():
            reached = parameter.grad is not None and bool((parameter.grad != 0).any())
            assert id(parameter) not in owned or reached, f"{name}: no gradient reaches {key}"
    for key, parameter in model.named_parameters():
        assert not torch.equal(parameter, start[key]), f"{name}: training leaves {key} as it was"

    def loss(x: Tensor, observed: Tensor | None = None) -> Tensor:
        with seeded(3), torch.no_grad():
            return model.loss(x, cond, observed)

    other = x.clone()
    other[1] += 1
    rest = [0, 2, 3, 4, 5]
    assert torch.allclose(loss(x)[rest], loss(other)[rest], atol=1e-5), (
        f"{name}: examples influence each other"
    )
    assert torch.equal(loss(x), loss(x)), f"{name}: loss differs under one seed"
    if model.partial != "drop":
        observed = (torch.rand(6, *event) > 0.4).float()
        spoilt = torch.where(observed > 0, x, torch.full_like(x, 1e3))
        assert torch.allclose(loss(x, observed), loss(spoilt, observed), atol=1e-4), (
            f"{name}: sees what is missing"
        )
        whole = loss(x, torch.ones_like(x))
        assert torch.allclose(whole, loss(x), atol=1e-4), f"{name}: a mask of ones changes the loss"

    def draw(model: GenerativeModel, cond: Tensor = cond, seed: int = 4) -> Tensor:
        with seeded(seed), torch.no_grad():
            return model.sample(cond, (3,))

    samples = draw(model)
    assert torch.equal(samples, draw(model)), f"{name}: samples differ under one seed"
    assert not torch.equal(samples, draw(model, seed=5)), (
        f"{name}: samples do not depend on the seed"
    )
    assert torch.equal(samples, draw(copy.deepcopy(model))), f"{name}: deepcopy samples otherwise"
    assert torch.equal(samples, draw(reload(model))), f"{name}: JSON and weights do not restore it"
    plan = model.sampling_plan()
    for one in (cond, -cond):
        with seeded(4), torch.no_grad():
            planned = plan(one)
        with seeded(4), torch.no_grad():
            expected = model.sample(one)
        assert torch.allclose(planned, expected, atol=1e-5), f"{name}: its plan draws otherwise"
    double = copy.deepcopy(model).double()
    assert draw(double, cond.double()).dtype == torch.float64, f"{name}: float64 is not kept"
    assert double.loss(x.double(), cond.double()).dtype == torch.float64, (
        f"{name}: float64 is not kept"
    )
    wrong = torch.randn(6, *cond_shape[:-1], cond_shape[-1] + 1)
    check_raises(ValueError, lambda: model.sample(wrong), f"{name}: wrong cond shape")
    check_raises(
        ValueError,
        lambda: model.loss(torch.randn(6, *event[:-1], event[-1] + 1), cond),
        f"{name}: wrong x shape",
    )
    if model.has_log_prob == "exact" and event == (1,):
        right = torch.logspace(-4, 4, 1500, dtype=torch.float64)
        grid = torch.cat([-right.flip(0), right])
        for row in cond[:2].double():
            density = double.log_prob(grid[:, None], row.expand(len(grid), -1)).exp()
            total = torch.trapezoid(density, grid).item()
            assert abs(total - 1) < 1e-3, f"{name}: density integrates to {total}"


def toy_law(
    cond: Tensor, event: tuple[int, ...], sample_shape: tuple[int, ...], law: str
) -> Tensor:
    r"""Draw :math:`x = w(c) + u\, v(c) + B \varepsilon`, of order one and correlated.

    u is a sign that is plus with probability :math:`\mathrm{sigmoid}(2 c_1)` ("mixture") or a
    normal variable ("gaussian"), and B is lower triangular.
    """
    size = math.prod(event)
    rows = torch.arange(size, device=cond.device)
    shift = 0.5 * torch.sin(rows[:, None] + 2 * cond.new_tensor([[1.0, 2.0, 3.0, 4.0]]))
    centre = cond @ shift.T
    direction = torch.cos(0.5 * rows + cond[..., :1])
    shape = (*sample_shape, *cond.shape[:-1])
    if law == "mixture":
        u = torch.where(
            torch.rand(shape, device=cond.device) < torch.sigmoid(2 * cond[..., 0]), 1.0, -1.0
        )
    else:
        u = torch.randn(shape, device=cond.device)
    noise = torch.randn(*shape, size, device=cond.device)
    noise = 0.4 * (noise + 0.7 * noise.roll(1, -1) * (rows > 0))
    return (centre + 0.8 * u[..., None] * direction + noise).view(*shape, *event)


def _check_model_learns(
    model_class: Callable[..., GenerativeModel],
    event: tuple[int, ...],
    law: str,
    steps: int,
    tolerance: float,
    options: dict,
) -> None:
    tests, draws = 1000, 50
    cond = torch.rand(tests, 4) * 2 - 1
    truth = toy_law(cond, event, (), law)

    def energies(samples: Tensor) -> np.ndarray:
        flat = samples.transpose(0, 1).reshape(tests, draws, 1, -1)
        return energy_score(flat.numpy(), truth.reshape(tests, 1, -1).numpy(), normalise=False)

    def batch() -> tuple[Tensor, Tensor]:
        c = torch.rand(256, 4) * 2 - 1
        return toy_law(c, event, (), law), c

    model = model_class(event, (4,), **options)
    _train(model, batch, steps, 5e-3)
    model.eval()
    with torch.no_grad():
        learnt = energies(model.sample(cond, (draws,)))
        # a model that ignores its conditioning draws as well for that of another example
        swapped = energies(model.sample(cond.roll(1, 0), (draws,)))
    exact = energies(toy_law(cond, event, (draws,), law))
    gap = learnt - exact
    error = gap.std() / math.sqrt(tests)
    allowed = tolerance * exact.mean() + 3 * error
    assert gap.mean() < allowed, (
        f"{event}: energy score {learnt.mean():.4f}, exact {exact.mean():.4f} +- {error:.4f}"
    )
    loss = swapped - learnt
    assert loss.mean() > 3 * loss.std() / math.sqrt(tests), f"{event}: conditioning does not matter"
