"""The residual network against its definition by torch's convolutions, however it is computed."""

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from tsgen.nets.stack import Workspace, plain_stack
from tsgen.nets.stack_gradient import Tape, run_stack

from tsgen.core import seeded
from tsgen.diffusion import Ancestral, DPMSolverPP
from tsgen.models import DDPM
from tsgen.nets import DilatedResidualNet, threads

CASES = [
    ((8,), (5,), {}),
    ((1,), (3,), {}),
    ((2,), (3,), {"dilation_cycle": 3}),
    ((7,), (4,), {"layers": 3, "channels": 5, "cond_channels": 2}),
    ((6, 3), (4,), {"layers": 2, "cond_channels": 3}),
    ((5, 2), (5, 4), {"layers": 4, "channels": 6, "cond_channels": 7, "extra": 2}),
]
ROWS = 11


def made(
    event: tuple[int, ...], cond: tuple[int, ...], options: dict
) -> tuple[DilatedResidualNet, dict[str, Tensor]]:
    """A network in float64 with random weights everywhere, and inputs."""
    with seeded(0):
        net = DilatedResidualNet(event, cond, **options).double()
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        inputs = {"x": torch.randn(ROWS, *event), "cond": torch.randn(ROWS, *cond)}
        if "extra" in options:
            inputs["extra"] = torch.randn(2, ROWS, *event)
        inputs["observed"] = torch.randint(2, (ROWS, *event))
    return net, {name: value.double() for name, value in inputs.items()}


@contextmanager
def three_threads() -> Iterator[None]:
    """Rows are divided among them."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    with threads.rows_divided():
        yield
    torch.set_num_threads(before)


def by_convolutions(
    net: DilatedResidualNet, x: Tensor, t: Tensor, cond: Tensor, observed: Tensor,
    extra: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The network of the papers, block by block, on arrays (rows, channels, positions)."""

    def convolve(part: torch.nn.Module, x: Tensor, distance: int = 1) -> Tensor:
        weight, bias = part.get_parameter("weight"), part.get_parameter("bias")
        taps = weight.unflatten(1, (3, -1)).transpose(1, 2)  # what stands left, here and right
        index = torch.arange(x.shape[2])
        left, right = (
            x[..., (index - distance) % len(index)],
            x[..., (index + distance) % len(index)],
        )
        stacked = torch.stack([left, x, right], -1)
        return torch.einsum("oik,nipk->nop", taps, stacked) + bias[:, None]

    def lay(array: Tensor) -> Tensor:
        return array[:, None] if array.dim() == 2 else array.transpose(1, 2)

    arrays = [x * observed, observed, *([] if extra is None else extra)]
    seen = torch.cat([lay(array) for array in arrays], 1)
    hidden = F.leaky_relu(F.conv1d(seen, net.input.weight[..., None], net.input.bias), 0.4)
    lifted = net.upsample(cond)
    lifted = lifted if net.per_step else lifted.view(len(x), net.positions, -1)
    told = net.cond_projection(lifted).transpose(1, 2).chunk(net.layers, 1)
    times = net.time_projection(net.time_embedding(t)).chunk(net.layers, 1)
    skips = torch.zeros_like(hidden)
    for i, (convolution, output) in enumerate(zip(net.convolutions, net.outputs, strict=True)):
        y = convolve(convolution, hidden + times[i][..., None], convolution.dilation) + told[i]
        gate, value = y.chunk(2, 1)
        out = F.conv1d(gate.sigmoid() * value.tanh(), output.weight[..., None], output.bias)
        out = F.leaky_relu(out, 0.4)
        if i < net.layers - 1:
            residual, out = out.chunk(2, 1)
            hidden = (hidden + residual) / math.sqrt(2)
        skips = skips + out
    skips = F.leaky_relu(convolve(net.skip, skips / math.sqrt(net.layers)), 0.4)
    return convolve(net.output, skips).transpose(1, 2).reshape(x.shape)


@pytest.mark.parametrize(("event", "cond", "options"), CASES)
def test_it_is_the_network_of_the_papers(
    event: tuple[int, ...], cond: tuple[int, ...], options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values and gradients, at one time and at one of each row, whole, in pieces, by threads."""
    monkeypatch.setattr(threads, "SMALLEST", 1)
    net, inputs = made(event, cond, options)
    x, c = (inputs[name].requires_grad_() for name in ("x", "cond"))
    others = {k: v for k, v in inputs.items() if k not in ("x", "cond")}
    wanted = [x, c, *net.parameters()]
    for limit, divided, t in itertools.product(
        (2**30, 300), (nullcontext, three_threads), (torch.rand(ROWS), torch.rand(1))
    ):
        monkeypatch.setattr(Workspace, "limit", limit)
        monkeypatch.setattr(Tape, "limit", 10 * limit)
        with divided():
            found = net(x, net.embed(t), net.condition(c), **others)
            expected = by_convolutions(net, x, t.expand(ROWS), c, **others)
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
            by = torch.randn_like(found)
            for one, other in zip(
                torch.autograd.grad(found, wanted, by),
                torch.autograd.grad(expected, wanted, by), strict=True,
            ):  # fmt: skip
                torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)
            if len(t) == 1:
                prepared = net.prepare(net.condition(c))(x, net.embed(t), **others)
                torch.testing.assert_close(prepared, expected, rtol=1e-10, atol=1e-12)


def test_the_gradients_gradient_is_right() -> None:
    """Guidance and distillation ask for it."""
    net, inputs = made((4,), (3,), {"layers": 2, "channels": 3})
    known = net.condition(inputs["cond"])[0].detach()
    weights = net.weights()
    arguments = [
        value.detach().requires_grad_()
        for value in (torch.randn(3, 4, ROWS).double(), known, net.embed(torch.rand(ROWS)))
    ]

    def of(function: object) -> tuple[Tensor, ...]:
        result = function(*arguments, weights)  # type: ignore[operator]
        slopes = torch.autograd.grad((result**2).sum(), arguments, create_graph=True)
        return torch.autograd.grad(sum((s**2).sum() for s in slopes), arguments)

    for one, other in zip(of(run_stack), of(plain_stack), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_a_prepared_network_keeps_no_answer_and_no_time() -> None:
    """An answer stays as it was when others follow; without a mask all is seen."""
    net, inputs = made((8,), (5,), {})
    x, times = inputs["x"], net.embed(torch.rand(2)).split(1, 2)
    predict = net.prepare(net.condition(inputs["cond"]))
    first = predict(x, times[0])
    kept = first.clone()
    assert not torch.equal(predict(-x, times[1]), kept)
    assert torch.equal(first, kept)
    torch.testing.assert_close(predict(x, times[0]), kept)
    torch.testing.assert_close(predict(x, times[0], observed=torch.ones_like(x)), kept)
    assert not kept.requires_grad


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_samples_are_those_of_the_plain_loop(dtype: torch.dtype, tolerance: float) -> None:
    """With one seed, whether gradients are on, where everything is computed anew, or off."""
    for event, cond in (((8,), (5,)), ((6, 3), (6, 4))):
        for sampler in (Ancestral(), DPMSolverPP(10)):
            with seeded(0):
                model = DDPM(event, cond, sampler=sampler).to(dtype)
                torch.nn.init.normal_(model.net.output.weight, std=0.3)
                given = torch.randn(7, *cond, dtype=dtype)
            with seeded(1):
                plain = model.sample(given, (3,)).detach()
            with seeded(1), torch.no_grad():
                fast = model.sample(given, (3,))
            gap = (fast - plain).abs().max() / plain.std()
            assert gap < tolerance, gap


def test_it_learns_in_mixed_precision() -> None:
    """Under autocast some inputs come in half precision; the blocks stay in that of the weights."""
    net, inputs = made((8,), (5,), {})
    net, x, cond = net.float(), inputs["x"].float(), inputs["cond"].float()
    t = torch.rand(ROWS)
    exact = net(x, net.embed(t), net.condition(cond)).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = net(x, net.embed(t), net.condition(cond))
        with torch.no_grad():
            prepared = net.prepare(net.condition(cond))(x, net.embed(t[:1]))
    assert (mixed - exact).abs().max() < 0.05 * exact.std()
    assert prepared.isfinite().all()
    (mixed**2).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_no_rows_are_no_trouble() -> None:
    """An empty batch has an empty answer."""
    net, inputs = made((4,), (3,), {})
    x, cond, t = inputs["x"][:0], inputs["cond"][:0], torch.rand(1)
    assert net(x, net.embed(t), net.condition(cond)).shape == (0, 4)
    with torch.no_grad():
        assert net.prepare(net.condition(cond))(x, net.embed(t)).shape == (0, 4)
