"""The kernel for GPUs, in Triton's interpreter, and whether it is used."""

import pytest
import torch
from tsgen.nets.fused import Fused, fits

from tsgen.core import seeded
from tsgen.nets import DilatedResidualNet
from tsgen.nets import fused as module

CASES = [
    (3, 8, {}),
    (7, 1, {"layers": 3}),
    (3, 3, {"layers": 4, "dilation_cycle": 4}),
    (2, 5, {"layers": 6, "dilation_cycle": 6, "cond_channels": 3}),
    (2, 370, {"layers": 3}),
    (3, 37, {"layers": 3, "channels": 16, "cond_channels": 2}),
    (3, 20, {"layers": 3, "channels": 1}),
]


def made(positions, options):
    """A network with weights everywhere."""
    with seeded(0):
        net = DilatedResidualNet((positions,), (4,), **options)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return net


@pytest.fixture
def triton(monkeypatch):
    """Its interpreter, which takes arrays on the CPU."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    return pytest.importorskip("triton", reason="Triton comes with torch for GPUs")


@pytest.mark.parametrize(("rows", "positions", "options"), CASES)
@torch.no_grad()
def test_it_is_the_network(rows, positions, options, triton):
    """At two times and for two conditionings, whatever its memory held."""
    net = made(positions, options)
    with seeded(1):
        x, conds, times = torch.randn(rows, positions), torch.randn(2, rows, 4), torch.rand(2, 1)
    (known,) = net.condition(conds[0])
    kernel = Fused(net.weights(), net._entry(False), known)
    kernel.scratch.fill_(torch.nan)
    for cond, t in zip(conds, times, strict=True):
        (known,) = net.condition(cond)
        kernel.take(known)
        found, expected = kernel(x, net.embed(t)), net(x, net.embed(t), [known])
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.no_grad()
def test_rows_are_apart(triton):
    """What is not a number stays in its row."""
    net = made(8, {})
    x, cond, t = torch.randn(40, 8), torch.randn(40, 4), torch.rand(1)
    (known,) = net.condition(cond)
    kernel = Fused(net.weights(), net._entry(False), known)
    kernel.take(known)
    before = kernel(x, net.embed(t))
    x[3, 2] = torch.nan
    after = kernel(x, net.embed(t))
    others = torch.arange(40) != 3
    assert after[3].isnan().any() and torch.equal(after[others], before[others])


@pytest.mark.parametrize("wrong", [False, True])
@torch.no_grad()
def test_a_kernel_is_used_if_it_is_right(wrong, triton, monkeypatch):
    """Else a warning says so, once, and the rest goes on; masks are none of its business.

    Untrained networks, whose answers are zero, tell nothing of it.
    """
    monkeypatch.setattr(module, "usable", lambda device: True)
    monkeypatch.setattr(module, "_found", {})
    monkeypatch.setattr(
        torch.Tensor, "new_empty", lambda like, *size, **how: like.new_full(size, 7.0, **how)
    )
    asked = []
    call = Fused.__call__

    def answer(self, x, time):
        asked.append(len(x))
        return call(self, x, time) * (0 if wrong else 1)

    monkeypatch.setattr(Fused, "__call__", answer)
    fresh = DilatedResidualNet((8,), (4,))
    x, conds, t = torch.randn(5, 8), torch.randn(3, 5, 4), torch.rand(1)
    if wrong:
        with pytest.warns(UserWarning, match="without the fused kernel: it differs"):
            fresh.prepare(fresh.condition(conds[0]))
    else:
        fresh.prepare(fresh.condition(conds[0]))
    assert asked == [5]
    net = made(8, {})
    seen = (torch.rand(5, 8) < 0.5).float()
    for observed in (None, seen, None):
        predict = net.prepare(net.condition(conds[0]))
        assert (predict.fused is None) == wrong
        for number, cond in enumerate(conds):
            if number:
                predict.take(net.condition(cond))
            expected = net(x, net.embed(t), net.condition(cond), observed)
            found = predict(x, net.embed(t), observed)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert asked == ([5] if wrong else [5] * 7)


@torch.no_grad()
def test_rows_must_be_as_many(triton):
    """The kernel would read beyond the conditioning."""
    net = made(8, {})
    (known,) = net.condition(torch.randn(5, 4))
    kernel = Fused(net.weights(), net._entry(False), known)
    with pytest.raises(ValueError, match=r"x has shape \(6, 8\), expected \(5, 8\)"):
        kernel(torch.randn(6, 8), net.embed(torch.rand(1)))


@pytest.mark.parametrize("positions", [1, 8, 370, 2000, 20_000])
def test_scratch_memory_stays_in_the_caches(positions, triton):
    """Some dozens of megabytes, however many rows there are, unless a row alone is large."""
    from tsgen.nets.fused_kernel import plan

    for rows in (1, 700, 14_900):
        for channels in (8, 32):
            how = plan(rows, positions, channels, 132)
            assert how.group * how.programs * -(-rows // (how.group * how.programs)) >= rows
            assert how.pitch >= how.group * positions
            slot = 4 * how.scratch_size(channels) / how.programs
            assert slot < 4 * 3 * channels * max(3072, positions + 512)


def test_what_does_not_fit_is_left_alone():
    """Whole horizons, further arrays, odd widths, double precision."""
    for event, options, double, right in (
        ((8,), {}, False, True), ((8,), {"channels": 5}, False, False), ((8,), {}, True, False),
        ((8,), {"extra": 1}, False, False), ((6, 3), {}, False, False),
        ((8,), {"channels": 64}, False, False),
    ):  # fmt: skip
        net = DilatedResidualNet(event, (4,), **options)
        net = net.double() if double else net
        like = net.input.weight
        (known,) = net.condition(torch.randn(5, 4).to(like))
        assert fits(net.weights(), net._entry(False), known) == right, (event, options, double)


def test_a_cpu_does_without():
    """Nothing is built, and Triton is not looked for."""
    net = made(8, {})
    assert net.prepare(net.condition(torch.randn(5, 4))).fused is None
