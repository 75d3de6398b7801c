"""Samples of coupling and masked flows are those of the plain inverse, found by whole passes."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Transform
from zuko.transforms import AutoregressiveTransform, ComposedTransform

from tests.support.flows import shaken
from tsgen.core import seeded
from tsgen.models.flows import flows
from tsgen.models.flows.conditioners import Coupling

EVENTS = [((5,), (3,)), ((3, 4), (3, 2))]


def plainly(part: Transform, z: Tensor) -> Tensor:
    """Invert part by part: zuko's passes for masked layers, zuko's functions for coupled halves."""
    if isinstance(part, ComposedTransform):
        for inner in reversed(part.transforms):
            z = plainly(inner, z)
        return z
    if isinstance(part, AutoregressiveTransform):
        return AutoregressiveTransform._inverse(part, z)
    layer = getattr(part, "layer", None)
    if not isinstance(layer, Coupling):
        return part.inv(z)
    joined = torch.cat([z[:, layer.mask], part.context.expand(len(z), -1)], -1)
    phi = layer.hyper(joined).unflatten(-1, (-1, layer.total))
    x = z.clone()
    x[:, ~layer.mask] = layer.univariate.of(phi).inv(z[:, ~layer.mask])
    return x


def both(model, dtype, rows=7):
    """Inverses of the same noise by the library and plainly, with gradients off and on."""
    model = model.to(dtype)
    with seeded(1):
        c = torch.randn(rows, *model.cond_shape, dtype=dtype)
        z = torch.randn(rows, model.event_shape.numel(), dtype=dtype)
    z[0, 0], c.view(rows, -1)[1, 0] = 30.0, -40.0  # beyond what steers the networks
    transform = model.to_noise(c)
    with torch.no_grad():
        fast = transform.inv(z)
        plain = plainly(transform, z)
    return fast, transform.inv(z).detach(), plain


@pytest.mark.parametrize("conditioner", ["coupling", "masked"])
@pytest.mark.parametrize("name", ["realnvp", "nice", "nsf"])
@pytest.mark.parametrize(("event", "cond"), EVENTS)
@pytest.mark.parametrize("location_scale", [False, True])
@pytest.mark.parametrize("mixing", ["none", "reverse", "permutation", "lu", "qr", "householder"])
def test_the_inverse_is_the_plain_one(conditioner, name, event, cond, location_scale, mixing):
    """In double precision to 1e-10 of its size, with and without gradients."""
    for norm, direction in ((False, "density"), (True, "sampling")):
        model = shaken(
            flows[name], event, cond, conditioner=conditioner, location_scale=location_scale,
            mixing=mixing, norm=norm, direction=direction, hidden=(7, 12),
        )  # fmt: skip
        if direction == "sampling":  # densities are what is inverted
            model.direction = "density"
        for x in (found := both(model, torch.float64))[:2]:
            assert ((x - found[2]).abs() / (1 + found[2].abs())).max() < 1e-10


@pytest.mark.parametrize("name", ["maf", "realnvp"])
@pytest.mark.parametrize(("channels", "hidden"), [(8, (100, 100)), (70, (20,)), (40, (90, 30, 50))])
def test_more_and_fewer_units_than_elements(name, channels, hidden):
    """Several blocks of steps, steps of several elements and layers without units in a step."""
    model = shaken(flows[name], (channels,), (3,), 0.02, hidden=hidden)
    for dtype, limit in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
        fast, joined, plain = both(model, dtype)
        for x in (fast, joined):
            assert ((x - plain).abs() / (1 + plain.abs())).max() < limit


@pytest.mark.parametrize("name", ["maf", "realnvp", "nsf"])
def test_gradients_are_those_of_the_plain_inverse(name):
    model = shaken(flows[name], (20,), (3,), 0.05, hidden=(9, 31))
    with seeded(1):
        c = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
        z = torch.randn(4, 20, dtype=torch.float64, requires_grad=True)
    transform, inputs = model.to_noise(c), [c, z, *model.parameters()]
    fast, plain = (
        torch.autograd.grad(x.square().sum(), inputs, allow_unused=True)
        for x in (transform.inv(z), plainly(model.to_noise(c), z))
    )
    for ours, theirs in zip(fast, plain, strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or torch.allclose(ours, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["maf", "realnvp"])
def test_samples_do_not_depend_on_gradients(name):
    """The same under a seed, whether or not gradients are taken, and the conditioning is left."""
    model = shaken(flows[name], (6,), (3,)).float()
    c = torch.randn(10, 3)
    before = c.clone()
    with seeded(5):
        taken = model.sample(c, (3,))
    with seeded(5), torch.no_grad():
        drawn = model.sample(c, (3,))
    assert taken.requires_grad and torch.allclose(taken, drawn, atol=1e-5)
    assert torch.equal(c, before)


@pytest.mark.parametrize("name", ["maf", "realnvp", "nsf"])
def test_the_loss_moves_events_by_the_density_alone(name):
    """Noise that is learnt (variational dequantisation) has the gradient of the bound's value."""
    model = shaken(flows[name], (4,), (3,))
    with seeded(1):
        c = torch.randn(6, 3, dtype=torch.float64)
        x = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    (by_loss,) = torch.autograd.grad(model.loss(x, c).sum(), x)
    (by_density,) = torch.autograd.grad(-model.log_prob(x, c).sum() / 4, x)
    assert torch.allclose(by_loss, by_density, rtol=1e-9, atol=1e-12)
