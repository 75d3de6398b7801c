import numpy as np
import pandas as pd
import pytest
import scoringrules
from gluonts.ev.metrics import (
    MASE,
    ND,
    NRMSE,
    SMAPE,
    MeanWeightedSumQuantileLoss,
)
from gluonts.evaluation import MultivariateEvaluator
from gluonts.model.evaluation import evaluate_forecasts

from tests.support.samples import C, H, W, as_forecasts, as_frames, as_test_data, histories, made
from tsgen.evaluation import (
    crps_sum,
    dawid_sebastiani_score,
    energy_score,
    evaluate,
    fair_crps,
    pit,
    quantile_crps,
    quantile_levels,
    seasonal_error,
    variogram_score,
)
from tsgen.evaluation.table import LOSSES

SEASON = 24


def scored(samples, truth, levels=19, **options):
    scale = np.stack([seasonal_error(past, SEASON) for past in histories(truth.shape[2])])
    return evaluate(samples, truth, levels, seasonal_error=scale, **options)


@pytest.mark.parametrize("levels", [9, 19])
def test_figures_are_those_of_the_multivariate_evaluator(levels):
    samples, truth = made()
    evaluator = MultivariateEvaluator(
        quantiles=quantile_levels(levels),
        target_agg_funcs={"sum": np.sum},
        num_workers=0,
        seasonality=SEASON,
    )
    theirs, _ = evaluator(as_frames(truth), as_forecasts(samples), num_series=W)
    ours = scored(samples, truth, levels)
    names = {
        "mean_wQuantileLoss": "crps", "ND": "nd", "NRMSE": "nrmse", "MASE": "mase", "sMAPE": "smape"
    }  # fmt: skip
    for name, own in names.items():
        assert ours[own] == pytest.approx(theirs[name], abs=1e-9), name
        for c in range(C):
            channel = ours.per_channel[own].iloc[c]
            assert channel == pytest.approx(theirs[f"{c}_{name}"], abs=1e-9), (name, c)
        if own != "mase":
            assert ours.sum[own] == pytest.approx(theirs[f"m_sum_{name}"], abs=1e-9), name
    assert ours["crps_sum"] == pytest.approx(theirs["m_sum_mean_wQuantileLoss"], abs=1e-9)


@pytest.mark.parametrize("missing", [False, True])
def test_figures_are_those_of_gluonts_ev(missing):
    samples, truth = made(missing=missing)
    ours = scored(samples, truth)
    metrics = {
        "crps": MeanWeightedSumQuantileLoss(quantile_levels(19)), "nd": ND(), "nrmse": NRMSE(),
        "mase": MASE(), "smape": SMAPE(),
    }  # fmt: skip
    for axis, figures in ((None, ours.total), ((0, 1), ours.per_step), ((0, 2), ours.per_channel)):
        theirs = evaluate_forecasts(
            as_forecasts(samples), test_data=as_test_data(truth), metrics=list(metrics.values()),
            axis=axis, seasonality=SEASON,
        )  # fmt: skip
        for own, column in zip(metrics, theirs.columns, strict=True):
            values = theirs[column].to_numpy(dtype=float)
            assert np.allclose(values, figures[own], rtol=0, atol=1e-9), (axis, own)


def test_figures_are_those_of_single_functions():
    samples, truth = made(missing=True)
    ours = scored(samples, truth)
    size = np.nansum(np.abs(truth))
    assert ours["crps"] == quantile_crps(samples, truth)
    assert ours["crps_sum"] == pytest.approx(crps_sum(samples, truth), abs=1e-12)
    assert ours["fair_crps"] == pytest.approx(np.nansum(fair_crps(samples, truth)) / size)
    assert ours["energy"] == pytest.approx(energy_score(samples, truth).mean(), abs=1e-12)
    assert ours["energy_raw"] == pytest.approx(energy_score(samples, truth, False).mean())
    for over, found in (("steps", ours.per_step), ("channels", ours.per_channel)):
        assert np.allclose(found["energy"], energy_score(samples, truth, over=over).mean(0))
        raw = np.nanmean(variogram_score(samples, truth, normalise=False, over=over), axis=0)
        assert np.allclose(found["variogram_raw"], raw, rtol=1e-5)
    assert np.isnan(ours.cells["pit"]).sum() == np.isnan(truth).sum()
    assert np.array_equal(ours.cells["pit"], pit(samples, truth), equal_nan=True)
    single = scoringrules.dssuv_ensemble(truth, np.moveaxis(samples, 1, -1))
    assert ours["dss"] == pytest.approx(np.nanmean(single), abs=1e-9)


def test_every_figure_has_every_grain():
    samples, truth = made(shape=(W, 40, H, C))
    ours = scored(samples, truth, channels=["a", "b", "c"], log_prob=np.arange(4.0))
    for frame, count in ((ours.per_channel, C), (ours.per_step, H), (ours.per_window, W)):
        assert len(frame) == count and np.isfinite(frame.to_numpy()).all()
        assert set(ours.total) - set(frame) <= {"crps_sum", "log_score", "dss", "mase"}
    assert list(ours.per_channel.index) == ["a", "b", "c"]
    assert "crps_sum" in ours.per_step and "crps_sum" in ours.per_window
    assert np.allclose(ours.per_window["log_score"], -np.arange(4.0) / (H * C))
    assert ours["log_score"] == pytest.approx(-1.5 / (H * C))
    for name in LOSSES:
        assert ours.losses(name).shape == (W,)
        assert ours.losses(name).mean() == pytest.approx(ours[name]), name
    with pytest.raises(ValueError, match="score='pit' must be one of crps, crps_sum"):
        ours.losses("pit")
    assert "crps_sum" in repr(ours) and "Scores of 4 windows" in repr(ours)


@pytest.mark.parametrize("shape", [(4, 30, 5, 3), (4, 30, 1, 1)])
def test_inputs_stay_as_they_are(shape):
    samples, truth = made(missing=True, shape=shape)
    kept = samples.copy(), truth.copy()
    evaluate(samples, truth)
    quantile_crps(samples, truth), fair_crps(samples, truth), energy_score(samples, truth)
    assert np.array_equal(samples, kept[0]) and np.array_equal(truth, kept[1], equal_nan=True)


def test_pieces_make_no_difference():
    """So many windows are not scored at once."""
    samples, truth = made(missing=True, shape=(1800, 40, H, C))
    assert samples.size > 2**20
    whole = evaluate(samples, truth).per_window
    parts = [
        evaluate(samples[part], truth[part]).per_window for part in np.split(np.arange(1800), 9)
    ]
    assert np.allclose(whole, pd.concat(parts), rtol=1e-9, equal_nan=True)


def test_a_large_level_does_not_spoil_the_table():
    samples, truth = made()
    low, high = evaluate(samples, truth), evaluate(samples + 1e7, truth + 1e7)
    for name in ("energy_raw", "variogram_raw", "dss"):
        assert high[name] == pytest.approx(low[name], rel=1e-5), name


@pytest.mark.parametrize("apart", [1.0, 1e3, 1e5, 1e6])
def test_channels_of_different_levels_do_not_spoil_the_variogram(apart):
    samples, truth = made()
    level = apart * np.arange(C)
    ours = evaluate(samples + level, truth + level)
    exact = variogram_score(samples + level, truth + level, normalise=False, over="steps")
    assert np.allclose(ours.per_step["variogram_raw"], exact.mean(0), rtol=1e-5, atol=0)


def test_intervals_that_few_samples_cannot_make_have_no_coverage():
    rng = np.random.default_rng(0)
    for count, known in ((2, []), (3, ["50"]), (19, ["50", "80", "90"]), (38, ["50", "80", "90"])):
        ours = evaluate(rng.normal(size=(4000, count, 1, 1)), rng.normal(size=(4000, 1, 1)))
        for name in ("50", "80", "90", "95"):
            found = ours[f"coverage_{name}"]
            if name in known:  # 4 standard errors
                assert abs(found - int(name) / 100) < 4 * np.sqrt(0.25 / 4000)
            else:
                assert np.isnan(found) and np.isnan(ours[f"width_{name}"])


def test_windows_of_which_nothing_is_known_have_no_loss():
    samples, truth = made()
    truth[1] = np.nan
    truth[2, 1:] = np.nan
    log_prob = np.array([-10.0, 0.0, -6.0, -20.0])
    ours = evaluate(samples, truth, log_prob=log_prob)
    for name in LOSSES:
        losses = ours.losses(name)
        assert np.isnan(losses[1]) and np.isfinite(losses[[0, 2, 3]]).all()
        assert np.nanmean(losses) == pytest.approx(ours[name]), name
    assert ours["log_score"] == pytest.approx(36 / np.isfinite(truth).sum())


def test_equal_samples_have_an_infinite_dawid_sebastiani_score():
    for value in (0.1, 0.25, 0.3, 0.7):
        ours = evaluate(np.full((1, 50, 2, 1), value), np.array([[[1.0], [value]]]))
        assert list(ours.per_step["dss"]) == [np.inf, -np.inf]
    rng = np.random.default_rng(0)
    one = rng.normal(size=(20, 50, 1, 1))
    twice = np.concatenate([one, 0.3 * one], 3)
    assert np.isinf(dawid_sebastiani_score(twice, rng.normal(size=(20, 1, 2)))).all()


def test_one_channel_and_one_step_have_no_variogram():
    samples, truth = made(shape=(W, 20, 1, 1))
    ours = evaluate(samples, truth)
    assert "variogram" not in ours.total and ours.sum is None and np.isfinite(ours["energy"])
    with pytest.raises(ValueError, match="of a single channel"):
        ours.losses("crps_sum")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seasonal_error": np.ones(C)}, r"seasonal_error has the shape \(3,\), expected \(4, 3\)"),
        ({"log_prob": np.ones(1)}, r"log_prob has the shape \(1,\), expected \(4,\)"),
    ],
)
def test_shapes_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(*made(), **options)


def test_truths_of_zero_have_no_relative_scores():
    samples, truth = made()
    truth[..., 1] = 0
    ours = evaluate(samples, truth)
    assert np.isnan(ours.per_channel["crps"].iloc[1]) and np.isfinite(ours["crps"])
    assert np.isnan(ours.per_channel["energy"].iloc[1])
    assert np.isfinite(ours.per_channel["energy_raw"].iloc[1])


def test_certain_forecasts():
    truth = np.ones((2, 3, 2))
    right = np.ones((2, 10, 3, 2))
    assert evaluate(right, truth)["crps"] == 0 and evaluate(right, truth)["dss"] == -np.inf
    assert evaluate(right + 1, truth)["dss"] == np.inf
    assert evaluate(right * 0, truth * 0)["smape"] == 0


def test_bad_tables():
    samples, truth = made()
    with pytest.raises(ValueError, match="channels has 2 names for 3 channels"):
        evaluate(samples, truth, channels=["a", "b"])
    with pytest.raises(ValueError, match=r"every true value is missing \(NaN\)"):
        evaluate(samples, truth * np.nan)
    with pytest.raises(ValueError, match="need at least 2 samples, got 1"):
        evaluate(samples[:, :1], truth)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_channels_without_a_size_are_left_out_without_a_warning():
    """Of zeros, of constants, of nothing: NaN where a figure would be 0 / 0, else what it is."""
    rng = np.random.default_rng(0)
    truth = rng.normal(5, 1, (3, 4, 4))
    truth[..., 1], truth[..., 2], truth[..., 3] = 0.0, 7.0, np.nan
    samples = np.repeat(np.nan_to_num(truth)[:, None], 50, 1)
    samples[..., 0] += rng.standard_normal(samples.shape[:-1])
    scales = np.tile([1.0, 0.0, 0.0, 0.0], (3, 1))
    scores = evaluate(samples, truth, seasonal_error=scales)
    table = scores.per_channel
    assert np.isfinite(table["mase"].iloc[0]) and np.isnan(table["mase"].iloc[1:]).all()
    assert scores["mase"] == pytest.approx(table["mase"].iloc[0])
    assert np.isnan(table["crps"].iloc[[1, 3]]).all() and table["crps"].iloc[2] == 0
    assert np.isfinite(scores["crps"]) and np.isfinite(scores.losses("crps")).all()
    zero = evaluate(np.zeros((3, 9, 4, 1)), np.zeros((3, 4, 1)))
    assert np.isnan(zero["crps"]) and np.isnan(zero.losses("crps")).all()
    assert zero["smape"] == 0 and zero["energy_raw"] == 0
