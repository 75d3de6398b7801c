import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.commands import run
from tsgen.data import Benchmark, registry
from tsgen.data.card import LOADERS, Card, card_folders, read_card, read_cards
from tsgen.data.registry import cards, datasets
from tsgen.estimators import LastValueEstimator

ROOT = Path(__file__).parents[3]
NAMED = """
    exchange_rate_nips solar_nips electricity_nips traffic_nips taxi_30min wiki-rolling_nips
    wiki2000_nips m4_hourly uber_tlc_hourly kdd_cup exchange_rate_lstnet uci_electricity_5weeks
    ETTh1 ETTh2 los_loop_speed_5min eia_demand_hourly eia_demand_hourly_masked eia_regions_hourly
    vic_elec_30min solar_wind_power_hourly nyc_taxi_od_hourly nyc_taxi_pickups_hourly
    bike_sharing_hourly sf_traffic_hourly carparts_monthly flu_bavaria_bw_weekly ilinet_weekly
    physionet2012_set_a germany_pm10_daily nyc_departures simulated_ou simulated_cir simulated_var
    simulated_regimes simulated_heavy_tailed simulated_seasonal_counts
""".split()
BASE = """
name = "mine"
title = "A table"
kind = "multivariate"
source = "Here."
licence = "None."
citation = "None."
protocol = "Ours."
freq = "h"
series = 1
channels = 2
length = 20
prediction_length = 4
windows = 2
season = 24
support = "real"
get = {kind = "file", how = "Write it."}
table = {file = "mine.csv", index = "time"}
"""


def write(folder, text, name="mine"):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_every_set_has_a_card_and_a_loader():
    assert sorted(cards) == sorted(datasets) == sorted(NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_cards_say_all_there_is_to_know(name):
    card = cards[name]
    assert card.name == name and card.loader in LOADERS
    for field in ("title", "source", "licence", "citation", "protocol"):
        assert len(getattr(card, field)) > 3 and "  " not in getattr(card, field), field
    assert not card.title.endswith(".") and card.get.how.endswith(".")
    assert all(note.endswith((".", '.")', "!")) and "  " not in note for note in card.notes)
    start = pd.Period("2000-01-03", freq=card.freq)
    assert start + 1 > start
    for path in card.needed:
        assert path in {file.path for file in card.files}, "a file without a checksum"
    # a protocol leaves a training part after the validation period is taken off, too
    if not card.test_series:
        assert card.lengths[1] > card.windows * card.prediction_length


def test_readme_has_every_set_in_its_table():
    lines = (ROOT / "datasets" / "README.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    named = [row.split("`")[1] for row in rows]
    assert sorted(named) == sorted(cards)
    for row, name in zip(rows, named, strict=True):
        card = cards[name]
        assert f"| {card.windows} x {card.prediction_length} |" in row, name


def test_variants_differ_from_their_card_in_what_they_name():
    base, masked = cards["eia_demand_hourly"], cards["eia_demand_hourly_masked"]
    assert masked.table.masked and not base.table.masked
    assert (masked.licence, masked.table.end, masked.length) == (
        base.licence,
        base.table.end,
        base.length,
    )
    assert len(masked.files) == 2 and masked.files[0] == base.files[0]
    assert cards["nyc_taxi_pickups_hourly"].channels == 30


def test_options_for_all_and_for_one_estimator(tmp_path):
    card = cards["exchange_rate_nips"]
    common = {"scaling": "anchored", "scaling_window": "past", "max_epochs": 5}
    assert card.options_for("vae") == common
    for name in ("gaussian", "student_t", "timegrad", "lowrank"):
        assert card.options_for(name) == common
    wide = {"encoder": "gru(hidden_size=256,output_size=256)"}
    assert cards["eia_demand_hourly"].options_for("timegrad") == wide
    text = BASE + '[options]\nscaling = "mean"\n[options.timegrad]\nscaling = "robust"\n'
    (mine,) = read_card(write(tmp_path, text))
    assert mine.options_for("timegrad") == {"scaling": "robust"}
    assert mine.options_for("scaling") == mine.options_for("vae") == {"scaling": "mean"}


def test_cards_cannot_be_changed():
    with pytest.raises(AttributeError):
        cards["ETTh1"].windows = 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('licence = "None."', "", "licence is missing; expected text"),
        ('licence = "None."', "licence = 3", "licence=3; expected text"),
        ('licence = "None."', 'licence = ""', "licence=''; expected text"),
        ('licence = "None."', 'license = "MIT"', "license='MIT' is no field of a card; did you me"),
        ("windows = 2", "windows = 2.0", r"windows=2\.0; expected a whole number"),
        ("windows = 2", "windows = true", "windows=True; expected a whole number"),
        ("windows = 2", "windows = 0", "windows=0; expected at least 1"),
        ("length = 20", "length = [20]", r"length=\[20\]; expected a whole number or a list of 2"),
        ("length = 20", "length = [30, 20]", "length=.30, 20.; expected at least 1, the shortest"),
        ('freq = "h"', 'freq = "hourly"', "freq='hourly'; expected a frequency of pandas.Period"),
        ('"multivariate"', '"many"', "kind='many'; expected 'multivariate' or 'panel' or 'irreg"),
        ('"multivariate"', '"panel"', "channels=2; expected 1 for a panel"),
        ('support = "real"', 'support = "any"', "support='any'; expected 'real' or 'positive'"),
        ('support = "real"', "support = [1, 0]", r"support=\(1.0, 0.0\); expected low below high"),
        ('kind = "file", ', 'kind = "ftp", ', "get.kind='ftp'; expected 'file' or 'gluonts'"),
        ('"Write it."', '"Write it.", name = "x"', "get.name='x'; expected no name for kind='fil"),
        ('kind = "file"', 'kind = "package"', "get.name=''; expected a name for kind='package'"),
        (', index = "time"', "", "table.index is missing; expected text"),
        ('index = "time"', "index = 1", "table.index=1; expected text"),
        ('index = "time"', 'index = "time", past = "t"', "table.past='t'; expected a list of text"),
        ("table = {", "physionet = {file = 'x'}\ntable = {", "loaders=.*; expected one table of"),
        ("table = {", "tables = {", "tables=.* is no field of a card; did you mean 'table'"),
        ('"mine"', '"yours"', "name='yours'; expected the file's, 'mine'"),
        ("series = 1", "series = ", "Invalid value"),
        ("series = 1", 'names = ["a"]\nseries = 1', "names=.'a',.; expected one for each of 2"),
    ],
)
def test_wrong_cards_name_file_field_value_and_what_was_expected(tmp_path, old, new, message):
    assert old in BASE
    path = write(tmp_path, BASE.replace(old, new))
    with pytest.raises(ValueError, match=message) as caught:
        read_card(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sha256 = 'abc'", "sha256='abc'; expected 64 digits"),
        ("sha256 = 1", r"files\[0\].sha256=1; expected text"),
        ("of = 'all'", r"files\[0\].of='all'; expected 'file' or 'content'"),
        ("bytes = 0", "bytes=0; expected a number above 0"),
    ],
)
def test_wrong_checksums(tmp_path, change, message):
    entry = {"path": "'mine.csv'", "bytes": "3", "sha256": f"'{'0' * 64}'"}
    key, _, value = change.partition(" = ")
    lines = [f"{k} = {v}" for k, v in {**entry, key: value}.items()]
    with pytest.raises(ValueError, match=message):
        read_card(write(tmp_path, "\n".join([BASE, "[[files]]", *lines])))


def test_wrong_variants(tmp_path):
    with pytest.raises(ValueError, match="variants.other=1; expected a table"):
        read_card(write(tmp_path, BASE + "[variants]\nother = 1\n"))
    with pytest.raises(ValueError, match="windows=-1; expected at least 1"):
        read_card(write(tmp_path, BASE + "[variants.other]\nwindows = -1\n"))


def test_own_cards_lie_beside_the_data(tmp_path, monkeypatch):
    monkeypatch.setenv("TSGEN_DATA", str(tmp_path))
    assert len(card_folders()) == 1
    write(tmp_path / "cards", BASE)
    found = read_cards()
    assert isinstance(found["mine"], Card) and len(found) == len(cards) + 1
    path = write(tmp_path / "cards", BASE.replace('"mine"', '"ETTh1"'), "ETTh1")
    with pytest.raises(ValueError, match="name='ETTh1' is taken by .*ETTh1.toml") as caught:
        read_cards()
    assert str(caught.value).startswith(str(path))


def test_an_unknown_name_is_answered_with_the_known_ones():
    for table in (cards, datasets):
        with pytest.raises(ValueError, match="unknown data set 'eia'; known are ETTh1, ETTh2, "):
            table["eia"]


def test_names_and_cards_are_light():
    code = """
import sys
from tsgen.data.registry import cards, status
assert cards["simulated_ou"].channels == 1 and status("simulated_ou") == "simulated"
assert not {"torch", "gluonts", "lightning"} & set(sys.modules), "heavy"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_cards_are_packed_into_the_wheel():
    """tsgen/data/cards is a link to datasets, so that nothing has to be listed."""
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "cards/*.toml" in setup["package-data"]["tsgen.data"]
    packed, kept = ROOT / "tsgen" / "data" / "cards", ROOT / "datasets"
    for path in kept.glob("*.toml"):
        assert (packed / path.name).read_text() == path.read_text()
    assert setup["packages"]["find"]["include"] == ["tsgen*"]


def test_what_a_card_advises_does_not_turn_a_model_into_another(capsys, monkeypatch):
    """A card's encoder is for models that leave it open; a Transformer's name keeps its own."""
    name, estimators = "eia_demand_hourly", []
    entry = {"start": pd.Period("2024-01-01", freq="h"), "target": np.arange(20.0)}
    data = Benchmark(name, "h", 3, [entry], [entry], card=cards[name])

    def untrained(estimator, training, seed):
        estimators.append(estimator)
        return LastValueEstimator(3).train(training)

    monkeypatch.setitem(vars(registry), "datasets", {name: lambda: data})
    monkeypatch.setattr(sys.modules["tsgen.evaluation.backtest"], "fit", untrained)
    command = ["benchmark", "--data", name, "--baselines", "none", "--quiet", "--models"]
    run(capsys, *command, "transformer_maf,maf")
    run(capsys, *command, "transformer_maf", "--set", "transformer_maf.encoder=lstm")
    transformer, maf, other = (estimator.encoder for estimator in estimators)
    assert transformer == "transformer" and other == "lstm"
    assert maf.keywords == {"hidden_size": 256, "output_size": 256}
