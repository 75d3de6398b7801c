"""On a GPU neither training nor sampling looks at what the device has not computed yet."""

from typing import Any

import pytest
import torch
from torch.utils import _pytree as pytree

from tests.support.forecasters import build, series
from tsgen import (
    CLDEstimator,
    GaussianEstimator,
    ScoreGradEstimator,
    TempFlowEstimator,
    TimeGradEstimator,
)
from tsgen.diffusion import SSCS, PredictorCorrector
from tsgen.estimators import Given, ScoreMatching
from tsgen.nets import Axial

PC = PredictorCorrector(4)
ESTIMATORS: dict[str, tuple[type, dict[str, Any]]] = {
    "gaussian": (GaussianEstimator, {}),
    "timegrad": (TimeGradEstimator, {}),
    "csdi": (
        TimeGradEstimator,
        {"decoding": "horizon", "network": Axial(4, 8), "given": Given(0.9)},
    ),
    "scoregrad": (ScoreGradEstimator, {"sampler": PC}),
    "weighted": (
        ScoreGradEstimator,
        {"objective": ScoreMatching(continuous=False, likelihood_weighting=True), "sampler": PC},
    ),
    "cld": (CLDEstimator, {"sampler": SSCS(4)}),
    "maf": (TempFlowEstimator, {"flow": "maf"}),
    "realnvp": (TempFlowEstimator, {"flow": "realnvp"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ESTIMATORS)
def test_nothing_is_read_back(name: str) -> None:
    """Arrays of the "meta" device have no contents: reading one, or copying it out, raises."""
    estimator, options = ESTIMATORS[name]
    forecaster, store = build(series(), estimator, **options)
    window = pytree.tree_map_only(
        torch.Tensor, lambda v: v.to("meta"), store.gather(torch.tensor([3, 40]))
    )
    forecaster = forecaster.to("meta").train()
    forecaster.loss(window).backward()
    assert all(p.grad is not None for p in forecaster.model.parameters() if p.requires_grad)
    with torch.no_grad():
        paths = forecaster.eval().sample_paths(window, 5)
    assert paths.shape == (2, 5, 4, 3)


def test_reading_back_is_noticed() -> None:
    """The check can fail."""
    with pytest.raises(RuntimeError, match="meta"):
        torch.empty(3, device="meta").isfinite().all().item()
    with pytest.raises(NotImplementedError, match="meta"):
        torch.empty(3, device="meta").cpu()
