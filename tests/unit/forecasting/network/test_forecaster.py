import math

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree

from tests.support.forecasters import H, L, build, series
from tsgen import GaussianEstimator, TimeGradEstimator
from tsgen.core import seeded
from tsgen.diffusion import LinearSchedule
from tsgen.encoders.base import select_rows
from tsgen.forecasting.assemble import assemble
from tsgen.forecasting.data.grid import GridWindows
from tsgen.forecasting.data.spec import infer_spec
from tsgen.forecasting.network.inputs import squash


def unknown(window):
    """A window whose horizon has not come yet."""
    future = window.future
    target, observed = torch.full_like(future.target, torch.nan), torch.zeros_like(future.observed)
    return window._replace(future=future._replace(target=target, observed=observed))


SCALINGS = ["mean", "standard", "robust", "anchored", "none"]


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("encoder", ["gru", "lstm", "transformer"])
def test_unrolling_meets_the_conditioning_of_the_pairs(scaling, encoder, monkeypatch):
    """A path that is drawn step by step, then put into the window, gives what it was drawn with."""
    data = series()
    for entry in data:  # a drawn path knows no past covariates, pairs carry the last ones, too
        entry["past_feat_dynamic_real"][:] = 1.5
    forecaster, store = build(data, scaling=scaling, encoder=encoder)
    window = store.gather(torch.tensor([3, 40]))
    window = window._replace(center=window.center + 7.0)
    conds, draws = [], []

    def sample(cond):
        conds.append(cond)
        draws.append(forecaster.model.sample(cond))
        return draws[-1]

    monkeypatch.setattr(forecaster.model, "sampling_plan", lambda: sample)
    with torch.no_grad(), seeded(0):
        (paths,) = forecaster.sample_paths(unknown(window), 1).unbind(1)
        target = (paths - window.center[:, None]).float()
        observed = torch.ones_like(window.future.observed)
        future = window.future._replace(target=target, observed=observed)
        pairs = forecaster.pairs(window._replace(future=future))
    torch.testing.assert_close(torch.stack(conds, 1), pairs.cond[:, L - 1 :], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.stack(draws, 1), pairs.x[:, L - 1 :], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_pairs_inside_the_context_do_not_see_what_comes_after(scaling):
    data = series(missing=0.0)
    forecaster, store = build(data, scaling=scaling)
    changed = [dict(entry) for entry in data]
    number, start = 20, None
    start = int(
        store.first_row[number]
    )  # of series 0: the window covers steps start - P .. start + H
    place = start + 1  # second step of the horizon
    for entry in changed[:1]:
        entry["target"] = entry["target"].copy()
        entry["target"][:, place:] += 50
        entry["past_feat_dynamic_real"] = entry["past_feat_dynamic_real"].copy()
        entry["past_feat_dynamic_real"][:, start:] += 50
    made = GaussianEstimator(H, context_length=L, lags_seq=(1, 3), scaling=scaling)
    assembly = assemble(infer_spec(data, H), made)
    other = GridWindows(list(assembly.transformation.apply(changed, is_train=True)), assembly.shape)
    with torch.no_grad():
        one, two = (forecaster.pairs(s.gather(torch.tensor([number]))) for s in (store, other))
    assert torch.equal(one.cond[:, : L + 1], two.cond[:, : L + 1])
    assert torch.equal(one.x[:, :L], two.x[:, :L]) and torch.equal(
        one.log_jacobian[:, :L], two.log_jacobian[:, :L]
    )
    assert not torch.equal(one.x[:, L:], two.x[:, L:])


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_missing_values_do_not_matter(decoding):
    """What stands in a gap reaches neither the loss nor the conditioning nor the scaler."""
    forecaster, store = build(series(missing=0.4), decoding=decoding)
    batch = store.gather(torch.tensor([3, 40]))
    target, gap = batch.future.target.clone(), ~batch.future.observed
    target[:, -1:][gap[:, -1:]] = 1e4  # the last steps feed no later input: anything may be there
    assert gap[:, -1:].any()
    spoilt = batch._replace(future=batch.future._replace(target=target))
    with seeded(1), torch.no_grad():
        one = forecaster.loss(batch)
    with seeded(1), torch.no_grad():
        two = forecaster.loss(spoilt)
    assert torch.allclose(one, two, rtol=1e-5)


def test_drop_models_get_whole_examples_only():
    forecaster, store = build(series(missing=0.3), decoding="step")
    batch = store.gather(torch.arange(20))
    pairs = forecaster.pairs(batch)
    type(forecaster.model).partial, kept = "drop", type(forecaster.model).partial
    try:
        dropped = forecaster.pairs(batch)
    finally:
        type(forecaster.model).partial = kept
    assert torch.equal(dropped.weight > 0, (pairs.observed > 0).all(-1))
    assert torch.equal(pairs.weight > 0, (pairs.observed > 0).any(-1))


@pytest.mark.parametrize("decoding", ["step", "horizon"])
@pytest.mark.parametrize(
    ("scaling", "support"),
    [
        ("mean", "real"),
        ("standard", "real"),
        ("anchored", "real"),
        ("standard", "positive"),
        ("mean", (0.0, 100.0)),
    ],
)
def test_log_prob_is_a_density_on_the_datas_own_scale(decoding, scaling, support):
    """Integrating one coordinate of the pair over the data's axis gives the density of the others.

    They are compared by ratio.

    The density of y must be that of x times |dx/dy|; the derivative is taken numerically through
    the data.
    """
    forecaster, store = build(
        series(missing=0.0, positive=True), decoding=decoding, scaling=scaling, support=support
    )
    forecaster = forecaster.double()
    index = torch.tensor([7])
    batch = pytree.tree_map_only(
        torch.Tensor, lambda v: v.double() if v.is_floating_point() else v, store.gather(index)
    )
    with torch.no_grad():
        pairs = forecaster.pairs(batch)
        value = forecaster.log_prob(batch)
        last = value[..., -1] if decoding == "step" else value
        eps, jacobian = 1e-4, 0.0
        places = (
            [(H - 1, c) for c in range(3)]
            if decoding == "step"
            else [(h, c) for h in range(H) for c in range(3)]
        )
        for h, c in places:
            target = batch.future.target.clone()
            target[0, h, c] += eps
            moved = batch._replace(future=batch.future._replace(target=target))
            x = forecaster.pairs(moved).x
            a, b = (
                (x[0, -1, c], pairs.x[0, -1, c])
                if decoding == "step"
                else (x[0, h, c], pairs.x[0, h, c])
            )
            jacobian += math.log(((a - b) / eps).abs().item())
        inner = forecaster.model.log_prob(pairs.x, pairs.cond)
        inner = inner[..., -1] if decoding == "step" else inner
    assert last.item() == pytest.approx(inner.item() + jacobian, abs=1e-2)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_sampling_in_pieces_has_the_same_law_and_shape(decoding):
    forecaster, store = build(series(missing=0.0), estimator=GaussianEstimator, decoding=decoding)
    batch = unknown(store.gather(torch.tensor([3, 40, 41])))
    with torch.no_grad(), seeded(0):
        whole = forecaster.sample_paths(batch, 400)
        forecaster.max_numbers = 5000
        pieces = forecaster.sample_paths(batch, 400)
    assert whole.shape == pieces.shape == (3, 400, H, 3) and whole.dtype == torch.float64
    spread = whole.std(1)
    assert (
        (whole.mean(1) - pieces.mean(1)).abs() < 6 * spread / math.sqrt(400) * math.sqrt(2)
    ).all()


def test_counts_are_fed_back_as_they_were_learnt():
    data = series(missing=0.0)
    for entry in data:
        entry["target"] = np.round(np.abs(entry["target"]))
    forecaster, store = build(data, support="count", scaling="standard")
    batch = unknown(store.gather(torch.tensor([3])))
    with torch.no_grad(), seeded(0):
        drawn = forecaster.sample_paths(batch, 50)
    assert (drawn >= 0).all() and (drawn == drawn.floor()).all()


def test_inputs_are_squashed_not_clipped():
    u = torch.tensor([-1e6, -20.0, -10.0, 0.5, 10.0, 11.0, 1e6]).double().requires_grad_()
    out = squash(u)
    assert (out.diff() > 0).all() and out.abs().max() < 200
    assert torch.equal(out[2:5], u[2:5])
    out.sum().backward()
    assert (u.grad > 0).all() and u.grad[4] == 1


def test_state_rows_can_be_repeated():
    forecaster, store = build(series(), encoder="lstm")
    _, state = forecaster.start(store.gather(torch.tensor([3, 40])))
    picked = select_rows(state, torch.tensor([1, 1, 0]))
    assert torch.equal(picked.values[0], state.values[1]) and picked.encoder[0].shape[0] == 3


def test_timegrad_inputs_reach_the_loss():
    """Every kind of input changes the conditioning: nothing is silently ignored."""
    forecaster, store = build(
        series(missing=0.2), estimator=TimeGradEstimator, schedule=LinearSchedule(5)
    )
    batch = store.gather(torch.tensor([3, 40]))
    with torch.no_grad():
        base = forecaster.pairs(batch).cond
        for side, name in (
            ("past", "target"),
            ("past", "features"),
            ("future", "features"),
            ("past", "covariates"),
            ("past", "scale"),
        ):
            stretch = getattr(batch, side)
            moved = stretch._replace(**{name: getattr(stretch, name) + 1.0})
            changed = batch._replace(**{side: moved})
            assert not torch.equal(forecaster.pairs(changed).cond, base), (side, name)
        for changed in (
            batch._replace(static=batch.static + 1.0),
            batch._replace(categories=1 - batch.categories),
            batch._replace(past=batch.past._replace(observed=~batch.past.observed)),
        ):
            assert not torch.equal(forecaster.pairs(changed).cond, base)
