import copy
import math

import pytest
import torch

from tsgen.core import seeded
from tsgen.dynamics import ODESolver
from tsgen.models.flows.cnf import CNFFlow
from tsgen.models.flows.ffjord import ConcatSquash, FFJORDFlow

TIGHT = ODESolver(method="dopri5", rtol=1e-10, atol=1e-10)


def spoilt(kind, size=3, spread=0.4, **options):
    """A flow of float64 whose parameters are far from where they start."""
    with seeded(0):
        model = kind((size,), (4,), **options).double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += spread * torch.randn_like(parameter)
    return model


def data(size=3, rows=5, scale=1.0):
    with seeded(1):
        return scale * torch.randn(rows, size).double(), torch.randn(rows, 4).double()


def log_det_by_autograd(model, x, cond):
    """Of z by x; rows do not depend on each other."""
    x = x.clone().requires_grad_()
    z = model.to_noise(cond)(x)
    rows = [torch.autograd.grad(e.sum(), x, retain_graph=True)[0] for e in z.unbind(-1)]
    return torch.linalg.slogdet(torch.stack(rows, 1)).logabsdet


@pytest.mark.parametrize("size", [1, 3, 5])
def test_derivatives_that_go_forward_are_autograds(size):
    with seeded(2):
        field = ConcatSquash(size, 4, (7, 6)).double()
        for parameter in field.parameters():
            torch.nn.init.normal_(parameter)
        x, t = torch.randn(3, size).double(), torch.tensor(0.3).double()
        modulation = field.modulate(torch.randn(3, 4).double())
        directions = torch.randn(2, 3, size).double()
    value, slopes = field(t, x, modulation, directions)
    assert not torch.allclose(field(2 * t, x, modulation, directions)[0], value, atol=1e-2)
    for i in range(3):

        def one(v, i=i):
            return field(t, v[None], modulation[i : i + 1], v.new_empty(0, 1, size))[0][0]

        jacobian = torch.autograd.functional.jacobian(one, x[i])
        assert torch.allclose(value[i], one(x[i]))
        assert torch.allclose(slopes[:, i], directions[:, i] @ jacobian.T, atol=1e-12)


@pytest.mark.parametrize("direction", ["density", "sampling"])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_log_det_is_the_jacobians_up_to_the_solvers_error(direction, scale):
    """It falls with the fourth power of the step; with a tight solver there is none."""
    x, cond = data(scale=scale)
    errors = []
    for solver in (ODESolver(num_steps=8), ODESolver(num_steps=16), TIGHT):
        model = spoilt(FFJORDFlow, num_blocks=2, solver=solver, direction=direction)
        with torch.no_grad():
            log_det = model.to_noise(cond).call_and_ladj(x)[1]
        assert log_det.abs().max() > 0.5
        errors.append((log_det_by_autograd(model, x, cond) - log_det).abs().max().item())
    assert errors[1] < errors[0] / 4 < 2.5e-4
    assert errors[2] < 1e-6


@pytest.mark.parametrize("direction", ["density", "sampling"])
def test_zukos_log_det_is_the_jacobians(direction):
    x, cond = data()
    model = spoilt(CNFFlow, atol=1e-9, rtol=1e-9, direction=direction)
    with torch.no_grad():
        log_det = model.to_noise(cond).call_and_ladj(x)[1]
    assert log_det.abs().max() > 0.5
    by_autograd = log_det_by_autograd(model, x, cond)
    assert torch.allclose(by_autograd, log_det, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize(
    ("kind", "options", "allowed"),
    [
        (FFJORDFlow, {}, 1e-4),
        (FFJORDFlow, {"solver": ODESolver(num_steps=32)}, 1e-7),
        (FFJORDFlow, {"solver": TIGHT}, 1e-7),
        (CNFFlow, {"atol": 1e-9, "rtol": 1e-9}, 1e-6),
    ],
)
def test_there_and_back(kind, options, allowed, scale):
    x, cond = data(scale=scale)
    model = spoilt(kind, **options)
    with torch.no_grad():
        transform = model.to_noise(cond)
        z, log_det = transform.call_and_ladj(x)
        back, log_det_back = transform.inv.call_and_ladj(z)
    assert (z - x).abs().max() > 0.5
    assert (back - x).abs().max() < allowed
    assert (log_det + log_det_back).abs().max() < 10 * allowed


def test_hutchinsons_estimate_is_unbiased_and_no_log_prob():
    model = spoilt(FFJORDFlow, divergence="hutchinson", solver=ODESolver(num_steps=4))
    x, cond = data(rows=3)
    count = 2000
    with torch.no_grad(), seeded(3):
        many = x.expand(count, -1, -1), cond.expand(count, -1, -1)
        losses = model.loss(*many)
        exact = model.log_prob(x, cond)
    assert (losses.std(0) > 0.003).all()
    error = losses.std(0) / math.sqrt(count)
    assert ((losses.mean(0) + exact / 3).abs() < 4 * error).all()
    assert torch.equal(model.log_prob(x, cond), model.log_prob(x, cond))


def test_signs_are_each_rows_own_and_kept_for_the_whole_solve():
    """One solve's estimate depends smoothly on x; two rows alike get different ones."""
    model = spoilt(FFJORDFlow, divergence="hutchinson")
    x, cond = data(rows=1)
    with torch.no_grad(), seeded(4):
        alike = model.loss(x.expand(20, -1), cond.expand(20, -1))
    assert len(alike.unique()) > 1
    solves = []
    for steps in (8, 16):
        model = spoilt(FFJORDFlow, divergence="hutchinson", solver=ODESolver(num_steps=steps))
        with torch.no_grad(), seeded(4):
            solves.append(3 * model.loss(x, cond).item())
    assert solves[0] == pytest.approx(solves[1], abs=1e-3)


@pytest.mark.parametrize(
    ("size", "given", "taken"),
    [
        (8, None, "exact"),
        (9, None, "hutchinson"),
        (9, "exact", "exact"),
        (2, "hutchinson", "hutchinson"),
    ],
)
def test_the_trace_is_exact_up_to_eight_elements(size, given, taken):
    assert FFJORDFlow((size,), (4,), divergence=given).divergence == taken


@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
def test_adjoint_gradients_are_those_of_backpropagation(divergence):
    gradients = []
    for adjoint in (False, True):
        model = spoilt(
            FFJORDFlow,
            spread=0.2,
            hidden=(16, 16),
            divergence=divergence,
            solver=TIGHT.replace(adjoint=adjoint),
        )
        x, cond = (v.requires_grad_() for v in data())
        with seeded(5):
            loss = model.loss(x, cond).sum()
        gradients.append(torch.autograd.grad(loss, (x, cond, *model.parameters())))
    for one, other in zip(*gradients, strict=True):
        assert one.abs().max() > 0
        assert (one - other).abs().max() < 1e-5 * one.abs().max()


@pytest.mark.parametrize("kind", [FFJORDFlow, CNFFlow])
def test_gradients_do_not_depend_on_the_mode(kind):
    """zuko's own layer forgets its parameters in evaluation."""
    model, (x, cond) = spoilt(kind, spread=0.1), data()
    train = torch.autograd.grad(model.log_prob(x, cond).sum(), list(model.parameters()))
    model.eval()
    evaluation = torch.autograd.grad(model.log_prob(x, cond).sum(), list(model.parameters()))
    for one, other in zip(train, evaluation, strict=True):
        assert torch.equal(one, other) and one.abs().max() > 0


@pytest.mark.parametrize("kind", [FFJORDFlow, CNFFlow])
def test_fields_are_bounded(kind):
    """However far an event lies, it moves no further, and volumes stay as they are."""
    model = spoilt(kind, size=1)
    first = model.location_scale
    torch.nn.init.zeros_(first.hyper.weight)
    torch.nn.init.zeros_(first.hyper.bias)
    x = torch.tensor([[-1e6], [-1e4], [1e4], [1e6]]).double()
    with torch.no_grad():
        z, log_det = model.to_noise(torch.zeros(4, 4).double()).call_and_ladj(x)
    moved = z - x
    assert moved[0].item() == pytest.approx(moved[1].item(), abs=1e-2)
    assert moved[2].item() == pytest.approx(moved[3].item(), abs=1e-2)
    assert log_det.abs().max() < 1e-6


def test_zukos_solver_does_not_go_on_for_ever():
    x, cond = data()
    with pytest.raises(RuntimeError, match="max_num_steps=2 steps"):
        spoilt(CNFFlow, max_num_steps=2).sample(cond)
    broken = spoilt(CNFFlow)
    with torch.no_grad():
        broken.transform.transforms[0].ode[0].bias[0] = math.nan
    with pytest.raises(RuntimeError, match="NaN"):
        broken.loss(x, cond)
    enough = spoilt(CNFFlow, max_num_steps=50)
    for _ in range(5):  # the limit is each solve's own
        enough.log_prob(x, cond)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (FFJORDFlow, {"num_blocks": 0}, "num_blocks=0"),
        (FFJORDFlow, {"hidden": ()}, r"hidden=\(\)"),
        (FFJORDFlow, {"divergence": "trace"}, "divergence='trace'"),
        (FFJORDFlow, {"solver": "rk4"}, "solver='rk4' must be an ODESolver"),
        (CNFFlow, {"hidden": (8, 0)}, r"hidden=\(8, 0\)"),
        (CNFFlow, {"max_num_steps": 0}, "max_num_steps=0"),
        (CNFFlow, {"atol": 0.0}, "atol=0.0"),
        (CNFFlow, {"rtol": -1.0}, "rtol=-1.0"),
    ],
)
def test_wrong_options_are_named(kind, options, words):
    with pytest.raises(ValueError, match=words):
        kind((3,), (4,), **options)


@pytest.mark.parametrize("kind", [FFJORDFlow, CNFFlow])
def test_copies_do_not_share_parameters(kind):
    model, (x, cond) = spoilt(kind), data()
    twin, before = copy.deepcopy(model), model.log_prob(x, cond)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(0.5)
    assert torch.equal(model.log_prob(x, cond), before)
    assert not torch.allclose(twin.log_prob(x, cond), before, atol=1e-2)
