"""Networks that forecast: a model and an encoder joined."""

from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.horizon import HorizonForecaster
from tsgen.forecasting.network.step import StepForecaster

decodings: dict[str, type[Forecaster]] = {"step": StepForecaster, "horizon": HorizonForecaster}
"""The networks by what they draw at a time."""

__all__ = ["Forecaster", "HorizonForecaster", "StepForecaster", "decodings"]
