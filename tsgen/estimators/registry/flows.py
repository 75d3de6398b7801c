"""TempFlow by the name of its flow, with a GRU, and the paper's two Transformers."""

from functools import partial

from gluonts.model.estimator import Estimator

from tsgen.core import Registry
from tsgen.estimators.tempflow import TempFlowEstimator
from tsgen.models.flows import flows

tempflows: Registry[Estimator] = Registry(
    "family",
    {
        "tempflow": TempFlowEstimator,
        "transformer_maf": partial(TempFlowEstimator, encoder="transformer"),
        "transformer_realnvp": partial(TempFlowEstimator, flow="realnvp", encoder="transformer"),
        **{name: partial(TempFlowEstimator, flow=name) for name in flows},
    },
)
