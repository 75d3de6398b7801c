"""Imputation of PhysioNet 2012 with a network of CSDI's size, by CSDI's protocol.

    TSGEN_DATA=... python benchmarks/imputation.py train --folder physionet --batches 2500
    TSGEN_DATA=... python benchmarks/imputation.py score --folder physionet --patients 80

Protocol (Tashiro, Song, Song, Ermon 2021, and their public code): set a, 35 parameters, the last
value of each of 48 hours, standardised by all observed values; five folds of patients drawn with
seed 1, the first of which is the test; a share of each patient's observed values is hidden; CRPS is
the mean weighted quantile loss at .05, ..., .95 of the hidden values on the standardised scale,
over the sum of their absolute values. ``train`` goes on where an earlier run into the folder was
stopped; ``score`` writes a row to results/imputation.csv.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _record import append

from tsgen.diffusion import DDIM, Ancestral, DPMSolverPP, QuadraticSchedule
from tsgen.estimators import Given, TimeGradEstimator
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.nets import Axial

HOURS, SEED = 48, 1
PARAMETERS = (
    "DiasABP HR Na Lactate NIDiasABP PaO2 WBC pH Albumin ALT Glucose SaO2 Temp AST Bilirubin HCO3 "
    "BUN RespRate Mg HCT SysABP FiO2 K GCS Cholesterol NISysABP TroponinT MAP TroponinI PaCO2 "
    "Platelets Urine NIMAP Creatinine ALP"
).split()
SAMPLERS = {"ancestral": Ancestral, "ddim": DDIM, "dpm": DPMSolverPP}
PUBLISHED = {0.1: 0.238, 0.5: 0.330, 0.9: 0.522}


def stays() -> np.ndarray:
    """Standardised values (patients, hours, parameters), NaN where nothing was measured."""
    path = Path(os.environ["TSGEN_DATA"]) / "forecasting" / "physionet2012_set_a.csv.gz"
    frame = pd.read_csv(path)
    patient = np.unique(frame["record_id"], return_inverse=True)[1]
    hour = frame["minute"].to_numpy() // 60
    place = frame["parameter"].map({name: i for i, name in enumerate(PARAMETERS)}).to_numpy()
    complete = ~np.isnan(place) & (hour < HOURS)
    values = np.full((patient.max() + 1, HOURS, len(PARAMETERS)), np.nan)
    # of several values of an hour the last one in the file is kept
    values[patient[complete], hour[complete], place[complete].astype(int)] = frame[
        "value"
    ].to_numpy()[complete]
    return (values - np.nanmean(values, (0, 1))) / np.nanstd(values, (0, 1))


def folds(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Patients to train on and to test on."""
    order = np.arange(count)
    np.random.RandomState(SEED).shuffle(order)
    test, rest = order[: int(0.2 * count)], order[int(0.2 * count) :]
    np.random.RandomState(SEED).shuffle(rest)
    return rest[: int(0.7 * count)], test


def hide(values: np.ndarray, share: float) -> np.ndarray:
    """Which observed values (patients, hours, parameters) are hidden from the model."""
    generator = np.random.RandomState(SEED)
    hidden = np.zeros(values.shape, dtype=bool)
    for stay, mask in zip(values, hidden, strict=True):
        present = np.flatnonzero(~np.isnan(stay))
        mask.flat[generator.choice(present, int(len(present) * share), replace=False)] = True
    return hidden


def entries(values: np.ndarray) -> list[dict]:
    """A data set of stays."""
    start = pd.Period("2000-01-01 00:00", freq="h")
    return [{"start": start, "item_id": str(i), "target": stay.T} for i, stay in enumerate(values)]


def train(options: argparse.Namespace) -> None:
    """Train, or go on training."""
    values = stays()
    estimator = TimeGradEstimator(
        HOURS, context_length=1, lags_seq=(1,), time_features=(), min_history=0, scaling="global",
        decoding="horizon", network=Axial(),
        schedule=QuadraticSchedule(50, beta_end=0.5), given=Given(1.0, ("cells",)),
        batch_size=16, lr=1e-3, max_epochs=options.batches // 100,
        checkpoint_dir=str(options.folder / "checkpoints"),
    )  # fmt: skip
    began = time.perf_counter()
    predictor = estimator.train(entries(values[folds(len(values))[0]]), seed=options.seed)
    predictor.serialize(options.folder / "model")
    print(f"{time.perf_counter() - began:.0f} s, loss {predictor.history[-1]['train_loss']:.4f}")


def crps(samples: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Sums over cells of the mean quantile loss at 19 levels and of the median's absolute error.

    Args:
        samples: (S, cells).
        truth: (cells,).
    """
    levels = np.arange(0.05, 0.96, 0.05)[:, None]
    off = truth - np.quantile(samples, levels[:, 0], axis=0)
    loss = 2 * np.where(off >= 0, levels * off, (levels - 1) * off).mean(0)
    return float(loss.sum()), float(np.abs(truth - np.median(samples, 0)).sum())


def carried(stay: np.ndarray) -> np.ndarray:
    """The last value before a hole, else the next one, else the mean: (1, hours, parameters)."""
    return pd.DataFrame(stay).ffill().bfill().fillna(0.0).to_numpy()[None]


def score(options: argparse.Namespace) -> None:
    """Impute hidden values of the first patients of the test fold."""
    values = stays()
    test = folds(len(values))[1][: options.patients]
    predictor = GenerativePredictor.deserialize(options.folder / "model")
    predictor = predictor.with_sampler(SAMPLERS[options.sampler](options.steps))
    for share in options.shares:
        hidden = hide(values, share)[test]
        truth = values[test]
        holed = np.where(hidden, np.nan, truth)
        began, number = time.perf_counter(), 0
        sums = {name: np.zeros(2) for name in ("model", "carried", "mean")}
        drawn = predictor.impute(entries(holed), num_samples=options.samples, seed=options.seed)
        for i, forecast in enumerate(drawn):
            asked = hidden[i]
            number += int(asked.sum())
            answers = {
                "model": forecast.samples,
                "carried": carried(holed[i]),
                "mean": np.zeros((1, *asked.shape)),
            }
            for name, samples in answers.items():
                sums[name] += crps(samples[:, asked], truth[i][asked])
            print(f"{share} {i} {sums['model'][0] / np.abs(truth[: i + 1][hidden[: i + 1]]).sum()}")
        total = np.abs(truth[hidden]).sum()
        append(
            "imputation.csv",
            {
                "data": "physionet2012_set_a", "hidden": share, "patients": len(test),
                "cells": number, "samples": options.samples, "sampler": options.sampler,
                "steps": options.steps, "batches": 100 * len(predictor.history),
                "crps": sums["model"][0] / total, "crps_csdi_published": PUBLISHED[share],
                "crps_carried": sums["carried"][0] / total, "crps_mean": sums["mean"][0] / total,
                "mae": sums["model"][1] / number, "mae_carried": sums["carried"][1] / number,
                "seconds": time.perf_counter() - began, "seed": options.seed,
            },
        )  # fmt: skip


def main() -> None:
    """Read the options and go."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=["train", "score"])
    parser.add_argument("--folder", type=Path, required=True, help="of checkpoints and model")
    parser.add_argument("--batches", type=int, default=3000, help="of 16 windows to train on")
    parser.add_argument("--shares", type=float, nargs="+", default=list(PUBLISHED))
    parser.add_argument("--patients", type=int, default=800, help="of the test fold, of 800")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--sampler", choices=list(SAMPLERS), default="ancestral")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    {"train": train, "score": score}[options.task](options)


if __name__ == "__main__":
    main()
