"""A water plant of one's own, attacked once a day, and two detectors on its log.

In minutes and offline:

    python benchmarks/demo_plant.py            (or: make demo-plant)

Simulates fourteen months and two more under attack, trains the TFDPM-style detector and windowed
PCA, prints what they found and what they cost in false alarms, and writes one HTML page. The logs
are left beside it as CSV, for ``tsgen detect``.
"""

import argparse
import time
from pathlib import Path

import torch
from plant import ATTACKED, HELD, NORMAL, Parts, build, measure, simulate

from tsgen.anomaly import DenoisingError, Detector, hold_out
from tsgen.anomaly.metrics import plain_pca
from tsgen.report import write_plant_report

BUDGET, QUIET = 1.0, 30
SCORER = DenoisingError(levels=(0.15,))  # biases here are small; see README.md, Detection
SHOWN = {
    "event_recall": "attacks found",
    "delay_h": "median delay, h",
    "false_alarms_per_day": "false alarms a day",
    "auc_pr": "AUC-PR",
    "rc_top3": "RC-top-3",
}


def write_logs(parts: Parts, folder: Path) -> None:
    """The logs as an operator has them, and the table of attacks."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (("normal", parts.normal), ("attacked", parts.attacked)):
        frame.round(4).to_csv(folder / f"plant_{name}.csv", index_label="time")
    table, step = parts.run.attacks, parts.attacked.index[1] - parts.attacked.index[0]
    # in the plant an attack ends before its end, in a table of attacks with it
    table = table.assign(
        end=table["end"] - step, target=[" ".join(channels) for channels in table["channels"]]
    )
    table[["kind", "start", "end", "target"]].to_csv(folder / "plant_attacks.csv", index=False)


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=15, help="of the TFDPM-style detector")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("demo_output/plant.html"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    begun = time.perf_counter()
    parts = simulate(args.seed, quiet=QUIET)
    write_logs(parts, args.out.parent)
    print(
        f"A water plant (EPANET's Net3, {parts.normal.shape[1]} tags, a row every 10 minutes): "
        f"{NORMAL} days, of which {HELD:.0%} set the threshold for {BUDGET:g} false alarm a day, "
        f"then {QUIET} without and {ATTACKED} with attacks, {len(parts.targets)} of them "
        f"({time.perf_counter() - begun:.0f} s to simulate)",
        flush=True,
    )
    trained: dict[str, Detector] = {}
    print(f"\n{'':<14}" + "".join(f"{head:>20}" for head in (*SHOWN.values(), "training, s")))
    for name in ("windowed_pca", "tfdpm"):
        options = {"scorer": SCORER} if name == "tfdpm" else {}
        detector = build(name, args.seed, options, args.epochs if name == "tfdpm" else None)
        since = time.perf_counter()
        row = measure(detector, parts, BUDGET)
        spent = time.perf_counter() - since
        figures = "".join(f"{row[key]:>20.3f}" for key in SHOWN)
        print(f"{name:<14}{figures}{spent:>20.0f}", flush=True)
        trained[name] = detector
    learn, held = hold_out([parts.normal], HELD)
    plain = plain_pca().fit(learn)
    plain.calibrate(held, false_alarms_per_day=BUDGET)
    names = list(parts.attacked.columns)
    detector = trained["tfdpm"]
    path = write_plant_report(
        args.out,
        detector,
        parts.attacked,
        detector.scored(parts.attacked),
        title="A water plant under attack",
        about=f"{ATTACKED} days of a simulated plant, seed {args.seed}; the detector learnt from "
        f"{NORMAL} days without attacks.",
        labels=parts.labels,
        targets=[[names[i] for i in event] for event in parts.targets],
        reference=plain,
    )
    print(f"\nReport: {path} ({time.perf_counter() - begun:.0f} s in all)")


if __name__ == "__main__":
    main()
