"""Networks that forecast: a model and an encoder joined."""

from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.horizon import HorizonForecaster
from tsgen.forecasting.network.inputs import InputLayout, Inputs
from tsgen.forecasting.network.lagged_inputs import LaggedInputs
from tsgen.forecasting.network.step import StepForecaster
from tsgen.forecasting.network.timed_inputs import TimedInputs

decodings: dict[str, type[Forecaster]] = {"step": StepForecaster, "horizon": HorizonForecaster}
"""The networks by what they draw at a time."""

__all__ = [
    "Forecaster",
    "HorizonForecaster",
    "InputLayout",
    "Inputs",
    "LaggedInputs",
    "StepForecaster",
    "TimedInputs",
    "decodings",
]
