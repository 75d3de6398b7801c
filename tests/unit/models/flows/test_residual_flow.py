import math

import pytest
import torch

from tsgen.core import seeded
from tsgen.models.flows.residual_flow import Contraction, ResidualFlow, ResidualTransform


def spoilt(size=3, factor=5.0, **options):
    """A flow of float64 with matrices far beyond the bound."""
    with seeded(0):
        model = ResidualFlow((size,), (4,), **{"num_blocks": 3, **options}).double().eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter += 0.3 * torch.randn_like(parameter)
                if "weights" in name:
                    parameter *= factor
    return model


def strong(coefficient=0.9, size=5, rows=1):
    """A block whose Jacobian is near minus its bound in all directions, and its input."""
    with seeded(3):
        net = Contraction(size, 4, (size,), coefficient).double()
        turn = torch.linalg.qr(torch.randn(size, size).double()).Q
        net.weights[0].data = 3 * (turn + 0.2 * torch.randn(size, size))
        net.weights[1].data = -3 * (turn + 0.2 * torch.randn(size, size)).T
        net.modulate.bias.data[:size] = 1.0
    x, cond = data(size, rows)
    with torch.no_grad():
        return ResidualTransform(net, net.modulate(cond)), x


def data(size=3, rows=6, scale=1.0):
    with seeded(1):
        return scale * torch.randn(rows, size).double(), torch.randn(rows, 4).double()


@pytest.mark.parametrize("coefficient", [0.5, 0.9, 0.98])
def test_lipschitz_constant_keeps_its_bound_whatever_the_weights(coefficient):
    part, x = strong(coefficient, rows=2000)
    with torch.no_grad():
        g, slopes = part.evaluate(3 * x)
        near = 3 * x + 1e-3 * torch.randn_like(x)
        ratios = (part.evaluate(near)[0] - g).norm(dim=1) / (near - 3 * x).norm(dim=1)
        jacobians = part.jacobian(slopes) - torch.eye(5)
    assert ratios.max() < coefficient
    assert 0.8 * coefficient < torch.linalg.matrix_norm(jacobians, ord=2).max() < coefficient
    with seeded(2):
        net = Contraction(4, 3, (16, 16), coefficient).double()
        for weight in net.weights:
            weight.data = 5 * weight.data + torch.randn_like(weight)
    for weight, normal in zip(net.weights, net.normalised(), strict=True):
        assert torch.linalg.matrix_norm(weight, ord=2) > 1
        largest = torch.linalg.svdvals(normal)[0].item()
        assert largest == pytest.approx(coefficient ** (1 / 3))


def test_matrices_within_the_bound_stay_as_they_are():
    with seeded(2):
        net = Contraction(4, 3, (8,), 0.9)
        for weight in net.weights:
            weight.data *= 0.1
    for weight, normal in zip(net.weights, net.normalised(), strict=True):
        assert torch.equal(weight, normal)


@pytest.mark.parametrize("sharpness", [-3.0, 0.5, 4.0])
def test_lipswish_has_the_slope_it_says_and_it_stays_below_one(sharpness):
    net = Contraction(1, 1, (1,), 0.9).double()
    net.sharpness[0].data.fill_(sharpness)
    a = torch.linspace(-60, 60, 20001, dtype=torch.float64)[:, None].requires_grad_()
    value, slope = net.activation(0, a)
    by_autograd = torch.autograd.grad(value.sum(), a)[0]
    assert torch.allclose(slope, by_autograd, atol=1e-12)
    assert 0.99 < slope.abs().max() < 1


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_log_det_is_the_jacobians_and_the_inverse_is_one(size, scale):
    model, (x, cond) = spoilt(size, log_det="roulette"), data(size, scale=scale)
    x.requires_grad_()
    transform = model.to_noise(cond)
    z, log_det = transform.call_and_ladj(x)
    rows = [torch.autograd.grad(e.sum(), x, retain_graph=True)[0] for e in z.unbind(-1)]
    expected = torch.linalg.slogdet(torch.stack(rows, 1)).logabsdet
    assert log_det.abs().max() > 0.5
    assert torch.allclose(log_det, expected, atol=1e-10)
    normal = -0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)
    assert torch.allclose(model.log_prob(x, cond), normal + log_det)
    with torch.no_grad():
        assert torch.allclose(transform.inv(z), x, atol=1e-10, rtol=1e-12)
        assert torch.allclose(transform(transform.inv(x)), x, atol=1e-10, rtol=1e-12)
    assert torch.allclose(transform.inv(z), x, atol=1e-10, rtol=1e-12)


def test_inverse_in_single_precision():
    model, (x, cond) = spoilt(coefficient=0.98).float(), data(rows=500)
    transform = model.to_noise(cond.float())
    with torch.no_grad():
        assert (transform.inv(transform(x.float())) - x).abs().max() < 1e-4


def test_derivatives_of_the_inverse_are_those_of_differences():
    part, y = strong(size=3, rows=2)
    shifts = torch.cat(part.shifts, -1)

    def inverse(y, shifts, weight):
        transform = ResidualTransform(part.net, shifts)
        transform.weights[1] = weight
        return transform.inv(y)

    inputs = [v.detach().clone().requires_grad_() for v in (y, shifts, part.weights[1])]
    assert torch.autograd.gradcheck(inverse, inputs, eps=1e-6, atol=1e-6)


def test_an_iteration_without_end_is_an_error():
    part, y = strong()
    part.weights = [2 * weight for weight in part.weights]
    with torch.no_grad(), pytest.raises(RuntimeError, match="did not converge"):
        part.inv(y)
    part, y = strong()
    with torch.no_grad(), pytest.raises(RuntimeError, match="did not converge"):
        part.inv(y * math.nan)


def draws(part, x, weights, count):
    """Estimates of the log-determinant of one row, many signs at once, (count,)."""
    part = ResidualTransform(part.net, torch.cat(part.shifts, -1).expand(count, -1))
    with torch.no_grad():
        return part.call_and_estimate(x.expand(count, -1), weights)[1]


def test_truncation_leaves_a_bias_that_shrinks():
    part, x = strong(0.8)
    exact = part.call_and_ladj(x)[1].item()
    power = part.jacobian(part.evaluate(x)[1])[0] - torch.eye(5).double()
    count, partial, biases = 20_000, 0.0, []
    for terms in range(1, 13):
        partial -= torch.linalg.matrix_power(-power, terms).trace().item() / terms
        if terms in (1, 2, 4, 12):
            with seeded(terms):
                estimates = draws(part, x, [1.0] * terms, count)
            error = estimates.std().item() / math.sqrt(count)
            assert abs(estimates.mean().item() - partial) < 4 * error
            biases.append(abs(partial - exact))
    assert biases[0] > 1.5 * biases[1] > 3 * biases[2] > 15 * biases[3]
    assert biases[0] > 0.5


def test_roulette_is_unbiased():
    """Calls are independent; the rows of one share how many terms there are."""
    model, (part, x) = spoilt(num_terms=1, log_det="roulette"), strong()
    exact = part.call_and_ladj(x)[1].item()
    calls, means, lengths = 3000, [], []
    with seeded(6):
        for _ in range(calls):
            weights = model.term_weights()
            lengths.append(len(weights))
            means.append(draws(part, x, weights, 16).mean())
    means = torch.stack(means)
    error = means.std().item() / math.sqrt(calls)
    first = draws(part, x, [1.0], 20_000).mean().item()
    assert abs(first - exact) > 8 * error  # one term alone would be told apart
    assert abs(means.mean().item() - exact) < 4 * error
    expected = 1 + 0.9 / 0.1
    spread = math.sqrt(0.9) / 0.1 / math.sqrt(calls)
    assert abs(sum(lengths) / calls - expected) < 4 * spread


def test_weights_are_one_over_the_chance_of_their_term():
    model = spoilt(coefficient=0.8, num_terms=3, log_det="roulette")
    with seeded(7):
        drawn = [model.term_weights() for _ in range(4000)]
    for k in range(1, 9):
        reached = [w[k - 1] for w in drawn if len(w) >= k]
        chance = 0.8 ** max(k - 3, 0)
        assert reached == pytest.approx([1 / chance] * len(reached))
        spread = math.sqrt(chance * (1 - chance) / 4000)
        assert abs(len(reached) / 4000 - chance) <= 4 * spread
    assert spoilt(num_terms=3, log_det="truncated").term_weights() == [1.0] * 3


def test_gradients_of_the_estimate_have_the_mean_of_the_exact_gradients():
    """By x, whose rows are independent draws."""
    part, x = strong(0.7)
    count = 20_000
    exact_x = x.clone().requires_grad_()
    exact = torch.autograd.grad(part.call_and_ladj(exact_x)[1].sum(), exact_x)[0][0]
    many = ResidualTransform(part.net, torch.cat(part.shifts, -1).expand(count, -1))
    rows = x.expand(count, -1).clone().requires_grad_()
    with seeded(8):
        estimates = many.call_and_estimate(rows, [1.0] * 40)[1]
    gradients = torch.autograd.grad(estimates.sum(), rows)[0]
    error = gradients.std(0) / math.sqrt(count)
    assert exact.abs().max() > 10 * error.max()
    assert ((gradients.mean(0) - exact).abs() < 4 * error).all()


def test_loss_is_the_estimate_and_log_prob_is_not():
    x, cond = data(5)
    for kind in ("exact", "truncated", "roulette"):
        model = spoilt(5, log_det=kind)
        with torch.no_grad():
            first, second = model.loss(x, cond), model.loss(x, cond)
            exact, again = (-model.log_prob(x, cond) / 5 for _ in range(2))
        assert torch.equal(exact, again)
        assert torch.allclose(first, exact) == (kind == "exact")
        assert torch.allclose(first, second) == (kind == "exact")
    assert ResidualFlow((4,), (4,)).log_det == "exact"
    assert ResidualFlow((5,), (4,)).log_det == "roulette"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"coefficient": 1.0}, r"coefficient=1.0 must be in \(0, 1\)"),
        ({"num_blocks": 0}, "num_blocks=0"),
        ({"num_terms": 0}, "num_terms=0"),
        ({"hidden": ()}, r"hidden=\(\)"),
        ({"log_det": "guess"}, "log_det='guess'"),
        ({"direction": "sampling"}, "fixed point"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        ResidualFlow((3,), (4,), **options)
