import math

import pytest
import torch
from torch import nn

from tsgen.dynamics import CountedField, ODESolver, solve_ode, solve_path

MATRIX = torch.tensor([[-0.5, 2.0], [-2.0, 0.3]], dtype=torch.float64)
START = torch.tensor([1.0, 2.0], dtype=torch.float64)


def linear(t, x):
    return x @ MATRIX.T


def exact(time, start=START):
    return torch.linalg.matrix_exp(MATRIX * time) @ start


@pytest.mark.parametrize("ends", [(0.0, 1.5), (1.5, 0.0), (-0.5, 0.25)])
@pytest.mark.parametrize(("method", "calls"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_fixed_steps_have_the_order_and_the_calls_they_declare(method, calls, ends):
    errors = []
    for steps in (40, 80):
        field, solver = CountedField(linear), ODESolver(method=method, num_steps=steps)
        reached = solve_ode(field, START, *ends, solver)
        errors.append((reached - exact(ends[1] - ends[0])).norm().item())
        assert field.calls == calls * steps
    assert math.log2(errors[0] / errors[1]) == pytest.approx(solver.order, abs=0.25)


@pytest.mark.parametrize("ends", [(0.0, 1.5), (1.5, 0.0)])
def test_adaptive_steps_keep_the_tolerance_and_the_interval(ends):
    """The field is called nowhere but between the two times."""
    calls = []
    for tolerance in (1e-4, 1e-7, 1e-10):
        seen = []

        def field(t, x, seen=seen):
            seen.append(t.item())
            return linear(t, x)

        solver = ODESolver(method="dopri5", rtol=tolerance, atol=tolerance)
        reached = solve_ode(field, START, *ends, solver)
        assert (reached - exact(ends[1] - ends[0])).abs().max() < 50 * tolerance
        assert 0 <= min(seen) and max(seen) <= 1.5
        calls.append(len(seen))
    assert calls[0] < calls[1] < calls[2]


@pytest.mark.parametrize("ends", [(0.0, 1.5), (1.5, 0.0)])
@pytest.mark.parametrize("adjoint", [False, True])
def test_slow_fields_are_not_called_beyond_the_interval_either(ends, adjoint):
    seen = []

    def field(t, x):
        seen.append(t.item())
        return 1e-6 * x

    x0 = (1e3 * START).requires_grad_()
    solve_ode(field, x0, *ends, ODESolver(method="dopri5", adjoint=adjoint)).sum().backward()
    assert 0 <= min(seen) and max(seen) <= 1.5


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_paths_are_the_ends_of_their_parts(method):
    times = torch.tensor([1.0, 0.6, 0.1, -1.0], dtype=torch.float64)
    solver = ODESolver(method=method, num_steps=40, rtol=1e-9, atol=1e-9)
    path = solve_path(linear, START, times, solver)
    assert path.shape == (4, 2)
    for time, state in zip(times, path, strict=True):
        assert torch.allclose(state, exact(time - 1), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tuples_of_any_shapes_keep_shapes_and_types(dtype):
    x0 = (torch.ones(3, 2, dtype=dtype), torch.zeros((), dtype=dtype))
    x, total = solve_ode(lambda t, s: (-s[0], s[0].sum() * t**0), x0, 0, 2)
    assert x.shape == (3, 2) and total.shape == () and x.dtype == total.dtype == dtype
    assert torch.allclose(x, torch.full_like(x, math.exp(-2)), atol=1e-3)
    assert total.item() == pytest.approx(6 * (1 - math.exp(-2)), abs=1e-2)
    assert solve_ode(linear, x0[0], 1.0, 1.0) is x0[0]


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(MATRIX.clone())

    def forward(self, t, state):
        x = state[0]
        return torch.tanh(x @ self.weight.T * (1 + t)), (x**2).sum(-1) * t


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("given", [True, False])
def test_adjoint_gradients_are_those_of_backpropagation(ends, given):
    gradients, field = [], Field()
    for adjoint in (False, True):
        solver = ODESolver(method="dopri5", rtol=1e-10, atol=1e-10, adjoint=adjoint)
        x0 = torch.stack([START, START.flip(0), 0.1 * START]).requires_grad_()
        parameters = field.parameters() if given else ()
        x, total = solve_ode(field, (x0, torch.zeros(3).double()), *ends, solver, parameters)
        objective = (x**3).sum() + (total * torch.arange(3)).sum()
        gradients.append(torch.autograd.grad(objective, (x0, field.weight)))
    for one, other in zip(*gradients, strict=True):
        assert one.abs().max() > 0.1
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-7)


def test_adjoint_of_fixed_steps_converges_to_backpropagation():
    field, errors = Field(), []
    for steps in (5, 10):
        weights = []
        for adjoint in (False, True):
            x, _ = solve_ode(
                field, (START, START[0]), 0, 1, ODESolver(num_steps=steps, adjoint=adjoint)
            )
            weights.append(torch.autograd.grad(x.sum(), field.weight)[0])
        errors.append((weights[0] - weights[1]).abs().max().item())
    assert 0 < errors[1] < errors[0] / 8


@pytest.mark.parametrize(
    ("field", "options", "words"),
    [
        (lambda t, x: 0 * x + torch.sin(1e4 * t), {"max_num_steps": 50}, "max_num_steps=50"),
        (lambda t, x: x**2, {}, "not finite"),
        (lambda t, x: x * math.nan, {}, "not finite"),
    ],
)
def test_adaptive_solves_do_not_go_on_for_ever(field, options, words):
    solver, counted = ODESolver(method="dopri5", **options), CountedField(field)
    with pytest.raises(RuntimeError, match=words):
        solve_ode(counted, START, 0.0, 10.0, solver)
    assert counted.calls <= 2 + 6 * solver.max_num_steps


def test_assertions_of_the_field_are_not_mistaken_for_the_solvers():
    def field(t, x):
        raise AssertionError("mine")

    with pytest.raises(AssertionError, match="mine"):
        solve_ode(field, START, 0.0, 1.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "rk5"}, "method='rk5'.*'rk4'"),
        ({"num_steps": 0}, "num_steps=0 must be at least 1"),
        ({"max_num_steps": 0}, "max_num_steps=0 must be at least 1"),
        ({"rtol": 0.0}, "rtol=0.0 must be above 0 and finite"),
        ({"atol": math.inf}, "atol=inf must be above 0 and finite"),
        ({"steps": 3}, "did you mean 'num_steps'"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        ODESolver(**options)


def test_wrong_states_and_times_are_named():
    with pytest.raises(ValueError, match="int64"):
        solve_ode(linear, torch.arange(2), 0.0, 1.0)
    for times in ((0.0, 1.0, 0.5), (0.0, 0.0), (1.0,)):
        with pytest.raises(ValueError, match="strictly increasing or decreasing"):
            solve_path(linear, START, times)
