"""The command line of speed.py."""

import argparse
import os
from pathlib import Path

from _speed_data import SIZES
from _speed_tasks import TASKS

from tsgen.core import usable_device

HARNESS = ("peer_bench.py", "peer_compat.py", "data_sets.py")
TRAIN_CHANNELS = {"cpu": 400, "cuda": 1000}
"""More take the peer more memory to train on than machines have."""
QUICK = {"sizes": ["exchange"], "rounds": 1, "samples": 10, "windows": 1, "steps": 2, "batches": 2}
USUAL = {"sizes": list(SIZES), "rounds": 5, "samples": 100, "windows": None, "steps": None,
         "batches": None}  # fmt: skip


def read_options(description: str, arguments: list[str] | None = None) -> argparse.Namespace:
    """Read and check the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--device", default="cpu", help="cpu, cuda or cuda:1")
    add("--peers", help="folder of the harness that runs pytorch-ts")
    add("--pts-root", help="folder of pytorch-ts, in which pts/ lies")
    add("--peer-python", help="interpreter of pytorch-ts' environment")
    add("--sizes", nargs="+", choices=list(SIZES), help="all unless given")
    add("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), help="all unless given")
    add("--rounds", type=int, help="turns, 5 unless given")
    add("--threads", type=int, default=1)
    add("--samples", type=int, help="paths a window, 100 unless given")
    add("--windows", type=int, help="at most; 5 of exchange and 1 of the others unless given")
    add("--steps", type=int, help="of the horizon drawn, at most; on a CPU 2 for made-up sizes")
    add("--batches", type=int, help="of a training; fewer for more channels unless given")
    add("--grow", action="store_true", help="sample along three axes instead")
    add("--plain", action="store_true", help="without tsgen's kernel for GPUs; records nothing")
    add("--quick", action="store_true", help="a small run that records nothing")
    add("--plot", action="store_true", help="only draw the figures from the tables")
    args = parser.parse_args(arguments)
    for name in ("sizes", "windows", "steps", "batches"):
        value = getattr(args, name)
        if args.grow and value is not None:
            text = " ".join(value) if name == "sizes" else value
            parser.error(f"--{name} {text}: expected nothing, for --grow sets its own")
    if args.grow and all(TASKS[name].trains for name in args.tasks):
        parser.error(f"--tasks {' '.join(args.tasks)}: expected one that samples, for --grow")
    for name, usual in (QUICK if args.quick else USUAL).items():
        if getattr(args, name) is None:
            setattr(args, name, usual)
    for name in ("rounds", "threads", "samples", "windows", "steps", "batches"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name} {value}: expected a whole number of at least 1")
    try:
        device = usable_device(args.device)
    except ValueError as error:
        parser.error(f"--device {args.device}: expected cpu or a GPU that torch can use ({error})")
    if device.type not in TRAIN_CHANNELS:
        parser.error(f"--device {args.device}: expected cpu, cuda or cuda:1")
    args.device, args.kind = str(device), device.type
    if args.plain and args.kind == "cpu":
        parser.error("--plain: expected --device cuda, for a CPU does without the kernel")
    args.unrecorded = args.quick or args.plain
    args.with_peer = has_peer(args)
    return args


def has_peer(args: argparse.Namespace) -> bool:
    """Whether pytorch-ts can be run; says so if not."""
    wanted = {
        "--peers": (args.peers, HARNESS, "a folder with " + ", ".join(HARNESS)),
        "--pts-root": (args.pts_root, ("pts/__init__.py",), "a folder with pts/__init__.py"),
        "--peer-python": (args.peer_python, ("",), "the path of an interpreter"),
    }
    for option, (value, files, expected) in wanted.items():
        lacking = value is None or not all((Path(value) / file).exists() for file in files)
        if lacking and not args.plot:
            state = "is not given" if value is None else f"{value}"
            print(f"{option} {state}: expected {expected}; tsgen is measured alone", flush=True)
        if lacking:
            return False
    args.peers, args.pts_root = str(Path(args.peers).resolve()), str(Path(args.pts_root).resolve())
    args.peer_python = os.path.abspath(args.peer_python)  # a link must stay one: it tells the venv
    return True
