"""What folders are tampered with, and a watch over what loading them does."""

import contextlib
import signal
import sys

from tests.support.folders import load

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
            line = ""
        except ValueError as error:
            line = str(error)
            assert line and "\n" not in line and str(folder) in line and len(line) < 1200, line
    assert not done, done
    return line


def node(kind, name, *args, **kwargs):
    tree = {"__kind__": kind, "class": name}
    return tree if kind == "type" else tree | {"args": list(args), "kwargs": kwargs}


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
