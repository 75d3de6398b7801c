"""Published logs, on small files of exactly their forms; cards say where they come from."""

import gzip
import inspect
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tsgen.data.benchmarks import MissingData
from tsgen.data.card import read_cards
from tsgen.data.plant import (
    load_batadal,
    load_hai,
    load_plant,
    load_psm,
    load_pump,
    load_skab,
    load_smap_msl,
    load_smd,
    load_swat,
    load_tep,
    load_wadi,
    log_cards,
    plant_names,
)
from tsgen.data.plant.cards import read_log_cards

ROOT = Path(__file__).parents[4]
RNG = np.random.default_rng(0)
SWAT = (
    "FIT101,LIT101, MV101,P101,P102, AIT201,AIT202,AIT203,FIT201, MV201, P201, P202,P203, P204,P205"
    ",P206,DPIT301,FIT301,LIT301,MV301,MV302, MV303,MV304,P301,P302,AIT401,AIT402,FIT401,LIT401,"
    "P401,P402,P403,P404,UV401,AIT501,AIT502,AIT503,AIT504,FIT501,FIT502,FIT503,FIT504,P501,P502,"
    "PIT501,PIT502,PIT503,FIT601,P601,P602,P603"
)
PREFIX = "\\\\WIN-25J4RO10SBF\\LOG_DATA\\SUTD_WADI\\LOG_DATA\\"
WADI = (
    "1_AIT_001_PV,1_MV_001_STATUS,2_FIC_101_CO,2_FIC_101_PV,2_FIC_101_SP,2_LS_001_AL,2_LS_002_AL,"
    "2_MCV_101_CO,2_P_001_STATUS,2_P_002_STATUS,2_P_003_SPEED,2A_AIT_001_PV,LEAK_DIFF_PRESSURE,"
    "PLANT_START_STOP_LOG,TOTAL_CONS_REQUIRED_FLOW"
).split(",")
EMPTY = {"2_LS_001_AL", "2_LS_002_AL", "2_P_001_STATUS", "2_P_002_STATUS"}


def stamps(start, rows, written, freq="s"):
    return pd.date_range(start, periods=rows, freq=freq).strftime(written)


def swat_line(row, time, label):
    cells = []
    for name in SWAT.split(","):
        tag = name.strip()
        cells.append("2" if tag.startswith("MV") else "1" if tag[0] in "PU" and tag[1] != "I" else
                     f"{row}.5")  # fmt: skip
    return ",".join([f" {time}", *cells, label])


@pytest.fixture
def swat(tmp_path):
    """The plant fills for 12 rows; the attack is labelled in two ways."""
    normal = stamps("2015-12-22 16:30", 42, "%d/%m/%Y %I:%M:%S %p")
    lines = [",P1" + "," * 51, f" Timestamp,{SWAT},Normal/Attack"]
    lines += [swat_line(i, time, "Normal") for i, time in enumerate(normal)]
    (tmp_path / "SWaT_Dataset_Normal_v1.csv").write_text("\n".join(lines) + "\n")
    attack = stamps("2015-12-28 10:00", 30, "%d/%m/%Y %I:%M:%S %p")
    marks = ["Normal"] * 12 + ["Attack"] * 5 + ["A ttack"] * 2 + ["Normal"] * 11
    lines = [f" Timestamp,{SWAT},Normal/Attack"]
    lines += [swat_line(i, t, m) for i, (t, m) in enumerate(zip(attack, marks, strict=True))]
    (tmp_path / "SWaT_Dataset_Attack_v0.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_swat(swat):
    data = load_swat(swat, warm_up=12)
    (train,), (test,) = data.train, data.test
    assert len(train.tags) == 51 and train.tags == test.tags
    assert train.tags[:5] == ("FIT101", "LIT101", "MV101", "P101", "P102")
    assert train.frame.index[0] == pd.Timestamp("2015-12-22 16:30:12") and len(train) == 30
    assert train.frame["FIT101"].tolist() == [i + 0.5 for i in range(12, 42)]
    assert test.labels.tolist() == [0] * 12 + [1] * 7 + [0] * 11 and not train.labels.any()
    assert test.frame.index[0] == pd.Timestamp("2015-12-28 10:00")
    assert {train.kinds[tag] for tag in train.tags if tag.startswith("MV")} == {"discrete"}
    assert len(train.of_kind("binary", "discrete")) == 26 and test.kinds == train.kinds
    assert train.kinds["PIT501"] == train.kinds["DPIT301"] == "continuous"
    assert train.summary.renamed == {} and train.summary.warm_up == 12
    assert data.card is log_cards()["swat"] and data.sites() == [data]


def test_swat_down_sampled_with_intervals_and_by_default(swat):
    default = inspect.signature(load_swat).parameters["warm_up"].default
    assert default == 21_600, "six hours at 1 s"
    data = load_swat(swat, warm_up="12s", every="10s")
    (train,), (test,) = data.train, data.test
    assert train.frame["LIT101"].tolist() == [17.0, 27.0, 37.0]
    assert test.labels.tolist() == [0, 1, 0] and test.frame["LIT101"].tolist() == [5, 15, 25]
    mended = pd.DataFrame({"start": ["2015-12-28 10:00:25"], "end": ["2015-12-28 10:00:26"]})
    data = load_swat(swat, warm_up=0, attacks=mended)
    assert np.flatnonzero(data.test[0].labels).tolist() == [25, 26]
    assert data.attacks["start"].tolist() == [pd.Timestamp("2015-12-28 10:00:25")]
    path = swat / "SWaT_Dataset_Attack_v0.csv"
    packed = gzip.compress(path.read_bytes())
    path.with_suffix(".csv.gz").write_bytes(packed)
    path.unlink()
    (swat / "SWaT_Dataset_Normal_v1.csv").rename(swat / "swat_dataset_normal_V0.csv")
    assert load_swat(swat, warm_up=0).test[0].labels.sum() == 7
    text = gzip.decompress(packed).decode().replace(",Normal/Attack", "").replace(",Normal\n", "\n")
    path.write_text(text.replace(",Attack\n", "\n").replace(",A ttack\n", "\n"))
    with pytest.raises(ValueError, match=r"Attack_v0.csv: there is no column 'Normal/Attack'"):
        load_swat(swat, warm_up=0)


def wadi_line(row, date, time, label=None):
    cells = ["" if tag in EMPTY else f"{row + i}" for i, tag in enumerate(WADI)]
    return ",".join([str(row + 1), date, time, *cells, *([] if label is None else [label])])


def write_wadi(path, head, start, rows, labels=None):
    times = pd.date_range(start, periods=rows, freq="s")
    lines = [
        wadi_line(i, f"{t.month}/{t.day}/{t:%y}", f"{t:%I:%M:%S}.000 {t:%p}".lstrip("0"),
                  None if labels is None else labels[i])
        for i, t in enumerate(times)
    ]  # fmt: skip
    path.write_text("\n".join([*head, *lines]) + "\n")


def test_wadi_a1(tmp_path):
    names = ",".join(["Row", "Date", "Time", *(PREFIX + tag for tag in WADI)])
    preamble = ["Report", "from 9/25/2017", "", "exported by historian,,"]
    write_wadi(tmp_path / "WADI_14days.csv", [*preamble, names], "2017-09-25 18:00", 30)
    write_wadi(tmp_path / "WADI_attackdata.csv", [names], "2017-10-09 18:00", 20)
    data = load_wadi(tmp_path)
    (train,), (test,) = data.train, data.test
    assert train.tags == tuple(tag for tag in WADI if tag not in EMPTY) == test.tags
    assert {tag.removeprefix(PREFIX) for tag in train.summary.dropped} == EMPTY | {"Row"}
    assert train.frame.index[0] == pd.Timestamp("2017-09-25 18:00")
    assert test.frame.index[19] == pd.Timestamp("2017-10-09 18:00:19"), "10/9 is 9 October"
    assert train.frame["1_MV_001_STATUS"].tolist() == list(range(1, 31))
    assert train.labels is None and test.labels is None and data.attacks is None
    told = pd.DataFrame({"start": ["2017-10-09 18:00:05"], "end": ["2017-10-09 18:00:09"]})
    assert np.flatnonzero(load_wadi(tmp_path, attacks=told).test[0].labels).tolist() == [
        *range(5, 10)
    ]


def test_wadi_a2(tmp_path):
    head = ",".join(["Row", "Date", "Time", *WADI])
    write_wadi(tmp_path / "WADI_14days_new.csv", [head], "2017-09-25 18:00", 30)
    label = "Attack LABLE (1:No Attack, -1:Attack)"
    numbers = ",".join(["", *(str(i) for i in range(1, len(WADI) + 4))])
    head = ",".join(["Row ", "Date ", "Time", *WADI, label])
    labels = ["1"] * 14 + ["-1"] * 3 + ["1"] * 5
    write_wadi(
        tmp_path / "WADI_attackdataLABLE.csv", [numbers, head], "2017-10-09 18:00", 22, labels
    )
    with (tmp_path / "WADI_attackdataLABLE.csv").open("a") as handle:
        handle.write("," * (len(WADI) + 3) + "\n")
    data = load_wadi(tmp_path)
    (train,), (test,) = data.train, data.test
    assert len(train.tags) == len(WADI) - 4 and train.tags == test.tags and len(test) == 22
    assert np.flatnonzero(test.labels).tolist() == [14, 15, 16]
    assert load_wadi(tmp_path, every="10s").test[0].labels.tolist() == [0, 1, 0]
    (tmp_path / "WADI_14days.csv").write_text("x")
    with pytest.raises(ValueError, match="A1 and A2 are both here; expected version='a1' or 'a2'"):
        load_wadi(tmp_path)
    assert len(load_wadi(tmp_path, version="a2").train[0]) == 30
    with pytest.raises(ValueError, match="version='a3'; expected 'a1' or 'a2'"):
        load_wadi(tmp_path, version="a3")


def test_wadi_a2_without_an_attack_in_its_file(tmp_path):
    head = ",".join(["Row", "Date", "Time", *WADI])
    write_wadi(tmp_path / "WADI_14days_new.csv", [head], "2017-09-25 18:00", 9)
    head += ",Attack LABLE (1:No Attack, -1:Attack)"
    path = tmp_path / "WADI_attackdataLABLE.csv"
    write_wadi(path, [head], "2017-10-09 18:00", 9, ["1"] * 9)
    assert not load_wadi(tmp_path).test[0].labels.any(), "1 is normal, with or without a -1"


def write_hai(folder, name, start, time, labels, count=9, sep=","):
    """Some rows of tags, the last column being the labels' where they are given."""
    tags = ["P1_B2004", "P1_FCV01D", "P2_24Vdc", "P3_LIT01", "P4_ST_PT01"]
    times = stamps(start, count, "%Y-%m-%d %H:%M:%S")
    lines = [sep.join([time, *tags, *labels])]
    for i, stamp in enumerate(times):
        lines.append(sep.join([stamp, *(f"{i + k}.25" for k in range(5)), *(
            str(v[i]) for v in labels.values())]))  # fmt: skip
    data = ("\n".join(lines) + "\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


ON, OFF = [0, 0, 0, 1, 1, 1, 0, 0, 0], [0] * 9


@pytest.mark.parametrize(("version", "sep"), [("20.07", ";"), ("21.03", ","), ("22.04", ",")])
def test_hai_with_labels_in_the_files(tmp_path, version, sep):
    folder = tmp_path / f"hai-{version}"
    many = {"attack": OFF, "attack_P1": OFF, "attack_P2": OFF, "attack_P3": OFF}
    time = "time"
    if version == "22.04":
        many, time = {"Attack": OFF}, "timestamp"
    for number in (1, 2, 10):
        day = f"2020-07-{number:02d}"
        write_hai(folder, f"train{number}.csv.gz", day, time, many, sep=sep)
        label = next(iter(many))
        other = {**many, label: ON if number == 2 else OFF}
        write_hai(folder, f"test{number}.csv", day.replace("07", "08", 1), time, other, sep=sep)
    data = load_hai(folder)
    assert [log.name for log in data.train] == ["train1", "train2", "train10"]
    assert [log.labels.tolist() for log in data.test] == [OFF, ON, OFF]
    assert data.train[0].tags[0] == "P1_B2004" and len(data.train[0].tags) == 5
    assert data.test[1].frame.index[8] == pd.Timestamp("2020-08-02 00:00:08")
    assert data.train[0].frame["P3_LIT01"].tolist() == [i + 3.25 for i in range(9)]
    inside = load_hai(tmp_path, every="4s")
    assert [log.labels.tolist() for log in inside.test] == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_hai_with_labels_in_files_of_their_own(tmp_path):
    folder = tmp_path / "hai-23.05"
    for number in (1, 2):
        write_hai(folder, f"hai-train{number}.csv", f"2022-08-0{number}", "timestamp", {})
        write_hai(folder, f"hai-test{number}.csv", f"2022-08-1{number}", "timestamp", {})
        labels = pd.DataFrame({"timestamp": range(9), "label": ON if number == 2 else OFF})
        labels.to_csv(folder / f"label-test{number}.csv", index=False)
    data = load_hai(tmp_path)
    assert [log.labels.tolist() for log in data.test] == [OFF, ON]
    assert data.train[0].labels is None and len(data.train) == 2
    write_hai(tmp_path / "hai-22.04", "train1.csv", "2021-07-10", "timestamp", {"Attack": OFF})
    write_hai(tmp_path / "hai-22.04", "test1.csv", "2021-07-11", "timestamp", {"Attack": ON})
    with pytest.raises(ValueError, match="several versions, 22.04, 23.05; expected version="):
        load_hai(tmp_path)
    assert load_hai(tmp_path, version="22.04").test[0].labels.tolist() == ON
    with pytest.raises(ValueError, match="there is no folder hai-21.03 in"):
        load_hai(tmp_path, version="21.03")
    labels.iloc[:5].to_csv(folder / "label-test2.csv", index=False)
    with pytest.raises(ValueError, match=r"hai-test2\.csv: labels: 5 of them for 9 rows"):
        load_hai(tmp_path, version="23.05")
    (folder / "label-test2.csv").unlink()
    with pytest.raises(ValueError, match=r"hai-test2\.csv: .* there is no file label-test2\.csv"):
        load_hai(tmp_path, version="23.05")


def pump_rows(count=40):
    rows = pd.DataFrame({"timestamp": stamps("2018-04-01", count, "%Y-%m-%d %H:%M:%S", "min")})
    for i in range(52):
        rows[f"sensor_{i:02d}"] = np.nan if i == 15 else RNG.normal(size=count).round(3)
    rows["machine_status"] = "NORMAL"
    rows.loc[5, "machine_status"] = rows.loc[20, "machine_status"] = "BROKEN"
    rows.loc[21:23, "machine_status"] = "RECOVERING"
    return rows


def test_pump_as_kaggle_has_it(tmp_path):
    pump_rows().to_csv(tmp_path / "sensor.csv")
    data = load_pump(tmp_path)
    (train,), (test,) = data.train, data.test
    assert len(train) == 13 and len(test) == 26 and len(train.tags) == 51
    assert "sensor_15" not in train.tags and train.tags == test.tags
    assert not train.labels.any() and np.flatnonzero(test.labels).tolist() == [6, 7, 8, 9]
    assert pd.Timestamp("2018-04-01 00:05") not in train.frame.index and train.summary.gaps == 1
    assert load_pump(tmp_path, train_share=0.5).test[0].labels.tolist()[:5] == [1, 1, 1, 1, 0]
    with pytest.raises(ValueError, match="train_share=1; expected above 0 and below 1"):
        load_pump(tmp_path, train_share=1)


def test_pump_as_nsibf_cuts_it(tmp_path):
    rows = pump_rows().drop(columns=["sensor_15", "machine_status"])
    rows.iloc[:15].to_csv(tmp_path / "PUMP_train.csv")
    rows.iloc[15:].assign(label=[1] * 5 + [0] * 20).to_csv(tmp_path / "PUMP_test.csv")
    data = load_pump(tmp_path)
    assert len(data.train[0].tags) == 51 and len(data.train[0]) == 15
    assert data.test[0].labels.tolist() == [1] * 5 + [0] * 20
    rows.drop(columns="timestamp").iloc[:15].to_csv(tmp_path / "PUMP_train.csv", index=False)
    assert load_pump(tmp_path).train[0].frame.index[-1] == 14


def test_psm(tmp_path):
    frame = pd.DataFrame(RNG.normal(size=(30, 25)), columns=[f"feature_{i}" for i in range(25)])
    frame.insert(0, "timestamp_(min)", np.arange(30.0))
    frame.iloc[3, 4] = np.nan
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame.iloc[:20].to_csv(tmp_path / "test.csv", index=False)
    truth = pd.DataFrame({"timestamp_(min)": range(20), "label": [0] * 18 + [1] * 2})
    truth.to_csv(tmp_path / "test_label.csv", index=False)
    data = load_psm(tmp_path)
    assert data.test[0].labels.tolist() == [0] * 18 + [1] * 2 and len(data.train[0].tags) == 25
    assert data.train[0].summary.missing == {"feature_3": 1 / 30}


def test_batadal(tmp_path):
    tags = ["L_T1", "L_T7", "F_PU1", "S_PU1"]
    for name, start in (("train_dataset03", "2014"), ("dataset04", "2016"), ("test", "2017")):
        index = pd.date_range(f"{start}-01-04", periods=20, freq="h", name="datetime")
        frame = pd.DataFrame(RNG.random((20, 4)).round(2), index, tags)
        if name != "train_dataset03":
            frame["label"] = [0] * 10 + [1] * 3 + [0] * 7
        if name == "dataset04":
            frame["label_disclosed"] = 0
        frame.to_csv(tmp_path / f"{name}.csv.gz")
    (tmp_path / "attacks.csv").write_text(
        "attack,file,start,end,target,description\n"
        "1,dataset04,2016-01-04 10:00:00,2016-01-04 12:00:00,L_T7,replay\n"
        '2,test,2017-01-04 11:00:00,2017-01-04 12:00:00,PU1,"on, off"\n'
        "3,test,2017-01-04 10:00:00,2017-01-04 10:00:00,L_T1,offset\n"
    )
    data = load_batadal(tmp_path)
    (train,), (check,), (test,) = data.train, data.check, data.test
    assert train.tags == check.tags == test.tags == tuple(tags) and train.labels is None
    assert test.labels.tolist() == check.labels.tolist() == [0] * 10 + [1] * 3 + [0] * 7
    found = data.attacks_in("test")
    assert found["targets"].tolist() == [("L_T1",), ("S_PU1", "F_PU1")]
    assert found["end"].tolist() == list(pd.to_datetime(["2017-01-04 10:00", "2017-01-04 12:00"]))
    assert data.attacks_in("dataset04")["description"].tolist() == ["replay"]


def test_skab(tmp_path):
    index = pd.date_range("2020-03-01", periods=12, freq="s")
    rows = []
    for number, name in enumerate(("other/1", "valve1/0")):
        run = pd.DataFrame({"experiment": name, "datetime": index, "Current": RNG.random(12)})
        rows.append(run.assign(label=[0] * (7 + number) + [1] * (5 - number), changepoint=0))
    pd.concat(rows[::-1]).to_csv(tmp_path / "test_experiments.csv.gz", index=False)
    free = rows[0][["datetime", "Current"]]
    free.to_csv(tmp_path / "train_anomaly_free.csv.gz", index=False)
    data = load_skab(tmp_path, first=4)
    assert [site.name for site in data.sites()] == ["skab/valve1/0", "skab/other/1"]
    for site, sick in zip(data.sites(), (4, 5), strict=True):
        assert len(site.train) == len(site.test) == 1 and len(site.train[0]) == 4
        assert len(site.test[0]) == 8 and site.test[0].labels.sum() == sick
        assert site.train[0].tags == ("Current",)
    data = load_skab(tmp_path, first=0)
    assert data.sites() == [data] and len(data.test) == 2 and len(data.test[0]) == 12
    with pytest.raises(ValueError, match="run valve1/0 has 12 rows; expected more than 400"):
        load_skab(tmp_path)


def test_tep(tmp_path):
    tags = ["XMEAS_1", "XMV_1"]
    frame = pd.DataFrame(RNG.random((8, 2)), columns=tags)
    frame.assign(run="d00").to_csv(tmp_path / "train_normal.csv.gz", index=False)
    runs = [frame.assign(fault=f, label=[0] * 3 + [int(f > 0)] * 5) for f in (0, 11)]
    pd.concat(runs).to_csv(tmp_path / "test.csv.gz", index=False)
    data = load_tep(tmp_path)
    assert [log.name for log in data.test] == ["d00_te", "d11_te"] and data.sites() == [data]
    assert data.test[1].labels.tolist() == [0] * 3 + [1] * 5
    assert data.test[1].frame.index.tolist() == list(range(8)) and data.test[1].tags == tuple(tags)


def test_smd(tmp_path):
    causes = {}
    for number, name in enumerate(("machine-2-1", "machine-1-6")):
        frame = pd.DataFrame(RNG.random((9, 3)), columns=["dim_01", "dim_02", "dim_03"])
        frame.to_csv(tmp_path / f"{name}_train.csv.gz", index=False)
        frame.assign(label=[0] * 5 + [1] * 4).to_csv(tmp_path / f"{name}_test.csv.gz", index=False)
        late = {"start": 7, "end": 9, "dims": [3]}
        causes[name] = [late, {"start": 5, "end": 7, "dims": [1, 3]}][: 2 - number]
    (tmp_path / "interpretation.json").write_text(json.dumps(causes))
    sites = load_smd(tmp_path).sites()
    assert [site.name for site in sites] == ["smd/machine-1-6", "smd/machine-2-1"]
    assert sites[0].attacks["targets"].tolist() == [("dim_03",)]
    assert sites[1].attacks["targets"].tolist() == [("dim_01", "dim_03"), ("dim_03",)], "in time"
    assert sites[1].attacks["end"].tolist() == [6, 8], "the last row, where the file has the next"
    assert sites[1].test[0].labels.tolist() == [0] * 5 + [1] * 4


def test_smap_and_msl(tmp_path):
    for craft in ("smap", "msl"):
        rows = {"channel": ["A-1"] * 5 + ["B-2"] * 4, "telemetry": RNG.random(9), "cmd_01": 0}
        pd.DataFrame(rows).to_csv(tmp_path / f"{craft}_train.csv.gz", index=False)
        rows |= {"label": [0, 1, 1, 0, 0, 0, 0, 0, 1]}
        pd.DataFrame(rows).to_csv(tmp_path / f"{craft}_test.csv.gz", index=False)
    (tmp_path / "labeled_anomalies.csv").write_text(
        "chan_id,spacecraft,anomaly_sequences,class,num_values\n"
        'A-1,SMAP,"[[1, 1], [2, 2]]","[point, contextual]",5\n'
        "B-2,SMAP,\"[[3, 3]]\",[point],4\nA-1,MSL,\"[[1, 2]]\",[point],5\n"
    )  # fmt: skip
    sites = load_smap_msl(tmp_path).sites()
    assert [site.name for site in sites] == ["smap/A-1", "smap/B-2"]
    assert sites[0].test[0].labels.tolist() == [0, 1, 1, 0, 0]
    assert sites[1].train[0].tags == ("telemetry", "cmd_01") and len(sites[1].train[0]) == 4
    assert sites[0].attacks["description"].tolist() == ["point", "contextual"]
    assert load_plant("msl", tmp_path).attacks["end"].tolist() == [2]
    with pytest.raises(ValueError, match="spacecraft='apollo'; expected 'smap' or 'msl'"):
        load_smap_msl(tmp_path, spacecraft="apollo")


@pytest.mark.parametrize("name", plant_names())
def test_a_missing_set_says_what_was_expected_where_it_is_and_its_licence(
    name, tmp_path, monkeypatch
):
    monkeypatch.delenv("TSGEN_DATA", raising=False)
    with pytest.raises(MissingData, match=f"{name} is not .* TSGEN_DATA not set"):
        load_plant(name)
    monkeypatch.setenv("TSGEN_DATA", str(tmp_path))
    card = log_cards()[name]
    with pytest.raises(
        MissingData, match=f"no folder {tmp_path / 'anomaly' / card.folder}"
    ) as told:
        load_plant(name)
    assert card.get.how in str(told.value) and card.licence in str(told.value)
    with pytest.raises(MissingData, match=rf"no file \S+1?.* in {tmp_path}"):
        load_plant(name, tmp_path)


def test_every_set_has_a_card_and_a_row_in_the_readme():
    assert sorted(log_cards()) == sorted(plant_names())
    assert not set(log_cards()) & set(read_cards()), "cards of forecasting are others"
    text = (ROOT / "datasets" / "README.md").read_text()
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| [`")}
    assert sorted(rows) == sorted(log_cards())
    for name, card in log_cards().items():
        assert f"| {card.period} |" in rows[name], name
        for field in ("title", "source", "licence", "citation", "protocol"):
            assert len(getattr(card, field)) > 3 and "  " not in getattr(card, field), field
        assert card.get.how.endswith(".") and all(note.endswith(".") for note in card.notes)
        assert f"anomaly/{card.folder}" in card.get.how
        assert (card.known == "measured") == bool(card.files), "what is stored was counted"


def test_wrong_cards_and_names(tmp_path):
    text = (ROOT / "datasets" / "tep.toml").read_text()
    for old, new, message in (
        ('known = "measured"', 'known = "maybe"', "known='maybe'; expected 'measured' or 'liter"),
        ("channels = 52", "channels = [3, 2]", r"channels=\(3, 2\); expected at least 0, the few"),
        ("attack_share = 0.795", "attack_share = 79.5", "attack_share=79.5; expected at least 0 a"),
        ("attacks = 21", "atacks = 21", "atacks=21 is no field of a card; did you mean 'attacks'"),
        ('name = "tep"', 'name = "top"', "name='top'; expected the file's, 'tep'"),
    ):
        assert old in text
        (tmp_path / "tep.toml").write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=message) as caught:
            read_log_cards([tmp_path])
        assert str(tmp_path) in str(caught.value)
    with pytest.raises(ValueError, match="unknown plant 'swatt'; known are batadal, hai, msl"):
        load_plant("swatt")


FACTS = {  # of the sets' README: rows to learn from, rows of the test, labelled rows, attacks
    "batadal": (8761, 2089, 407, 7),
    "skab": (13600, 23801, None, None),
    "tep": (500, 21120, 16800, None),
    "smd": (94777, 94780, 3708 + 2398 + 1170 + 2833, 67),
    "smap": (138004, 435826, 55972, None),
    "msl": (58317, 73729, 7766, 36),
}


@pytest.mark.parametrize("name", FACTS)
def test_what_is_known_of_the_stored_sets(real_data, name):
    folder = real_data / "anomaly" / log_cards()[name].folder
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    data, card = load_plant(name), log_cards()[name]
    train, test, sick, attacks = FACTS[name]
    labels = np.concatenate([log.labels for log in data.test])
    assert sum(map(len, data.train)) == card.train_rows == train
    assert len(labels) == card.test_rows == test
    assert round(labels.mean(), 3) == card.attack_share
    assert sick is None or labels.sum() == sick
    assert {len(log.tags) for log in (*data.train, *data.test)} == {card.channels}
    assert not any(log.summary.missing for log in (*data.train, *data.test)), "README: none"
    if attacks is not None:
        assert sum(len(data.attacks_in(log.name)) for log in data.test) == card.attacks == attacks
        for log in data.test:  # the published table and the labels tell the same
            inside = np.zeros(len(log), dtype=int)
            for event in data.attacks_in(log.name).itertuples():
                first, last = log.frame.index.searchsorted([event.start, event.end])
                inside[first : last + 1] = 1
            assert (inside == log.labels).all(), log.name
    if name == "batadal":
        assert data.check[0].labels.sum() == 492 and len(data.check[0]) == 4177
    if name == "skab":
        assert sum(log.labels.sum() for log in (*data.train, *data.test)) == 13067
        assert data.train[[log.name for log in data.train].index("other/2")].labels.sum() == 296
    assert all(checked.ok for checked in card.verify()) and len(card.verify()) == len(card.files)
