"""Every generative family by its name, and options that make it tiny."""

import functools
from collections.abc import Callable
from typing import Any

from tsgen.diffusion import SSCS, DPMSolverPP, LinearSchedule
from tsgen.encoders import GRUEncoder
from tsgen.estimators import Patterns
from tsgen.estimators.registry import baselines, estimators, peers
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.nets import Axial, Dense, Residual

SMALL = functools.partial(GRUEncoder, hidden_size=8, output_size=8)
BRIEF: dict[str, Any] = {
    "max_epochs": 1, "num_batches_per_epoch": 1, "batch_size": 4, "num_parallel_samples": 4,
    "verbose": False, "device": "cpu",
}  # fmt: skip
TINY = {**BRIEF, "context_length": 3, "lags_seq": (1,), "encoder": SMALL}
STEPS = {"schedule": LinearSchedule(4, beta_end=0.5), "network": Residual(layers=1)}
OPTIONS: dict[str, dict[str, Any]] = {
    "timegrad": {**TINY, **STEPS},
    "csdi": {**TINY, **STEPS, "network": Axial(1, 8, 2)},
    "scoregrad": {**TINY, "sampler": DPMSolverPP(3), "network": Residual(layers=1)},
    "scoregrad_cld": {**TINY, "sampler": SSCS(3), "network": Residual(layers=1)},
    "tfdpm": {
        **BRIEF,
        "window": 3,
        "patterns": Patterns(hidden_size=8, features=4),
        "network": Dense(1, 8),
    },
    "transformer_maf": {**TINY, "encoder": "transformer"},
    "transformer_realnvp": {**TINY, "encoder": "transformer"},
}
OPTIONS |= {f"scoregrad_{sde}": OPTIONS["scoregrad"] for sde in ("subvp", "ve")}
GENERATIVE: dict[str, Callable[..., GenerativeEstimator]] = {
    name: estimators[name] for name in estimators if name not in {**baselines, **peers}
}
