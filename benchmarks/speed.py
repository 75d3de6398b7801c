"""How much faster than pytorch-ts: sampling and training, in turns, and how far from the floor.

    python benchmarks/speed.py --peers DIR --pts-root DIR --peer-python PYTHON
    python benchmarks/speed.py --device cuda --peers DIR --pts-root DIR --peer-python PYTHON
    python benchmarks/speed.py --device cuda --plain     # without tsgen's own kernel, not recorded
    python benchmarks/speed.py --quick       # a minute: does it run? nothing is recorded

Each side works in processes of its own, which take turns, so that a ratio is of neighbours in time.
Seconds are CPU seconds of one thread; on a GPU or with several threads they are wall seconds.
``--peers`` is a folder with the harness (peer_bench.py, peer_compat.py, data_sets.py),
``--pts-root`` an unpacked pytorch-ts, ``--peer-python`` the interpreter of an environment it runs
in; without them tsgen is measured alone. ``--grow`` shows how the time to sample grows with
channels, horizon and samples. Rows go to results/speed.csv and speed_growth.csv; the figures
speed.png and speed_growth.png show the newest rows of each machine; ``--plot`` only draws them.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _record import append
from _speed_data import GPU_BATCHES, SIZES, Case, growth, prepare
from _speed_options import TRAIN_CHANNELS, read_options
from _speed_plot import draw
from _speed_process import Worker, WorkerFailed
from _speed_tasks import CUT, TASKS, Member, Task, floor_columns, groups, turns

from tsgen.data.benchmarks import MissingData


def start(member: Member, model: str, case: Case, args: argparse.Namespace) -> Worker:
    """A process for one side."""
    side, way = member
    options = {
        "model": model, "way": way, "data": case.path, "device": args.device,
        "threads": args.threads, "samples": case.samples, "steps": case.steps,
        "batches": case.batches,
    }  # fmt: skip
    name = f"{ {'ours': 'tsgen', 'peer': 'pytorch-ts'}[side] } ({way})"
    if side == "ours":
        options["plain"] = args.plain
        return Worker(name, sys.executable, "_speed_worker.py", options, own_path=True)
    options |= {"peers": args.peers, "pts_root": args.pts_root}
    return Worker(name, args.peer_python, "_peer_worker.py", options, own_path=False)


def measure(names: list[str], case: Case, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the tasks of a group in turns; a row for each that could be run."""
    answers: dict[Member, list[dict[str, Any]]] = {}
    about: dict[Member, dict[str, Any]] = {}
    machine: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        # in a process of its own: what a large product keeps is not our memory
        options = {"device": args.device, "threads": args.threads}
        measuring = Worker("rates", sys.executable, "_speed_serve.py", options, own_path=True)
        stack.enter_context(measuring)
        workers: dict[Member, Worker] = {}
        for member in turns(names):
            if member[0] == "peer" and not args.with_peer:
                continue
            try:
                worker = stack.enter_context(start(member, TASKS[names[0]].model, case, args))
                worker.ask("warm")
            except WorkerFailed as failure:
                print(f"{' '.join(names)}, {case.size}: left out, {failure}", flush=True)
                continue
            workers[member], about[member], answers[member] = worker, worker.about, []
        if not any(side == "ours" for side, _ in workers):
            return []
        for _ in range(args.rounds):
            rates = measuring.ask("rates")
            machine = {k: max(v, machine.get(k, 0.0)) for k, v in rates.items()}
            for member, worker in list(workers.items()):
                try:
                    answers[member].append(worker.ask("run"))
                except WorkerFailed as failure:
                    print(f"{' '.join(names)}, {case.size}: left out, {failure}", flush=True)
                    del workers[member], answers[member]
    return [row(name, case, answers, about, machine, args) for name in names
            if ("ours", TASKS[name].ours) in answers]  # fmt: skip


def row(
    name: str,
    case: Case,
    answers: dict[Member, list[dict[str, Any]]],
    about: dict[Member, dict[str, Any]],
    machine: dict[str, float],
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Figures of a task."""
    task = TASKS[name]
    clock = "cpu" if args.kind == "cpu" and args.threads == 1 else "wall"
    scale = 100 / case.batches if task.trains else 1.0
    columns: dict[str, Any] = {
        "task": name, "size": case.size, "device": args.kind, "channels": case.channels,
        "horizon": case.horizon, "rounds": args.rounds, "seconds": clock,
    }  # fmt: skip
    if task.trains:
        columns |= {"batches": case.batches, "per": "100 batches of 64"}
    else:
        rows = {"windows": case.windows, "samples": case.samples, "steps": case.steps}
        columns |= rows | {"per": "all windows"}
    seconds: dict[str, np.ndarray] = {}
    for side, way in (("ours", task.ours), ("peer", task.peer)):
        runs = answers.get((side, way))
        if not runs:
            continue
        seconds[side] = scale * np.array([run[clock] for run in runs])
        columns |= {
            f"{side}_s": float(np.median(seconds[side])), f"{side}_s_min": seconds[side].min(),
            f"{side}_s_max": seconds[side].max(),
            f"{side}_rss_gib": max(run["rss_gib"] for run in runs),
        }  # fmt: skip
        if args.kind != "cpu":
            columns[f"{side}_cuda_gib"] = max(run["cuda_gib"] for run in runs)
            if "fused" in runs[-1]:
                columns["fused"] = runs[-1]["fused"]
    if len(seconds) == 2:
        ratio = seconds["peer"] / seconds["ours"]
        columns |= {
            "ratio": float(np.median(ratio)), "ratio_min": ratio.min(), "ratio_max": ratio.max(),
            "must": task.must_at(case.size),
            "peer_torch": about["peer", task.peer]["torch"],
            "peer_numpy": about["peer", task.peer]["numpy"],
        }  # fmt: skip
    columns |= {"sgemm_gflops": machine["flop_rate"] / 1e9, "copy_gb_s": machine["byte_rate"] / 1e9}
    columns |= floor_columns(case, about["ours", task.ours], machine, args.kind)
    if "floor_s" in columns:
        columns["ours_of_floor"] = columns["floor_s"] / columns["ours_s"]
        if "peer" in seconds:
            columns["peer_of_floor"] = columns["floor_s"] / columns["peer_s"]
    return columns


def record(table: str, figures: dict[str, Any], args: argparse.Namespace) -> None:
    """Add a row to a table, unless it is a trial."""
    if args.unrecorded:
        print("  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}"
                        for k, v in figures.items()), flush=True)  # fmt: skip
    else:
        append(table, figures)


def on(case: Case, task: Task, args: argparse.Namespace) -> Case:
    """A case with what the command line, the device and the task change in it."""
    cut = args.kind == "cpu" and case.channels > task.whole_up_to
    whole = CUT if cut else case.horizon
    batches = GPU_BATCHES if args.kind != "cpu" else case.batches
    return replace(case, steps=min(args.steps or whole, case.horizon),
                   batches=args.batches or batches)  # fmt: skip


def main() -> None:
    """Measure, record and draw."""
    args = read_options(str(__doc__))
    torch.set_num_threads(args.threads)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the workers, too
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory(prefix="tsgen-speed-") as folder:
        if args.plot:
            pass
        elif args.grow:
            names = [n for n in args.tasks if not TASKS[n].trains]
            for axis, case in growth(Path(folder), args.samples):
                for group in groups(names):
                    for figures in measure(group, case, args):
                        record("speed_growth.csv", {"axis": axis} | figures, args)
        else:
            compare(Path(folder), args)
    if not args.unrecorded:
        draw()


def compare(folder: Path, args: argparse.Namespace) -> None:
    """All tasks at all sizes."""
    verdicts: list[str] = []
    for size in args.sizes:
        try:
            case = prepare(size, SIZES[size], folder, args.windows, args.samples)
        except MissingData as error:
            print(f"--sizes {size}: left out, {error}", flush=True)
            continue
        for group in groups(args.tasks):
            limit = TRAIN_CHANNELS[args.kind]
            if TASKS[group[0]].trains and case.channels > limit:
                why = f"{case.channels} channels, more than {limit}, are not trained on here"
                print(f"{' '.join(group)}, {size}: left out, {why}", flush=True)
                continue
            for figures in measure(group, on(case, TASKS[group[0]], args), args):
                record("speed.csv", figures, args)
                verdicts.append(verdict(figures))
    print("\n".join(verdicts), flush=True)


def verdict(figures: dict[str, Any]) -> str:
    """A task in a line."""
    begun = f"{figures['task']}, {figures['size']}: {figures['ours_s']:.3g} s"
    if "ratio" not in figures:
        return f"{begun}; not compared"
    range_ = f"{figures['ratio_min']:.3g} to {figures['ratio_max']:.3g}"
    sentence = f"{begun}, {figures['ratio']:.3g} times as fast as pytorch-ts ({range_})"
    if figures["must"] is None:
        return sentence
    reached = "reached" if figures["ratio"] >= figures["must"] else "NOT reached"
    return f"{sentence}; {figures['must']:g} is {reached}"


if __name__ == "__main__":
    main()
