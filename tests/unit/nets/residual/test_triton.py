"""The kernel for GPUs, in Triton's interpreter, and whether it is used."""

import pytest
import torch

from tsgen.core import seeded
from tsgen.nets import DilatedResidualNet, backend
from tsgen.nets.residual.backends import Case, unmet
from tsgen.nets.residual.triton import Kernel, TritonEvaluator

CASES = [
    (3, 8, {}),
    (7, 1, {"layers": 3}),
    (3, 3, {"layers": 4, "dilation_cycle": 4}),
    (2, 5, {"layers": 6, "dilation_cycle": 6, "cond_channels": 3}),
    (2, 370, {"layers": 3}),
    (3, 37, {"layers": 3, "channels": 16, "cond_channels": 2}),
    (3, 20, {"layers": 3, "channels": 1}),
]


def network(positions, options):
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
    net = network(positions, options)
    with seeded(1):
        x, conds, times = torch.randn(rows, positions), torch.randn(2, rows, 4), torch.rand(2, 1)
    features = net.condition(conds[0])
    kernel = Kernel(net.weights(), net.entry(False), features)
    kernel.scratch.fill_(torch.nan)
    for cond, t in zip(conds, times, strict=True):
        features = net.condition(cond)
        kernel.rebind(features)
        answer, expected = kernel(x, net.embed(t)), net(x, net.embed(t), features)
        assert (answer - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.no_grad()
def test_rows_are_apart(triton):
    """What is not a number stays in its row."""
    net = network(8, {})
    x, cond, t = torch.randn(40, 8), torch.randn(40, 4), torch.rand(1)
    features = net.condition(cond)
    kernel = Kernel(net.weights(), net.entry(False), features)
    kernel.rebind(features)
    before = kernel(x, net.embed(t))
    x[3, 2] = torch.nan
    after = kernel(x, net.embed(t))
    others = torch.arange(40) != 3
    assert after[3].isnan().any() and torch.equal(after[others], before[others])


@pytest.mark.parametrize("wrong", [False, True])
@torch.no_grad()
def test_the_kernel_is_compared_with_the_definition_first(wrong, triton, monkeypatch):
    """Weights of an untrained network, whose answers are zero, would tell nothing of it."""
    monkeypatch.setattr(
        torch.Tensor, "new_empty", lambda like, *size, **how: like.new_full(size, 7.0, **how)
    )
    call = Kernel.__call__
    monkeypatch.setattr(
        Kernel, "__call__", lambda self, x, time: call(self, x, time) * (0 if wrong else 1)
    )
    net = DilatedResidualNet((8,), (4,))
    case = net.weights(), net.entry(False), net.condition(torch.randn(5, 4))
    if wrong:
        with pytest.raises(RuntimeError, match="differs"):
            TritonEvaluator(*case)
    else:
        TritonEvaluator(*case)


@torch.no_grad()
def test_the_backend_is_forced_and_masks_run_in_pieces(triton, monkeypatch):
    """Within the context every evaluation of a fitting case asks the kernel."""
    monkeypatch.setattr("tsgen.nets.residual.backends.on_gpu", lambda case: None)
    monkeypatch.setattr(
        "tsgen.nets.residual.backends.CONSTRAINTS",
        {"reference": (), "pieces": (), "triton": ()},
    )
    rows = []
    call = Kernel.__call__
    monkeypatch.setattr(
        Kernel, "__call__", lambda self, x, time: rows.append(len(x)) or call(self, x, time)
    )
    net, t = network(8, {}), torch.rand(1)
    x, conds = torch.randn(5, 8), torch.randn(3, 5, 4)
    mask = (torch.rand(5, 8) < 0.5).float()
    for observed in (None, mask):
        with backend("triton"):
            predict = net.evaluator(conds[0])
        rows.clear()
        for number, cond in enumerate(conds):
            if number:
                predict.rebind(cond)
            expected = net(x, net.embed(t), net.condition(cond), observed)
            answer = predict(x, net.embed(t), observed)
            torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)
        assert rows == ([] if observed is not None else [5] * 3)


@torch.no_grad()
def test_rows_must_be_as_many(triton):
    """The kernel would read beyond the conditioning."""
    net = network(8, {})
    features = net.condition(torch.randn(5, 4))
    kernel = Kernel(net.weights(), net.entry(False), features)
    with pytest.raises(ValueError, match=r"x has shape \(6, 8\), expected \(5, 8\)"):
        kernel(torch.randn(6, 8), net.embed(torch.rand(1)))


@pytest.mark.parametrize("positions", [1, 8, 370, 2000, 20_000])
def test_scratch_memory_stays_in_the_caches(positions, triton):
    """Some dozens of megabytes, however many rows there are, unless a row alone is large."""
    from tsgen.nets.residual.triton_kernel import divide

    for rows in (1, 700, 14_900):
        for channels in (8, 32):
            how = divide(rows, positions, channels, 132)
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
        features = net.condition(torch.randn(5, 4).to(like))
        case = Case(net.weights(), net.entry(False), features)
        reasons = [r for r in unmet("triton", case) if "CUDA" not in r and "Triton" not in r]
        assert (not reasons) == right, (event, options, double)


def test_it_is_off_by_default_and_says_what_it_needs():
    """On a CPU nothing is built, and whoever forces it is told why it cannot be."""
    net, cond = network(8, {}), torch.randn(5, 4)
    with torch.no_grad():
        assert net.evaluator(cond).backend == "pieces"
        with backend("triton"), pytest.raises(ValueError, match="it needs a CUDA device"):
            net.evaluator(cond)
    with pytest.raises(ValueError, match="backend 'fast' does not exist; there are reference"):
        backend("fast").__enter__()
