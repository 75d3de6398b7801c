"""From what the data hold and what the user chose to the network that is trained on them."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from gluonts.transform import Transformation

from tsgen.data.entries import Entry
from tsgen.encoders import HistoryEncoder
from tsgen.forecasting.data.features import TimeFeature, default_lags, default_time_features
from tsgen.forecasting.data.spec import DataSpec
from tsgen.forecasting.data.transformation import create_transformation
from tsgen.forecasting.data.window import WindowShape
from tsgen.forecasting.network import decodings
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.inputs import InputLayout, Inputs, measure_statistics
from tsgen.forecasting.target.anchors import Anchor
from tsgen.forecasting.target.links import Link
from tsgen.forecasting.target.statistics import Scaling
from tsgen.forecasting.target.target import TargetMap
from tsgen.models import GenerativeModel


class AssemblyOptions(Protocol):
    """Options that decide what a window holds and how it is scaled; every estimator has them."""

    @property
    def prediction_length(self) -> int:
        """H, steps to forecast."""

    @property
    def context_length(self) -> int | None:
        """L, steps the encoder runs over; ``None``: H."""

    @property
    def decoding(self) -> Literal["step", "horizon"]:
        """What is drawn at a time."""

    @property
    def scaling(self) -> Scaling:
        """The statistics that scale the target."""

    @property
    def scaling_window(self) -> int | Literal["context", "past", "all"]:
        """Steps that these statistics look back."""

    @property
    def min_history(self) -> int:
        """Least steps of a series before a training window's horizon."""

    @property
    def lags_seq(self) -> tuple[int, ...] | None:
        """Lags of the values that the encoder gets; ``None``: by frequency and channels."""

    @property
    def time_features(self) -> tuple[TimeFeature, ...] | None:
        """Calendar features; ``None``: by frequency."""

    def link(self, spec: DataSpec) -> Link:
        """The bijection between the data's support and the real line."""

    def build_anchor(self, spec: DataSpec) -> Anchor | None:
        """What forecasts the location of events; ``None`` takes running statistics."""


class Factories(Protocol):
    """What makes the parts of a network; every estimator does."""

    def build_inputs(self, layout: InputLayout) -> Inputs:
        """From windows to the encoder's inputs."""

    def build_encoder(self, layout: InputLayout, input_size: int) -> HistoryEncoder:
        """From inputs to conditioning."""

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The law of an event given its conditioning."""

    def build_target(
        self, layout: InputLayout, anchor: Anchor | None, model: GenerativeModel
    ) -> TargetMap:
        """The map between the target's values and the model's events."""


@dataclass(frozen=True)
class Assembly:
    """All that follows from a data set's description and the options, before any network.

    Args:
        spec: what the data hold.
        shape: lengths of the windows.
        layout: what the encoder's inputs are made of.
        transformation: from an entry to arrays; runs once per series.
        decoding: the network's class.
        anchor: what forecasts the location of events, if that is not running statistics.
    """

    spec: DataSpec
    shape: WindowShape
    layout: InputLayout
    transformation: Transformation
    decoding: type[Forecaster]
    anchor: Anchor | None

    def with_statistics(self, entries: Iterable[Entry]) -> "Assembly":
        """This assembly with mean and spread of the scaling statistics, which a panel's inputs are.

        Args:
            entries: transformed entries of the training data.
        """
        if not self.spec.is_panel:
            return self
        mean, std = measure_statistics(entries, self.layout.scaling)
        layout = self.layout.replace(statistics_mean=mean, statistics_std=std)
        return replace(self, layout=layout)


def assemble(spec: DataSpec, options: AssemblyOptions) -> Assembly:
    """Window shape, input layout, transformation and network class for data and options.

    Args:
        spec: what the training data hold.
        options: an estimator.
    """
    horizon, scaling, link = options.prediction_length, options.scaling, options.link(spec)
    context = options.context_length or horizon
    features = options.time_features
    calendar = default_time_features(spec.freq) if features is None else features
    lags = options.lags_seq or default_lags(spec.freq, spec.num_channels, spec.shortest - horizon)
    if scaling == "anchored":
        # changes are predicted: each change at a lag is the difference of two values
        lags = (*(lag for lag in lags if lag > 1), *(lag + 1 for lag in lags))
    lags = tuple(sorted(set(lags)))
    anchor = options.build_anchor(spec)
    reach = max(max(lags), 0 if anchor is None else anchor.memory)
    shape = WindowShape(context, context + reach, horizon, options.min_history)
    layout = InputLayout(
        num_channels=spec.num_channels,
        horizon=horizon,
        lags=lags,
        scaling=scaling,
        link=link,
        missing=spec.missing,
        num_features=len(calendar) + spec.is_panel + len(spec.future_mean),
        num_covariates=len(spec.past_mean),
        num_static=len(spec.static_mean),
        cardinality=spec.cardinality,
    )
    steps_of = {"context": context, "past": shape.past_length, "all": None}
    look_back = options.scaling_window
    transformation = create_transformation(
        spec,
        link=link,
        scaling=scaling,
        scaling_window=look_back if isinstance(look_back, int) else steps_of[look_back],
        time_features=calendar,
        prediction_length=horizon,
        past_length=shape.past_length,
    )
    return Assembly(spec, shape, layout, transformation, decodings[options.decoding], anchor)


def build(assembly: Assembly, parts: Factories) -> Forecaster:
    """An untrained network, its weights drawn with torch's global generator.

    Args:
        assembly: with the statistics of its data.
        parts: makes encoder and model.
    """
    layout, decoding = assembly.layout, assembly.decoding
    inputs = parts.build_inputs(layout)
    encoder = parts.build_encoder(layout, inputs.input_size)
    event_shape, cond_shape = decoding.shapes(layout, encoder.output_size)
    model = parts.build_model(event_shape, cond_shape)
    target = parts.build_target(layout, assembly.anchor, model)
    return decoding(model, encoder, layout, target, inputs)


def rebuild(assembly: Assembly, forecaster: Forecaster, shape: WindowShape) -> Forecaster:
    """A copy of a trained network to go on training, if it fits an assembly.

    Args:
        assembly: without statistics: those of the network's first training stay.
        forecaster: the trained network, which is left as it is.
        shape: lengths of its windows.

    Raises:
        ValueError: if the options of the assembly are others than the network's.
    """
    old = forecaster.layout
    new = assembly.layout.replace(
        statistics_mean=old.statistics_mean, statistics_std=old.statistics_std
    )
    if new != old or shape != assembly.shape:
        raise ValueError(
            f"train_from: the predictor was made with {old!r} and {shape!r}, these options give "
            f"{new!r} and {assembly.shape!r}"
        )
    return copy.deepcopy(forecaster).requires_grad_(True)
