"""Folders of every kind, damaged and tampered with: nothing runs, nothing hangs, one line each."""

import contextlib
import itertools
import json
import math
import os
import resource
import signal
import sys

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch

from tests.support.folders import MADE, copied, load, outcome, places, put, rehash, saved
from tsgen.storage import MANIFEST

every = pytest.mark.parametrize("name", MADE)
WATCHED = {
    "os.remove", "os.rmdir", "os.mkdir", "os.rename", "os.system", "os.exec", "os.fork", "os.link",
    "os.truncate", "os.chmod", "shutil.rmtree", "subprocess.Popen", "socket.connect",
}  # fmt: skip
watching: list[list[str]] = []


def _hook(event, arguments):
    if watching and (
        event in WATCHED
        or (event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"))
    ):
        watching[-1].append(f"{event} {arguments}")


sys.addaudithook(_hook)


class Hung(BaseException):
    """A load that takes too long."""


@contextlib.contextmanager
def guarded(seconds=20):
    """Notes what is done to files and processes, and ends what hangs."""

    def end(*_):
        raise Hung

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    watching.append([])
    try:
        yield watching[-1]
    finally:
        watching.pop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answer(folder):
    """What loading says: an empty text if it loads, else the one line of a ``ValueError``."""
    with guarded() as done:
        try:
            load(folder)
            told = ""
        except ValueError as error:
            told = str(error)
            assert told and "\n" not in told and str(folder) in told and len(told) < 1200, told
    assert not done, done
    return told


@contextlib.contextmanager
def little_memory(spare=400):
    """No more than so many MiB above what the process had at its most."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (8 << 30), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < spare * 1024


def node(kind, name, *args, **kwargs):
    told = {"__kind__": kind, "class": name}
    return told if kind == "type" else told | {"args": list(args), "kwargs": kwargs}


def attacks(marker):
    """Trees that would make a folder, or run code, if they were decoded by name."""
    path = str(marker)
    mkdir, run = node("type", "os.mkdir"), node("type", "cProfile.run")
    code = f"__import__('os').mkdir({path!r})"
    encoder = "tsgen.encoders.recurrent.GRUEncoder"
    return [
        node("instance", "os.mkdir", path),
        node("instance", "functools.partial", mkdir, path),
        node("instance", "functools.partial", node("instance", "builtins.tuple", [mkdir, path])),
        node("instance", "functools.partial", run, code),
        node("instance", "functools.partial", node("type", "functools.partial"), mkdir, path),
        {
            "__kind__": "instance", "class": "functools.partial", "kwargs": {},
            "args": node("instance", "builtins.tuple", [mkdir, path]),
        },
        run,
        node("type", "shutil.rmtree"),
        node("type", "builtins.exec"),
        node("instance", "builtins.exec", code),
        node("instance", "builtins.eval", code),
        node("instance", "builtins.getattr", node("type", "os"), "mkdir"),
        node("instance", "pathlib.Path", path),
        node("instance", "tsgen.cli.folder.remove", node("instance", "pathlib.Path", path)),
        node("instance", "tsgen.forecasting.predictor.copy.os.mkdir", path),
        node("type", "tsgen.storage.names.importlib.import_module"),
        node("instance", "tsgen.estimators.registry.families.partial", mkdir, path),
        node("instance", "tsgen.anomaly.files.Path", path),
        node("type", "tsgen.__main__"),
        node("instance", "tsgen.cli.app.run", ["datasets", "list"]),
        node("instance", "torch.utils.data.DataLoader", [1]),
        node("instance", "gluonts.transform.AdhocTransform", mkdir),
        node("instance", "gluonts.transform._base.Chain", [mkdir]),
        node("instance", "gluonts.transform._base.AdhocTransform", mkdir),
        {"__kind__": "stateful", "class": encoder, "kwargs": {"forward": mkdir}},
        {"__kind__": "instance", "class": encoder, "kwargs": {"input_size": mkdir}},
        {"__kind__": ["type"], "class": "os.mkdir"},
        {"__kind__": "instance", "class": ["os.mkdir"], "args": [path]},
        {"__kind__": "instance", "class": "os.mkdir", "args": {"0": path}, "extra": mkdir},
        [node("instance", "os.mkdir", path)],
        {"a": {"b": [node("instance", "os.mkdir", path)]}},
    ]  # fmt: skip


def deep(levels):
    tree = []
    for _ in range(levels):
        tree = [tree]
    return tree


VALUES = [
    None, True, -1, 0, 1, 3, 10**6, 10**12, 10**30, 0.5, -1.5, 1e308, float("nan"), float("inf"),
    "", "x", "auto", "meta", "cuda:99", [], [1], [10**9] * 3, {}, {"a": 1}, deep(500),
    {"__kind__": "type", "class": "tsgen.models.diffusion.ddpm.DDPM"},
    {"__kind__": "type", "class": "tsgen.estimators.baselines.naive.LastValueEstimator"},
    {"__kind__": "instance", "class": "tsgen.forecasting.data.features.CalendarWave",
     "args": [], "kwargs": {"cycle": "day"}},
    {"__kind__": "instance", "class": "builtins.tuple", "args": [[10**9] * 3]},
]  # fmt: skip


def trees(folder, replacements):
    """Every JSON file of a folder with every place of it replaced by each of these."""
    for path in sorted(folder.rglob("*.json")):
        if path.name != MANIFEST:
            tree = json.loads(path.read_text())
            for way, value in itertools.product(places(tree), replacements):
                yield path, way, lambda tree=tree, way=way, value=value: put(tree, way, value)


def try_all(name, folder, marker, replacements, every_nth, offset=0):
    """Load a folder with each replacement; says how many loaded."""
    copied(name, folder)
    number = loaded = 0
    for path, way, tampered in itertools.islice(
        trees(folder, replacements), offset, None, every_nth
    ):
        before = path.read_bytes()
        path.write_text(json.dumps(tampered()))
        rehash(folder)
        try:
            loaded += not answer(folder)
        except BaseException as error:
            raise AssertionError(f"{path.name}: {way}: {error!r}") from error
        assert not marker.exists(), f"{path.name}: {way}"
        path.write_bytes(before)
        number += 1
    rehash(folder)
    assert number > 5 and not answer(folder)
    return number, loaded


def size(folder):
    return sum(
        sum(1 for _ in places(json.loads(path.read_text()))) for path in folder.rglob("*.json")
    )


@every
def test_a_folder_runs_nothing_that_its_json_names(name, tmp_path):
    """A sample of the places; all of them in the slow test."""
    trials = attacks(tmp_path / "marker")
    total = size(saved(name)) * len(trials)
    step = max(total // 60, 1) | 1
    number, loaded = try_all(name, tmp_path / "m", tmp_path / "marker", trials, step)
    assert loaded < number / 2  # only where nothing is built of the place


@every
def test_a_folder_with_any_other_value_loads_or_is_one_line(name, tmp_path):
    step = max(size(saved(name)) * len(VALUES) // 60, 1) | 1
    with little_memory():
        try_all(name, tmp_path / "m", tmp_path / "marker", VALUES, step, offset=step // 2)


@pytest.mark.slow
@every
def test_every_place_of_every_file(name, tmp_path):
    """Each with two of the attacks and two of the values, others at each place."""
    with little_memory():
        for replacements in (attacks(tmp_path / "marker"), VALUES):
            step = len(replacements) // 2
            assert math.gcd(step, len(replacements)) == 1
            try_all(name, tmp_path / "m", tmp_path / "marker", replacements, step)


@every
def test_a_whole_folder_is_what_was_saved(name, tmp_path):
    folder = copied(name, tmp_path / "m")
    first = outcome(load(folder))
    assert np.array_equal(first, outcome(load(saved(name))), equal_nan=True)
    listed = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    for path in folder.rglob(MANIFEST):
        inside = path.parent.relative_to(folder)
        listed -= {str(inside / file) for file in json.loads(path.read_text())["files"]}
    # the outermost manifest cannot list itself; a stream changes, and has its own digest
    assert listed <= {MANIFEST, "stream.safetensors"}


@every
def test_any_damaged_file_is_one_line(name, tmp_path):
    """A bit, a cut, half of it another's, nothing, a folder, a link to something endless."""
    folder = copied(name, tmp_path / "m")
    rng = np.random.default_rng(0)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    with little_memory():
        for path in files:
            damage(folder, path, rng)
    assert not answer(folder)


def damage(folder, path, rng):
    """Whatever can befall a file, one after another; then it is whole again."""
    whole = path.read_bytes()
    # a manifest that still tells the same hashes, or none as earlier versions had, is no damage
    must_be_told = path.name != MANIFEST
    flips = [bytearray(whole) for _ in range(4)]
    for flip in flips:
        flip[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
    half = whole[: len(whole) // 2]
    noise = rng.integers(0, 256, len(whole) - len(half), dtype=np.uint8).tobytes()
    for damaged in (*map(bytes, flips), half, half + noise, b"", whole + b"x"):
        path.write_bytes(damaged)
        told = answer(folder)
        assert told or not must_be_told, f"{path.name}: {len(damaged)} of {len(whole)} bytes"
    path.unlink()
    assert answer(folder) or not must_be_told, f"{path.name} is missing"
    for make in (path.mkdir, lambda: path.symlink_to("/dev/zero"), lambda: os.mkfifo(path)):
        make()
        assert answer(folder) or not must_be_told, f"{path.name} is no file"
        path.rmdir() if path.is_dir() else path.unlink()
    path.write_bytes(whole)


@every
def test_any_manifest_is_checked_itself(name, tmp_path):
    folder = copied(name, tmp_path / "m")
    path = folder / MANIFEST
    whole = json.loads(path.read_text())
    first = next(iter(whole["files"]))
    about = whole["files"][first]
    for changed in (
        [], {}, {"format": 1}, whole | {"format": 99}, whole | {"files": []},
        whole | {"files": {}}, whole | {"files": {first: None}}, whole | {"files": {first: {}}},
        whole | {"files": whole["files"] | {"../../../etc/passwd": about}},
        whole | {"files": whole["files"] | {"/etc/passwd": about}},
        whole | {"files": whole["files"] | {first: about | {"bytes": -1}}},
        whole | {"files": whole["files"] | {"gone": about}},
    ):  # fmt: skip
        path.write_text(json.dumps(changed))
        assert answer(folder), changed
    path.write_text("[" * 100_000)
    assert answer(folder)


@pytest.mark.parametrize("name", ["timegrad", "flow", "peer", "pca", "calibrated"])
def test_weights_that_do_not_fit_are_one_line(name, tmp_path):
    """With the manifest written anew: shapes, types, names, sizes and values."""
    folder = copied(name, tmp_path / "m")
    path = max(folder.rglob("*.safetensors"), key=lambda p: p.stat().st_size)
    whole = path.read_bytes()
    arrays = safetensors.numpy.load(whole)
    header_size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + header_size])
    name, array = max(arrays.items(), key=lambda item: item[1].size)
    spoilt = array.copy()
    spoilt.flat[0] = np.nan

    def described(changed):
        text = json.dumps(changed).encode()
        return len(text).to_bytes(8, "little") + text + whole[8 + header_size :]

    entry = header[name]
    other = header.get("__metadata__")
    trials = {
        "not a number": safetensors.numpy.save({**arrays, name: spoilt}, other),
        "another shape": safetensors.numpy.save({**arrays, name: array[..., None]}, other),
        "another type": safetensors.numpy.save({**arrays, name: array.astype("float16")}, other),
        "one missing": safetensors.numpy.save(
            {k: v for k, v in arrays.items() if k != name}, other
        ),
        "one more": safetensors.numpy.save({**arrays, "more": array}, other),
        "a huge shape": described(header | {name: entry | {"shape": [10**12]}}),
        "beyond the file": described(header | {name: entry | {"data_offsets": [0, 10**12]}}),
        "a huge header": (10**15).to_bytes(8, "little") + whole[8:],
        "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "nothing": b"",
    }
    with little_memory():
        for what, changed in trials.items():
            path.write_bytes(changed)
            rehash(folder)
            assert answer(folder), what


@every
def test_a_folder_of_an_earlier_version_is_refused_in_one_line(name, tmp_path):
    """With a manifest of the former format, or with none, as the first versions wrote them."""
    folder = copied(name, tmp_path / "m")
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 1, "tsgen": "0.1.0"}))
    line = answer(folder)
    assert "was saved by tsgen '0.1.0' in format 1" in line and "train again" in line
    (folder / MANIFEST).unlink()
    line = answer(folder)
    assert f"has no {MANIFEST}" in line and "train again" in line


def test_a_network_without_its_weights_is_no_model(tmp_path):
    """Also where the manifest, written anew, does not list them."""
    for name in ("timegrad", "peer"):
        folder = copied(name, tmp_path / name)
        (path,) = folder.rglob("weights.safetensors")
        path.unlink()
        manifest = json.loads((folder / MANIFEST).read_text())
        del manifest["files"][str(path.relative_to(folder))]
        (folder / MANIFEST).write_text(json.dumps(manifest))
        assert "weights.safetensors" in answer(folder)
