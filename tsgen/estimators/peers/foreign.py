"""What the folder of a peer may name: the parts of GluonTS's forecasters, one by one."""

from collections.abc import Mapping
from functools import cache

from tsgen.storage import FOREIGN

_PARTS: dict[str, tuple[str, ...]] = {
    "builtins": ("int", "float", "bool", "str", "list", "dict"),
    "numpy": ("float32", "float64", "int32", "int64"),
    "gluonts.model.forecast_generator": (
        "DistributionForecastGenerator", "QuantileForecastGenerator", "SampleForecastGenerator",
    ),
    "gluonts.model.npts._predictor": ("NPTSPredictor", "KernelType"),
    "gluonts.model.seasonal_naive": ("SeasonalNaivePredictor",),
    "gluonts.model.trivial.constant": ("ConstantPredictor", "ConstantValuePredictor"),
    "gluonts.model.trivial.mean": ("MeanPredictor", "MovingAveragePredictor"),
    "gluonts.torch.model.predictor": ("PyTorchPredictor",),
    **{
        f"gluonts.torch.model.{module}.lightning_module": (f"{name}LightningModule",)
        for module, name in {
            "d_linear": "DLinear", "deepar": "DeepAR", "i_transformer": "ITransformer",
            "lag_tst": "LagTST", "mqf2": "MQF2MultiHorizon", "patch_tst": "PatchTST",
            "simple_feedforward": "SimpleFeedForward", "tft": "TemporalFusionTransformer",
            "tide": "TiDE", "wavenet": "WaveNet",
        }.items()
    },
    "gluonts.torch.distributions.binned_uniforms": ("BinnedUniformsOutput",),
    "gluonts.torch.distributions.distribution_output": (
        "BetaOutput", "GammaOutput", "LaplaceOutput", "NormalOutput", "PoissonOutput",
    ),
    "gluonts.torch.distributions.generalized_pareto": ("GeneralizedParetoOutput",),
    "gluonts.torch.distributions.implicit_quantile_network": ("ImplicitQuantileNetworkOutput",),
    "gluonts.torch.distributions.isqf": ("ISQFOutput",),
    "gluonts.torch.distributions.negative_binomial": ("NegativeBinomialOutput",),
    "gluonts.torch.distributions.piecewise_linear": ("PiecewiseLinearOutput",),
    "gluonts.torch.distributions.quantile_output": ("QuantileOutput",),
    "gluonts.torch.distributions.spliced_binned_pareto": ("SplicedBinnedParetoOutput",),
    "gluonts.torch.distributions.studentT": ("StudentTOutput",),
    "gluonts.torch.distributions.truncated_normal": ("TruncatedNormalOutput",),
    "gluonts.transform._base": ("Identity",),
    "gluonts.transform.convert": (
        "AsNumpyArray", "ConcatFeatures", "ExpandDimArray", "ListFeatures", "SwapAxes",
        "TargetDimIndicator", "QuantizeMeanScaled",
    ),
    "gluonts.transform.feature": (
        "AddAggregateLags", "AddConstFeature", "AddObservedValuesIndicator", "AddTimeFeatures",
        "CausalMeanValueImputation", "DummyValueImputation", "LastValueImputation",
        "LeavesMissingValues", "MeanValueImputation", "RollingMeanValueImputation",
    ),
    "gluonts.transform.field": (
        "RemoveFields", "RenameFields", "SelectFields", "SetField", "SetFieldIfNotPresent",
    ),
    "gluonts.transform.sampler": (
        "ExpectedNumInstanceSampler", "NumInstanceSampler", "PredictionSplitSampler",
        "UniformSplitSampler",
    ),
    "gluonts.transform.split": ("InstanceSplitter", "TFTInstanceSplitter"),
}  # fmt: skip


@cache
def peer_parts() -> Mapping[str, tuple[str, str]]:
    """Where each part is defined that a peer's folder may name, by its whole name."""
    listed = {
        f"{module}.{name}": (module, name) for module, names in _PARTS.items() for name in names
    }
    return {**FOREIGN, **listed}
