import gzip
import hashlib
import json
import tarfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tsgen.data.benchmarks import MissingData
from tsgen.data.card_tables import File, GluonTS
from tsgen.data.loaders import load, repository
from tsgen.data.registry import cards

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The data folder."""
    monkeypatch.setenv("TSGEN_DATA", str(tmp_path))
    made = tmp_path / "forecasting"
    made.mkdir()
    return made


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """GluonTS's folder, in place of the user's own."""
    from gluonts.dataset.repository import datasets

    made = tmp_path / "cache"
    monkeypatch.setattr(datasets, "default_dataset_path", made)
    return made


def rolling_rows(count=3, length=20, horizon=4, windows=2, start="2020-01-01 00:00:00"):
    """Rows of train and test as the archives have them."""
    values = RNG.normal(size=(count, length + horizon * windows)).round(3)
    train = [{"start": start, "target": v[:length].tolist()} for v in values]
    test = [
        {"start": start, "target": v[: length + (w + 1) * horizon].tolist()}
        for w in range(windows)
        for v in values
    ]
    return values, train, test


def write_folder(path, train, test, name="data.json.gz", metadata=None):
    for part, rows in (("train", train), ("test", test)):
        (path / part).mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(row) + "\n" for row in rows).encode()
        zipped = gzip.compress(text) if name.endswith(".gz") else text
        (path / part / name).write_bytes(zipped)
    if metadata:
        (path / "metadata.json").write_text(json.dumps(metadata))
    return path


def gluonts_card(name="solar_nips", **changes):
    base = {"channels": 3, "length": 20, "windows": 2, "prediction_length": 4, "files": ()}
    return replace(cards[name], **base | changes)


@pytest.mark.parametrize("name", ["data.json.gz", "train.json"])
def test_folder_to_one_series_of_channels(folder, name):
    values, train, test = rolling_rows()
    about = {"freq": "1H", "prediction_length": 4}
    write_folder(folder / "solar_nips", train, test, name, about)
    data = load(gluonts_card(names=("a", "b", "c")))
    assert np.array_equal(data.train[0]["target"], values[:, :20])
    assert data.train[0]["start"] == pd.Period("2020-01-01", freq="h")
    assert [e["target"].shape for e in data.test] == [(3, 24), (3, 28)]
    assert np.array_equal(data.test[-1]["target"], values) and values.dtype == np.float64
    assert np.shares_memory(data.train[0]["target"], data.test[-1]["target"])
    assert data.channels == ["a", "b", "c"]


def test_only_the_last_series_of_a_large_set_are_read(folder):
    values, train, test = rolling_rows(count=5)
    for rows in (train, test):
        rows[0]["target"] = "not even read"
    write_folder(folder / "wiki-rolling_nips", train, test)
    card = gluonts_card("wiki-rolling_nips", freq="h", gluonts=GluonTS(last=3))
    assert np.array_equal(load(card).test[-1]["target"], values[2:])


def test_folder_to_a_panel_of_different_lengths(folder):
    parts = [rolling_rows(1, length, 4, 1) for length in (20, 25)]
    train = [p[1][0] | {"item_id": f"H{i}"} for i, p in enumerate(parts)]
    test = [p[2][0] | {"item_id": f"H{i}"} for i, p in enumerate(parts)]
    test[1]["target"][-1] = None  # missing values, as JSON or GluonTS writes them
    test[1]["target"][-2] = "Nan"
    write_folder(folder / "m4_hourly", train, test)
    data = load(gluonts_card("m4_hourly", series=2, channels=1, length=(20, 25), windows=1))
    assert [e["target"].shape for e in data.train] == [(20,), (25,)]
    assert [e["item_id"] for e in data.test] == ["H0", "H1"]
    assert np.isnan(data.test[1]["target"]).tolist() == [False] * 27 + [True] * 2
    assert np.array_equal(data.test[0]["target"], parts[0][0][0])


def test_windows_of_another_year_than_training(folder):
    values, train, _ = rolling_rows()
    later, _, test = rolling_rows(length=7, start="2021-01-01 00:00:00")
    write_folder(folder / "taxi_30min", train, test)
    data = load(gluonts_card("taxi_30min"))
    assert np.array_equal(data.train[0]["target"], values[:, :20])
    assert data.train[0]["start"] == pd.Period("2020-01-01", freq="30min")
    assert [e["target"].shape for e in data.test] == [(3, 11), (3, 15)]
    assert data.test[0]["start"] == pd.Period("2021-01-01", freq="30min")
    assert np.array_equal(data.test[1]["target"], later)
    test[1]["start"] = test[4]["start"] = "2021-01-01 00:30:00"
    write_folder(folder / "taxi_30min", train, test)
    with pytest.raises(ValueError, match="taxi_30min: series 1 starts 2021-01-01 00:30 and has 15"):
        load(gluonts_card("taxi_30min"))


def trap(kind):
    """A set whose series 1 has a wrong row in its second window."""
    values, train, test = rolling_rows()
    row = test[4]
    if kind == "cut":  # starts later, and says so
        row |= {"start": "2020-01-01 03:00:00", "target": row["target"][3:]}
    elif kind == "early":
        row |= {"start": "2019-12-31 22:00:00", "target": [0.0, 0.0, *row["target"]]}
    elif kind == "label":
        row["start"] = "2020-01-01 03:00:00"
    elif kind == "shifted":
        row["target"] = [0.0, *row["target"][:-1]]
    elif kind == "short":
        row["target"] = row["target"][:-1]
    elif kind == "other":
        row["target"] = test[3]["target"]
    return values, train, test


@pytest.mark.parametrize("kind", ["cut", "early"])
def test_rows_with_more_or_less_history_are_put_in_their_place(folder, kind):
    values, train, test = trap(kind)
    write_folder(folder / "solar_nips", train, test)
    assert np.array_equal(load(gluonts_card()).test[-1]["target"], values)


def test_values_count_more_than_the_time_a_row_says(folder):
    values, train, test = trap("label")
    write_folder(folder / "solar_nips", train, test)
    with pytest.warns(
        UserWarning, match="solar_nips: test series 1 says that it starts 2020-01-01"
    ):
        data = load(gluonts_card())
    assert np.array_equal(data.test[-1]["target"], values)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("shifted", "series 1 does not begin with the values before it"),
        ("other", "series 1 does not begin with the values before it"),
        ("short", "series 1 starts 2020-01-01 00:00 and has 27 steps; expected 2020-01-01 00:00"),
    ],
)
def test_rows_that_do_not_continue_their_series(folder, kind, message):
    """electricity_nips is said to have one: it is left out, other sets are refused."""
    values, train, test = trap(kind)
    for name in ("solar_nips", "electricity_nips"):
        write_folder(folder / name, train, test)
    with pytest.raises(ValueError, match=rf"solar_nips/test: test {message}"):
        load(gluonts_card())
    with pytest.warns(UserWarning, match=f"electricity_nips: left out test {message}"):
        data = load(gluonts_card("electricity_nips", names=("a", "b", "c")))
    assert np.array_equal(data.train[0]["target"], values[[0, 2], :20])
    assert np.array_equal(data.test[-1]["target"], values[[0, 2]]) and data.channels is None


def test_a_panel_leaves_out_series_too_short_to_train_on(folder):
    parts = [rolling_rows(1, length, 4, 1) for length in (20, 1, 25)]
    train, test = [p[1][0] for p in parts], [p[2][0] for p in parts]
    train[1]["target"], test[1]["target"] = [], test[1]["target"][:3]
    write_folder(folder / "uber_tlc_hourly", train, test)
    card = gluonts_card("uber_tlc_hourly", series=3, channels=1, length=(1, 30), windows=1)
    with pytest.warns(UserWarning, match="uber_tlc_hourly: left out test series 1 "):
        data = load(card)
    assert [len(e["target"]) for e in data.train] == [20, 25]


@pytest.mark.parametrize(
    ("part", "spoil", "message"),
    [
        ("train", lambda b: gzip.compress(b"{}\n"), "train/data.json.gz .*line 1 is no series"),
        ("test", lambda b: b[:-20], "test/data.json.gz cannot be read as solar_nips: Compressed"),
        ("test", lambda b: b"\0" * 99, "test/data.json.gz cannot be read as solar_nips: Not a gz"),
        ("test", lambda b: gzip.compress(gzip.decompress(b)[:-9]), "line 6 is no series .JSONDec"),
        ("train", lambda b: gzip.compress(b""), "train holds no series"),
        (
            "test",
            lambda b: gzip.compress(b"\n".join(gzip.decompress(b).splitlines()[:4])),
            "test has 4 lines, expected 3 series x 2 windows",
        ),
    ],
)
def test_broken_folders_are_named(folder, part, spoil, message):
    _, train, test = rolling_rows()
    path = write_folder(folder / "solar_nips", train, test) / part / "data.json.gz"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        load(gluonts_card())


def test_other_protocols_than_the_cards_are_refused(folder):
    _, train, test = rolling_rows()
    for about in ({"freq": "D"}, {"prediction_length": 5}):
        write_folder(folder / "solar_nips", train, test, metadata=about)
        key = next(iter(about))
        with pytest.raises(ValueError, match=f"metadata.json .*{key}=.*the card says"):
            load(gluonts_card())
    (folder / "solar_nips" / "metadata.json").unlink()
    with pytest.raises(ValueError, match=r"solar_nips: channels \[3\]; the card says \[4\]"):
        load(gluonts_card(channels=4))
    with pytest.raises(ValueError, match="training steps 20 to 20; the card says 21 to 21"):
        load(gluonts_card(length=21))


def test_what_gluonts_keeps_is_read_after_the_data_folder(folder, cache):
    values, train, test = rolling_rows()
    about = {"freq": "h", "prediction_length": 4}
    write_folder(cache / "solar_nips", train, test, metadata=about)
    assert repository.folder_of(gluonts_card()) == cache / "solar_nips"
    assert np.array_equal(load(gluonts_card()).test[-1]["target"], values)
    write_folder(folder / "solar_nips", train, test)
    assert repository.folder_of(gluonts_card()) == folder / "solar_nips"


def archive(path, train, test):
    """A tar file as GluonTS's, and what a card says of it."""
    made = write_folder(path / "solar_nips", train, test, "train.json")
    files = []
    for part in ("train", "test"):
        raw = (made / part / "train.json").read_bytes()
        files.append(
            File(f"solar_nips/{part}", len(raw), hashlib.sha256(raw).hexdigest(), "content")
        )
    with tarfile.open(path / "solar.tar.gz", "w:gz") as tar:
        tar.add(made, "solar_nips")
    return path / "solar.tar.gz", tuple(files)


@pytest.fixture
def served(tmp_path, cache, monkeypatch):
    """A set in place of GluonTS's address."""
    from gluonts.dataset.repository import _gp_copula_2019 as source

    values, train, test = rolling_rows()
    path, files = archive(tmp_path, train, test)
    info = source.datasets_info["solar_nips"]
    small = info._replace(url=path.as_uri(), num_series=3, prediction_length=4)
    monkeypatch.setitem(source.datasets_info, "solar_nips", small)
    return values, files


def test_downloads_are_compared_with_their_checksums_and_kept_by_gluonts(served, cache, folder):
    values, files = served
    data = load(gluonts_card(files=files))
    assert np.allclose(data.test[-1]["target"], values, rtol=1e-6)
    from gluonts.dataset.repository import get_dataset

    kept = get_dataset("solar_nips", path=cache)  # GluonTS finds it in its own form
    assert [row["feat_static_cat"][0] for row in kept.test] == [0, 1, 2] * 2
    assert [p.name for p in cache.iterdir()] == ["solar_nips"]


def test_a_download_that_is_not_the_cards_is_not_kept(served, cache, folder):
    wrong = (replace(served[1][0], sha256="0" * 64), served[1][1])
    with pytest.raises(ValueError, match="solar.tar.gz: solar_nips/train has SHA-256 .*the card"):
        load(gluonts_card(files=wrong))
    assert list(cache.iterdir()) == []


def test_sets_that_gluonts_makes_itself(cache, folder, monkeypatch):
    from gluonts.dataset.repository import datasets

    _, train, test = rolling_rows(1)
    asked = []

    def recipe(dataset_path, dataset_writer):
        asked.append(dataset_path)
        about = {"freq": "h", "prediction_length": 4}
        write_folder(dataset_path, train, test, metadata=about)

    monkeypatch.setitem(datasets.dataset_recipes, "kdd_cup_2018_without_missing", recipe)
    (cache / "kdd_cup_2018_without_missing").mkdir(parents=True)  # left by a failed download
    data = load(gluonts_card("kdd_cup", series=1, channels=1))
    assert [path.name for path in asked] == ["kdd_cup_2018_without_missing"]
    assert [path.name for path in cache.iterdir()] == ["kdd_cup_2018_without_missing"]
    assert [e["target"].shape for e in data.test] == [(24,), (28,)]


def test_without_a_network_the_error_says_what_to_do(cache, folder, monkeypatch):
    from gluonts.dataset.repository import _gp_copula_2019 as source

    info = source.datasets_info["solar_nips"]._replace(url=(folder / "none").as_uri())
    monkeypatch.setitem(source.datasets_info, "solar_nips", info)
    with pytest.raises(MissingData) as caught:
        load(gluonts_card())
    text = str(caught.value)
    assert "\n" not in text and text.startswith("solar_nips is not on this machine: no folder")
    assert "TSGEN_DATA/forecasting" in text and "could not download it (URLError" in text
    assert "unpack GluonTS's archive of it to TSGEN_DATA/forecasting/solar_nips/" in text
