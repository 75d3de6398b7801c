"""The conformance suite: what every model, encoder, sampler and estimator must satisfy, for outsiders' parts too.

>>> from tsgen.testing import check_model
>>> from tsgen.models import Gaussian
>>> check_model(Gaussian, fit=False)
"""

import copy
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from gluonts.core.serde import dump_json, load_json
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from tsgen.core import seeded
from tsgen.diffusion import LinearSchedule, Sampler, Schedule
from tsgen.encoders import HistoryEncoder
from tsgen.evaluation import energy_score
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.predictor import load
from tsgen.models import GenerativeModel

Events = tuple[tuple[int, ...], ...]


def _reload(part: Any) -> Any:
    """Through JSON, with the weights."""
    again = load_json(dump_json(part))
    if isinstance(part, nn.Module):
        again.load_state_dict(part.state_dict())
        again.train(part.training)
    return again


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
                model.loss(*batch) if len(model.players) == 1 else model.player_loss(player, *batch)
            )
            model.zero_grad()
            loss.mean().backward()
            nn.utils.clip_grad_norm_([p for g in optimiser.param_groups for p in g["params"]], 10.0)
            optimiser.step()
            decay.step()


# ------------------------------------------------------------------------------------------- models


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
    assert model.has_log_prob in ("exact", "bound", "none"), name
    for batch in ((5,), (2, 3)):
        x, cond = torch.randn(*batch, *event), torch.randn(*batch, *cond_shape)
        before = x.clone(), cond.clone()
        assert model.loss(x, cond).shape == batch, f"{name}: loss is not one number per example"
        for sample_shape in ((), (5,), (2, 5)):
            drawn = model.sample(cond, sample_shape)
            assert drawn.shape == (*sample_shape, *batch, *event), (
                f"{name}: sample {tuple(drawn.shape)}"
            )
            assert drawn.isfinite().all(), f"{name}: samples are not finite"
        assert torch.equal(x, before[0]) and torch.equal(cond, before[1]), f"{name}: inputs changed"
        if model.has_log_prob == "none":
            _raises(
                NotImplementedError,
                lambda x=x, cond=cond: model.log_prob(x, cond),
                f"{name}: log_prob",
            )
        else:
            assert model.log_prob(x, cond).shape == batch, (
                f"{name}: log_prob is not one number per example"
            )

    x, cond = torch.randn(6, *event), torch.randn(6, *cond_shape)
    start = {k: v.clone() for k, v in model.named_parameters()}
    _train(model, lambda: (x, cond), 3, 1e-2)  # networks often start with a zero output layer
    for player in model.players:
        model.zero_grad()
        loss = (
            model.loss(x, cond) if len(model.players) == 1 else model.player_loss(player, x, cond)
        )
        loss.mean().backward()
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
    kept = [0, 2, 3, 4, 5]
    assert torch.allclose(loss(x)[kept], loss(other)[kept], atol=1e-5), (
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

    assert torch.equal(draw(model), draw(model)), f"{name}: samples differ under one seed"
    assert not torch.equal(draw(model), draw(model, seed=5)), (
        f"{name}: samples do not depend on the seed"
    )
    assert torch.equal(draw(model), draw(copy.deepcopy(model))), (
        f"{name}: deepcopy samples otherwise"
    )
    assert torch.equal(draw(model), draw(_reload(model))), (
        f"{name}: JSON and weights do not restore it"
    )
    double = copy.deepcopy(model).double()
    assert draw(double, cond.double()).dtype == torch.float64, f"{name}: float64 is not kept"
    assert double.loss(x.double(), cond.double()).dtype == torch.float64, (
        f"{name}: float64 is not kept"
    )
    wrong = torch.randn(6, *cond_shape[:-1], cond_shape[-1] + 1)
    _raises(ValueError, lambda: model.sample(wrong), f"{name}: wrong cond shape")
    _raises(
        ValueError,
        lambda: model.loss(torch.randn(6, *event[:-1], event[-1] + 1), cond),
        f"{name}: wrong x shape",
    )
    if model.has_log_prob == "exact" and event == (1,):
        grid = torch.cat(
            [-torch.logspace(4, -4, 4000).double(), torch.logspace(-4, 4, 4000).double()]
        )
        for row in cond[:2].double():
            density = double.log_prob(grid[:, None], row.expand(len(grid), -1)).exp()
            total = torch.trapezoid(density, grid).item()
            assert abs(total - 1) < 1e-3, f"{name}: density integrates to {total}"


def _raises(kind: type[Exception], action: Callable[[], Any], what: str) -> None:
    try:
        action()
    except kind:
        return
    except Exception as error:  # noqa: BLE001
        raise AssertionError(
            f"{what} raises {type(error).__name__} instead of {kind.__name__}: {error}"
        ) from error
    raise AssertionError(f"{what} does not raise {kind.__name__}")


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
    model_class: Callable[..., GenerativeModel], event: tuple[int, ...], law: str, steps: int, tolerance: float,
    options: dict,
) -> None:  # fmt: skip
    tests, draws = 1000, 50
    cond = torch.rand(tests, 4) * 2 - 1
    truth = toy_law(cond, event, (), law)

    def energies(samples: Tensor) -> np.ndarray:
        flat = samples.transpose(0, 1).reshape(tests, draws, 1, -1)
        return energy_score(flat.numpy(), truth.reshape(tests, 1, -1).numpy(), normalise=False)

    def trained(use_cond: bool) -> np.ndarray:
        model = model_class(event, (4,), **options)

        def batch() -> tuple[Tensor, Tensor]:
            c = torch.rand(256, 4) * 2 - 1
            return toy_law(c, event, (), law), c * use_cond

        _train(model, batch, steps, 5e-3)
        model.eval()
        with torch.no_grad():
            return energies(model.sample(cond * use_cond, (draws,)))

    exact, learnt = energies(toy_law(cond, event, (draws,), law)), trained(True)
    gap = learnt - exact
    error = gap.std() / math.sqrt(tests)
    allowed = tolerance * exact.mean() + 3 * error
    assert gap.mean() < allowed, (
        f"{event}: energy score {learnt.mean():.4f}, exact {exact.mean():.4f} +- {error:.4f}"
    )
    loss = trained(False) - learnt
    assert loss.mean() > 3 * loss.std() / math.sqrt(tests), f"{event}: conditioning does not matter"


# ----------------------------------------------------------------------------------------- encoders


def check_encoder(encoder_class: Callable[..., HistoryEncoder], **options: Any) -> None:
    """Check the contract of :class:`~tsgen.encoders.HistoryEncoder`.

    Raises:
        AssertionError: naming what is violated.
    """
    with seeded(0):
        encoder = encoder_class(5, **options)
        name = type(encoder).__name__
        encoder.train()
        inputs, times = torch.randn(3, 8, 5), torch.arange(8.0).expand(3, 8)
        encoder(inputs, times=times)[0].sum().backward()
        for key, parameter in encoder.named_parameters():
            assert parameter.grad is not None and (parameter.grad != 0).any(), (
                f"{name}: no gradient reaches {key}"
            )
        encoder.eval()
        with torch.no_grad():
            outputs, state = encoder(inputs, times=times)
            assert outputs.shape == (3, 8, encoder.output_size), (
                f"{name}: output shape {tuple(outputs.shape)}"
            )
            for leaf in pytree.tree_leaves(state):
                assert len(leaf) == 3, f"{name}: the state is not batch first"
            later = inputs.clone()
            later[:, 5:] += 1
            changed = encoder(later, times=times)[0]
            assert torch.equal(changed[:, :5], outputs[:, :5]), (
                f"{name}: an output depends on later inputs"
            )
            assert not torch.equal(changed[:, 5:], outputs[:, 5:]), f"{name}: inputs do not matter"
            running = encoder.initial_state(3)
            for t in range(8):
                one, running = encoder.step(inputs[:, t], running, times[:, t])
                assert torch.allclose(one, outputs[:, t], atol=1e-5), (
                    f"{name}: step {t} differs from forward"
                )
            first, middle = encoder(inputs[:, :4], times=times[:, :4])
            second, _ = encoder(inputs[:, 4:], middle, times=times[:, 4:])
            assert torch.allclose(torch.cat([first, second], 1), outputs, atol=1e-5), (
                f"{name}: does not resume"
            )
            observed = (torch.rand_like(inputs) > 0.3).float()
            spoilt = torch.where(observed > 0, inputs, torch.full_like(inputs, 1e3))
            one, two = (encoder(v, times=times, observed=observed)[0] for v in (inputs, spoilt))
            assert torch.equal(one, two), f"{name}: an unobserved value matters"
            again = _reload(encoder)
            assert torch.equal(again(inputs, times=times)[0], outputs), (
                f"{name}: JSON and weights do not restore it"
            )


# ----------------------------------------------------------------------------------------- samplers


def gaussian_denoiser(
    mean: float, std: float, schedule: Schedule
) -> Callable[[Tensor, float], Tensor]:
    r"""The exact :math:`E[x_0 \mid x_t]` for data from :math:`N(m, s^2)`."""

    def denoise(x: Tensor, t: float) -> Tensor:
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = schedule.alpha(time).item(), schedule.sigma(time).item()
        gain = alpha * std**2 / (alpha**2 * std**2 + sigma**2)
        return mean + gain * (x - alpha * mean)

    return denoise


def check_sampler(sampler: Sampler, *, tolerance: float = 0.05) -> None:
    """Check the contract of :class:`~tsgen.diffusion.Sampler` on a Gaussian, whose denoiser is known.

    Args:
        sampler: its number of steps is replaced where a check needs another.
        tolerance: allowed error of mean and standard deviation with 500 steps, in units of the
            latter, beyond four standard errors.

    Raises:
        AssertionError: naming what is violated.
    """
    name, count = type(sampler).__name__, 100_000
    schedule = LinearSchedule(num_steps=1000, beta_end=0.02)
    mean, std = 1.5, 0.5
    denoise = gaussian_denoiser(mean, std, schedule)
    like = torch.zeros((), dtype=torch.float64)

    def draw(steps: int | None, size: int = count) -> Tensor:
        with seeded(0):
            return sampler.replace(num_steps=steps).sample(denoise, (size,), schedule, like=like)

    drawn = draw(500)
    band = 4 * std / math.sqrt(count)
    assert abs(drawn.mean() - mean) < tolerance * std + band, (
        f"{name}: mean {drawn.mean():.4f}, exact {mean}"
    )
    assert abs(drawn.std() - std) < tolerance * std + band, (
        f"{name}: std {drawn.std():.4f}, exact {std}"
    )
    assert torch.equal(draw(20), draw(20)), f"{name}: differs under one seed"
    times = sampler.replace(num_steps=20).times(schedule)
    assert len(times) == 21 and times[0] == 1 and times[-1] == 0, f"{name}: times {times.tolist()}"
    assert (times.diff() < 0).all(), f"{name}: times do not fall"
    calls: list[float] = []
    sampler.replace(num_steps=20).sample(
        lambda x, t: (calls.append(t), denoise(x, t))[1], (4,), schedule, like=like
    )
    assert len(calls) == 20, f"{name}: 20 steps call the denoiser {len(calls)} times"
    assert load_json(dump_json(sampler)) == sampler, f"{name}: JSON does not restore it"
    with seeded(7):
        sampler.replace(num_steps=20).sample(denoise, (4,), schedule, like=like)
        after = torch.randn(3)
    with seeded(7):
        torch.randn(4, dtype=torch.float64)
        alone = torch.randn(3)
    assert sampler.stochastic != torch.equal(after, alone), (
        f"{name}: stochastic={sampler.stochastic} is not true"
    )
    if sampler.order is not None:
        steps = [25, 50, 100, 200]
        reference = draw(800, 200)
        errors = [float((draw(k, 200) - reference).abs().mean()) for k in steps]
        slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
        assert slope > sampler.order - 0.3, (
            f"{name}: error falls with order {slope:.2f}, declared {sampler.order}"
        )


# --------------------------------------------------------------------------------------- estimators


def _entries(
    dims: int, lengths: tuple[int, ...], horizon: int, covariates: bool, missing: bool
) -> list[dict]:
    rng = np.random.default_rng(0)
    entries = []
    for i, length in enumerate(lengths):
        target = 10 + rng.normal(size=(dims, length)) + 3 * np.sin(np.arange(length) / 4)
        if missing:
            target[rng.random(target.shape) < 0.2] = np.nan
        entry = {"start": pd.Period("2021-03-01", freq="h"), "item_id": f"s{i}"}
        entry["target"] = target if dims > 1 else target[0]
        if covariates:
            entry["feat_dynamic_real"] = rng.normal(size=(2, length + horizon))
            entry["past_feat_dynamic_real"] = rng.normal(size=(1, length))
            entry["feat_static_real"] = rng.normal(size=2)
            entry["feat_static_cat"] = [i % 3]
        entries.append(entry)
    return entries


def check_estimator(estimator_class: Callable[..., GenerativeEstimator], **options: Any) -> None:
    """Check the contract of :class:`~tsgen.GenerativeEstimator` by training for a few batches.

    Data are 1-D and 2-D, whole and with gaps, with every kind of covariate and none, shorter than
    the context.

    Args:
        estimator_class: called with ``prediction_length`` and the options.
        **options: given to the estimator; training is made short unless they say otherwise.

    Raises:
        AssertionError: naming what is violated.
    """
    horizon = 4
    quick = {
        "context_length": 6, "max_epochs": 2, "num_batches_per_epoch": 3, "batch_size": 8, "verbose": False,
        "lags_seq": (1, 5), "num_parallel_samples": 7, "device": "cpu",
    }  # fmt: skip
    estimator = estimator_class(horizon, **{**quick, **options})
    name = type(estimator).__name__
    assert load_json(dump_json(estimator)) == estimator, f"{name}: JSON does not restore it"
    _raises(
        ValueError, lambda: estimator_class(horizon, no_such_option=1), f"{name}: an unknown option"
    )
    before = sorted(os.listdir("."))

    def samples(predictor: Any, data: list[dict], **kwargs: Any) -> np.ndarray:
        return np.stack([f.samples for f in predictor.predict(data, seed=5, **kwargs)])

    for dims in (1, 3):
        for covariates, missing in ((False, False), (True, True)):
            case = f"{name}: C={dims}, covariates={covariates}, missing={missing}"
            data = _entries(dims, (60, 50), horizon, covariates, missing)
            predictor = estimator.train(data, validation_data=data, seed=2)
            tail = (horizon,) if dims == 1 else (horizon, dims)
            short = _entries(dims, (2, 60), horizon, covariates, False)
            drawn = samples(predictor, short)
            assert drawn.shape == (2, 7, *tail), f"{case}: samples {drawn.shape}"
            assert np.isfinite(drawn).all(), f"{case}: samples are not finite"
            forecast = next(iter(predictor.predict(short)))
            assert forecast.start_date == short[0]["start"] + 2 and forecast.item_id == "s0", case
            for count in (3, 11):
                assert samples(predictor, short, num_samples=count).shape[1] == count, (
                    f"{case}: num_samples={count}"
                )
            with tempfile.TemporaryDirectory() as folder:
                predictor.serialize(Path(folder) / "model")
                again = load(Path(folder) / "model", device="cpu")
            assert again == predictor, f"{case}: loading gives another predictor"
            assert (samples(again, short) == drawn).all(), (
                f"{case}: a loaded predictor samples otherwise"
            )
            assert len(again.history) == 2 and "val_loss" in again.history[0], (
                f"{case}: history {again.history}"
            )
    state = torch.get_rng_state()
    repeated = estimator.train(data, validation_data=data, seed=2)
    assert (samples(repeated, short) == drawn).all(), (
        f"{name}: training twice under a seed gives two models"
    )
    onward = estimator.train_from(predictor, data, seed=3)
    assert not (samples(onward, short) == drawn).all(), f"{name}: train_from changes nothing"
    assert torch.equal(torch.get_rng_state(), state), (
        f"{name}: a seeded training moves the global generator"
    )
    assert sorted(os.listdir(".")) == before, (
        f"{name}: something was written to the working directory"
    )
