import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tsgen.data.splits import rolling
from tsgen.estimators.registry import estimators
from tsgen.evaluation import backtest, block_bootstrap, diebold_mariano, paired_comparison


def test_without_autocovariances_it_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.gamma(2, size=30), rng.gamma(2, size=30)
    found, expected = diebold_mariano(a, b), stats.ttest_rel(a, b)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.difference == pytest.approx((a - b).mean()) and found.pairs == 30
    assert diebold_mariano(b, a).statistic == pytest.approx(-found.statistic)


def test_correction_by_hand():
    d = np.array([1.0, 1.5, 2.0, 0.3, -0.8, -0.1])
    centred, n, h = d - d.mean(), 6, 2
    variance = (centred @ centred + 2 * centred[1:] @ centred[:-1]) / n
    statistic = d.mean() / np.sqrt(variance / n) * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    assert diebold_mariano(d, np.zeros(6), h).statistic == pytest.approx(statistic)


def test_weights_where_the_variance_would_be_negative():
    d = 0.1 + np.tile([1.0, -1.0], 10)
    centred, n = d - d.mean(), 20
    first, second = centred @ centred / n, centred[1:] @ centred[:-1] / n
    assert first + 2 * second < 0
    statistic = d.mean() / np.sqrt((first + second) / n) * np.sqrt((n - 3 + 2 / n) / n)
    assert diebold_mariano(d, np.zeros(n), 2).statistic == pytest.approx(statistic)


@pytest.mark.parametrize(("count", "horizon"), [(7, 1), (20, 1), (60, 3), (35, 7)])
def test_equal_forecasters_are_told_apart_at_the_nominal_rate(count, horizon):
    rng = np.random.default_rng(1)
    rejected = 0
    for _ in range(2000):  # moving averages of h terms: overlapping windows
        d = np.convolve(rng.standard_normal(count + horizon - 1), np.ones(horizon), "valid")
        rejected += diebold_mariano(d, np.zeros(count), horizon).p_value < 0.05
    # without overlap the test is exact: 4 standard errors; with it, some percent more are known
    assert abs(rejected / 2000 - 0.05) < (0.02 if horizon == 1 else 0.09)
    worse = rng.standard_normal(count) + 3
    assert diebold_mariano(worse, np.zeros(count), horizon).p_value < 0.01


@pytest.mark.parametrize(("count", "horizon"), [(7, 7), (60, 24), (30, 7)])
def test_too_few_windows_that_overlap_have_no_p_value(count, horizon):
    d = np.random.default_rng(0).standard_normal(count)
    found = diebold_mariano(d, np.zeros(count), horizon)
    assert np.isnan(found.p_value) and found.difference == pytest.approx(d.mean())


def test_nothing_can_be_said_of_two_windows_or_equal_losses():
    assert np.isnan(diebold_mariano(np.ones(2), np.zeros(2)).p_value)
    same = diebold_mariano(np.arange(5.0), np.arange(5.0))
    assert np.isnan(same.p_value) and same.difference == 0
    assert np.isnan(diebold_mariano(np.arange(5.0) + 0.1, np.arange(5.0)).p_value)


def test_bootstrap_interval_of_a_ratio():
    rng = np.random.default_rng(0)
    hard = rng.gamma(2, size=200)  # windows that are hard for both
    a, b = 0.8 * hard + 0.1 * rng.random(200), hard
    found = block_bootstrap(a, b, seed=1)
    error = (a - found.value * b).std(ddof=1) / np.sqrt(200) / b.mean()
    assert found.low < found.value < found.high
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.25)
    assert block_bootstrap(a, b, seed=1) == found
    # neighbours that err together: blocks see that the interval is wider
    steady = np.repeat(rng.normal(1, 0.3, 20), 10)
    single, blocks = (block_bootstrap(steady, np.ones(200), block=k) for k in (1, 10))
    assert blocks.high - blocks.low > 2 * (single.high - single.low)


@pytest.mark.parametrize(("count", "block"), [(7, 3), (8, 2), (5, 5), (6, 1), (9, 4)])
def test_bootstrap_draws_windows_in_a_circle(count, block):
    """As many windows as there are; the last block is cut."""
    a, b = np.random.default_rng(0).gamma(2, size=(2, count))
    starts = np.random.default_rng(3).integers(0, count, (500, -(-count // block)))
    index = ((starts[..., None] + np.arange(block)) % count).reshape(500, -1)[:, :count]
    low, high = np.quantile(a[index].mean(1) / b[index].mean(1), [0.025, 0.975])
    found = block_bootstrap(a, b, block, draws=500, seed=3)
    assert found == pytest.approx((a.mean() / b.mean(), low, high))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diebold_mariano(np.ones(3), np.ones(4)), r"\(3,\) and \(4,\) must be two arrays"),
        (lambda: diebold_mariano(np.array([1, np.nan]), np.ones(2)), "1 losses are not finite"),
        (lambda: diebold_mariano(np.ones(3), np.ones(3), 0), "horizon=0 must be in 1 to 3"),
        (lambda: block_bootstrap(np.ones(3), np.ones(3), 4), "block=4 must be in 1 to 3"),
        (lambda: block_bootstrap(np.ones(3), np.ones(3), level=2), r"level=2 must be in \(0, 1\)"),
    ],
)
def test_bad_requests(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def panel(count, seed=0):
    rng = np.random.default_rng(seed)
    start = pd.Period("2021-01-01", freq="h")
    return [
        {"start": start, "target": rng.standard_normal(300).cumsum(), "item_id": str(i)}
        for i in range(count)
    ]


def test_series_of_one_time_count_once():
    data = panel(6)
    cuts = rolling(data, 5, 4)
    walk, last = (
        backtest(estimators[name](4).train(data), cuts, seed=0)
        for name in ("random_walk", "last_value")
    )
    found = paired_comparison(walk, last)
    assert found.unit == "window" and found.test.pairs == 5 and found.score == "crps"
    by_time = [b.scores.losses("crps").reshape(5, 6).mean(1) for b in (walk, last)]
    assert found.test == pytest.approx(diebold_mariano(*by_time))
    assert found.ratio.value == pytest.approx(walk.scores["crps"] / last.scores["crps"])
    assert found.ratio.value < 1  # a point forecast has no spread
    uneven = [
        {**e, "target": e["target"][i * 3 :], "start": e["start"] + i} for i, e in enumerate(data)
    ]
    both = [
        backtest(estimators[name](4).train([]), uneven, windows=5, seed=0)
        for name in ("random_walk", "last_value")
    ]  # series that start at other times: still five windows, and the ratio is the table's
    found = paired_comparison(*both)
    assert found.test.pairs == 5 and found.ratio.value == pytest.approx(
        both[0].scores["crps"] / both[1].scores["crps"]
    )
    once = [
        backtest(estimators[name](4).train(data), rolling(data, 1, 4), seed=0)
        for name in ("random_walk", "last_value")
    ]
    assert paired_comparison(*once).unit == "series" and paired_comparison(*once).test.pairs == 6
    with pytest.raises(ValueError, match="have not the same truth"):
        paired_comparison(walk, once[0])


def gappy(missing, windows=10, levels=19):
    rng = np.random.default_rng(3)
    target = rng.standard_normal((2, 200)).cumsum(1)
    entry = {"start": pd.Period("2021-01-01", freq="h"), "target": target, "item_id": "x"}
    cuts = rolling([entry], windows, 4)
    for window in missing:
        cuts[window]["target"] = np.array(cuts[window]["target"])
        cuts[window]["target"][:, -4:] = np.nan
    return [
        backtest(estimators[name](4).train([]), cuts, seed=0, levels=levels)
        for name in ("random_walk", "last_value")
    ]


@pytest.mark.parametrize("score", ["crps", "crps_sum", "fair_crps", "energy", "variogram", "nd"])
def test_windows_of_which_nothing_is_known_are_no_observations(score):
    some, rest = gappy([2, 5]), [i for i in range(10) if i not in (2, 5)]
    found = paired_comparison(*some, score)
    a, b = (t.scores.losses(score)[rest] for t in some)
    assert found.test.pairs == 8 and found.test == pytest.approx(diebold_mariano(a, b))


def test_overlap_is_seen():
    rng = np.random.default_rng(0)
    entry = {"start": pd.Period("2021-01-01", freq="h"), "target": rng.standard_normal(300)}
    walk, last = (
        backtest(estimators[name](4).train([]), [entry], 40, stride=1, seed=0)
        for name in ("random_walk", "last_value")
    )
    found = paired_comparison(walk, last)
    losses = [t.scores.losses("crps") for t in (walk, last)]
    assert found.test == pytest.approx(diebold_mariano(*losses, 4))
    assert found.ratio == block_bootstrap(*losses, block=4)
    few = [
        backtest(estimators[name](4).train([]), [entry], 6, stride=1, seed=0)
        for name in ("random_walk", "last_value")
    ]
    found = paired_comparison(*few)
    assert np.isnan([found.test.p_value, found.ratio.low, found.ratio.high]).all()
    assert found.ratio.value == pytest.approx(few[0].scores["crps"] / few[1].scores["crps"])


def test_quantile_grids_that_differ_do_not_compare():
    (nine, _), (nineteen, _) = gappy([], levels=9), gappy([])
    with pytest.raises(ValueError, match="of 9 and of 19 quantile levels"):
        paired_comparison(nine, nineteen)
    assert paired_comparison(nine, nineteen, "fair_crps").ratio.value == pytest.approx(1)


def test_a_large_panel_needs_little_memory():
    rng = np.random.default_rng(0)
    losses = rng.gamma(2, size=(2, 50_000))
    tracemalloc.start()
    found = block_bootstrap(*losses)
    assert tracemalloc.get_traced_memory()[1] < 5e8
    tracemalloc.stop()
    assert found.high - found.low < 0.05


def test_series_without_names_are_told_apart():
    rng = np.random.default_rng(0)
    start = pd.Period("2021-01-01", freq="h")
    data = [{"start": start, "target": rng.standard_normal(n)} for n in (100, 90)]
    walk = estimators["random_walk"](4).train([])
    assert backtest(walk, data, 3).series == [[0, 2, 4], [1, 3, 5]]
    empty = [{"start": start, "target": np.zeros(n)} for n in (100, 90)]
    assert backtest(walk, empty, 3).series == [[0, 2, 4], [1, 3, 5]]
    cuts = rolling(data, 3, 4)
    assert backtest(walk, cuts).series == [[0, 2, 4], [1, 3, 5]]
    named = [{**cut, "item_id": str(i)} for i, cut in enumerate(cuts)]
    named[0]["target"] = np.where(
        np.arange(len(named[0]["target"])) < 90, named[0]["target"], np.nan
    )
    assert backtest(walk, named).series == [[0, 2, 4], [1, 3, 5]]


def test_series_that_begin_alike_are_not_one():
    """Shops that opened later: zeros first, then their own sales, each with one window."""
    start = pd.Period("2021-01-01", freq="D")
    sales = np.random.default_rng(0).gamma(2, size=(3, 60))
    sales[:, :20] = 0
    ends = (22, 45, 60)
    data = [
        {"start": start, "target": y[:end], "item_id": str(end)}
        for end, y in zip(ends, sales, strict=True)
    ]
    walk = estimators["random_walk"](4).train([])
    assert backtest(walk, data).series == [[0], [1], [2]]
    assert repr(backtest(walk, data)).startswith("Backtest of 3 series")


def test_one_or_two_windows_have_no_interval():
    data = panel(1)
    pair = [
        backtest(estimators[name](4).train(data), rolling(data, 2, 4), seed=0)
        for name in ("random_walk", "last_value")
    ]
    ratio = paired_comparison(*pair).ratio
    assert np.isfinite(ratio.value) and np.isnan([ratio.low, ratio.high]).all()
