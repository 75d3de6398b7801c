"""The estimator every family shares: all GluonTS work is done here."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Literal

from gluonts.dataset import Dataset
from gluonts.torch.model.estimator import PyTorchLightningEstimator, TrainOutput
from gluonts.transform import Transformation

from tsgen.core import Options, parse_device, seeded, single_precision, usable_device
from tsgen.data.entries import Entry
from tsgen.diffusion import LangevinSampler, Sampler
from tsgen.encoders import HistoryEncoder, encoders
from tsgen.forecasting.data.features import default_lags, default_time_features
from tsgen.forecasting.data.grid import GridWindows, RandomWindows, validation_windows
from tsgen.forecasting.data.spec import DataSpec, infer_spec, read_again, with_target_statistics
from tsgen.forecasting.data.stream import StreamedWindows
from tsgen.forecasting.data.transformation import create_transformation
from tsgen.forecasting.data.window import WindowShape
from tsgen.forecasting.network import decodings
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.inputs import InputLayout, Inputs, measure_statistics
from tsgen.forecasting.network.lagged_inputs import LaggedInputs
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.forecasting.target.anchors import Anchor, LastValue
from tsgen.forecasting.target.links import Link, Support
from tsgen.forecasting.target.statistics import Scaling
from tsgen.forecasting.target.target import TargetMap
from tsgen.forecasting.training.fit import fingerprint, fit
from tsgen.forecasting.training.module import ForecastModule
from tsgen.forecasting.training.run import Run
from tsgen.forecasting.training.trainer_options import adopt_trainer_kwargs, validation_of
from tsgen.models import Flow, GenerativeModel


class GenerativeEstimator(Options, PyTorchLightningEstimator, ABC):
    """Base of all estimators.

    A family overrides :meth:`build_model` and adds its options as annotated fields. Dimensions,
    frequency, lags, calendar features and covariates are read off the training data. The defaults
    are the recipe of TimeGrad's notebook: 20 epochs of 100 batches of 64, one-cycle learning rate
    up to 1e-2.

    Args:
        prediction_length: H, steps to forecast.
        context_length: L, steps the encoder runs over; H by default.
        encoder: "gru", "lstm", "transformer", or a class or ``functools.partial`` that takes
            ``input_size``.
        decoding: "step" unrolls events (C,), "horizon" draws (H, C) at once.
        scaling: "mean", "standard", "robust", "anchored", "global" or "none"; see
            ``forecasting.scaling``.
        scaling_window: steps the scaling statistics look back: "context" for the encoder's, "past"
            for as many as the network sees (the context and the longest lag), "all" for the whole
            past, or a number.
        support: where the target lives: "real", "positive", "count" or (lo, hi); samples stay
            inside.
        min_history: steps of a series before the horizon of a training window, at least 1, or 0:
            windows may then start a series, as imputing whole series needs, and scaling must be
            "global" or "none", which do not look back.
        lags_seq: which earlier values the encoder sees; chosen by frequency and channels if not
            given. With anchored scaling the value before each is added, so that the change at that
            time is seen.
        time_features: functions of a ``pandas.PeriodIndex``; sines and cosines of the calendar if
            not given.
        batch_size: windows per batch.
        num_batches_per_epoch: batches per epoch.
        max_epochs: epochs.
        lr: learning rate, the peak of the one-cycle schedule.
        lr_schedule: "onecycle" or "constant".
        lr_inputs: with N inputs, if they are more than this, the weights by which a recurrent
            encoder sees them learn at lr * lr_inputs / N; ``None``: at lr.
        weight_decay: Adam's L2 penalty.
        gradient_clip: largest gradient norm, or ``None``.
        ema_decay: decay per batch of a moving average of the weights that predicts, or ``None``.
        patience: with validation data, epochs without a better validation loss before training
            stops; ``None`` never stops early. The best epoch's weights are kept in either case.
        num_parallel_samples: sample paths per forecast unless ``predict`` is told otherwise.
        memory_limit: bytes; larger data sets are streamed from the data set instead of being held
            as tensors.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...
        verbose: whether to show a progress line on stderr.
        checkpoint_dir: folder for full checkpoints; training into it again goes on where the run
            stopped, and a finished run is returned as it is. Without it checkpoints go to a
            temporary folder that outlives only a failed run.
        trainer_kwargs: arguments of Lightning's ``Trainer``; those that are options here set them.
    """

    prediction_length: int
    context_length: int | None = None
    encoder: str | Callable = "gru"
    decoding: Literal["step", "horizon"] = "step"
    scaling: Scaling = "mean"
    scaling_window: int | Literal["context", "past", "all"] = "context"
    support: Support = "real"
    min_history: int = 1
    lags_seq: tuple[int, ...] | None = None
    time_features: tuple[Callable, ...] | None = None
    batch_size: int = 64
    num_batches_per_epoch: int = 100
    max_epochs: int = 20
    lr: float = 1e-2
    lr_schedule: Literal["onecycle", "constant"] = "onecycle"
    lr_inputs: int | None = None
    weight_decay: float = 1e-6
    gradient_clip: float | None = 10.0
    ema_decay: float | None = None
    patience: int | None = 10
    num_parallel_samples: int = 100
    memory_limit: int = 2 * 1024**3
    device: str = "auto"
    verbose: bool = True
    checkpoint_dir: str | None = None
    trainer_kwargs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        self.lead_time = 0
        adopt_trainer_kwargs(self)
        name = type(self).__name__
        for field in (
            "prediction_length", "context_length", "batch_size", "num_batches_per_epoch",
            "max_epochs", "lr_inputs", "patience", "num_parallel_samples", "memory_limit",
        ):  # fmt: skip
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ValueError(f"{name}: {field}={value} must be at least 1")
        for field in ("lr", "gradient_clip"):
            value = getattr(self, field)
            if value is not None and not value > 0:
                raise ValueError(f"{name}: {field}={value} must be above 0")
        if isinstance(self.scaling_window, int) and self.scaling_window < 1:
            raise ValueError(
                f"{name}: scaling_window={self.scaling_window} must be at least 1, 'context', "
                "'past' or 'all'"
            )
        if self.min_history not in (0, 1) or not (
            self.min_history or self.scaling in ("global", "none")
        ):
            raise ValueError(
                f"{name}: min_history={self.min_history} must be 1, or 0 with scaling='global' or "
                f"'none' (now {self.scaling!r})"
            )
        if self.lags_seq is not None and (not self.lags_seq or min(self.lags_seq) < 1):
            raise ValueError(f"{name}: lags_seq={self.lags_seq} must be positive steps")
        if isinstance(self.encoder, str):
            encoders[self.encoder]
        Link(self.support)
        parse_device(self.device)

    @abstractmethod
    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The family's model."""

    def check_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Raise ``ValueError`` if the family's models cannot draw with a sampler."""
        schedule = getattr(self, "schedule", None)
        if schedule is None or not isinstance(sampler, Sampler):
            raise ValueError(f"{type(self).__name__} cannot draw with {sampler!r}")
        sampler.times(schedule)

    def build_inputs(self, layout: InputLayout) -> Inputs:
        """From windows to the encoder's inputs."""
        return LaggedInputs(layout)

    def build_encoder(self, layout: InputLayout, input_size: int) -> HistoryEncoder:
        """From inputs to conditioning."""
        return encoders.build(self.encoder, input_size)

    def link(self, spec: DataSpec) -> Link:
        """The bijection between the data's support and the real line."""
        return Link(self.support, spec.tau)

    def build_dequantiser(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> Flow | None:
        """What draws the noise of whole numbers; ``None`` is the uniform law."""
        return None

    def build_anchor(self, spec: DataSpec) -> Anchor | None:
        """What forecasts the location of events; ``None`` takes running statistics."""
        return LastValue() if self.scaling == "anchored" else None

    def build_target(
        self, layout: InputLayout, anchor: Anchor | None, model: GenerativeModel
    ) -> TargetMap:
        """The map between the target's values and the model's events."""
        event, cond = tuple(model.event_shape), tuple(model.cond_shape)
        quantised, seen = layout.link.is_quantised, (*cond[:-1], cond[-1] + event[-1])
        dequantiser = self.build_dequantiser(event, seen) if quantised else None
        return TargetMap(layout.link, len(event), anchor, dequantiser)

    def train(
        self,
        training_data: Dataset,
        validation_data: Dataset | None = None,
        shuffle_buffer_length: int | None = None,
        cache_data: bool = False,
        ckpt_path: str | None = None,
        seed: int | None = None,
    ) -> GenerativePredictor:
        """Train and return the predictor; threads that forecast or train get in between batches.

        Args:
            training_data: entries with ``start`` (a Period) and ``target`` (T,) or (C, T), NaN
                where missing, and optionally ``feat_dynamic_real`` (known in the future),
                ``past_feat_dynamic_real`` (not known), ``feat_static_real``, ``feat_static_cat``,
                ``item_id``.
            validation_data: like it; of a series that goes on from a training series only windows
                whose horizon is new are used.
            shuffle_buffer_length: only for streamed data; windows of data in memory are drawn at
                random.
            cache_data: accepted for GluonTS' sake; data that fit are always kept transformed.
            ckpt_path: a checkpoint to go on from.
            seed: makes the whole training repeatable; ``None`` goes on with torch's global
                generator.

        Raises:
            ValueError: for data or options that do not fit, before training starts.
            FloatingPointError: if the loss ceases to be finite.
        """
        options = (shuffle_buffer_length, cache_data, ckpt_path, seed)
        return self.train_model(training_data, validation_data, None, *options).predictor

    def train_from(
        self,
        predictor: GenerativePredictor,
        training_data: Dataset,
        validation_data: Dataset | None = None,
        shuffle_buffer_length: int | None = None,
        cache_data: bool = False,
        ckpt_path: str | None = None,
        seed: int | None = None,
    ) -> GenerativePredictor:
        """Go on training a predictor's network, with its input statistics, on other data."""
        options = (shuffle_buffer_length, cache_data, ckpt_path, seed)
        return self.train_model(training_data, validation_data, predictor, *options).predictor

    @single_precision()
    def train_model(
        self,
        training_data: Dataset,
        validation_data: Dataset | None = None,
        from_predictor: GenerativePredictor | None = None,
        shuffle_buffer_length: int | None = None,
        cache_data: bool = False,
        ckpt_path: str | None = None,
        seed: int | None = None,
    ) -> TrainOutput:
        """Train as :meth:`train` does.

        Returns:
            The transformation, the module, Lightning's trainer and the predictor.
        """
        device = usable_device(self.device)
        validation_data = validation_of(self.trainer_kwargs, validation_data)
        training_data = read_again(training_data, self.memory_limit)
        validation_data = read_again(validation_data, self.memory_limit)
        spec = infer_spec(training_data, self.prediction_length, self.support, self.min_history)
        if from_predictor is not None:
            spec = from_predictor.spec.replace(whole=spec.whole, whole_steps=spec.whole_steps)
        else:
            link = Link(self.support, spec.tau)
            spec = with_target_statistics(spec, training_data, link, self.scaling)
        shape, lags = self._window(spec)
        transformation = self.create_transformation(spec, shape)
        streamed = not hasattr(training_data, "__len__") or spec.num_bytes > self.memory_limit
        entries: Iterable[Entry] = transformation.apply(training_data, is_train=True)
        entries = entries if streamed else list(entries)
        with seeded(seed):
            if from_predictor is None:
                statistics = measure_statistics(entries, self.scaling) if spec.is_panel else ()
                layout = self._layout(spec, lags, *statistics)
                anchor = self.build_anchor(spec)
                module = self.create_lightning_module(self._build_forecaster(layout, anchor))
            else:
                module = self._continue(from_predictor, spec, shape, lags)
            if module.forecaster.model.partial == "drop":
                spec.require_whole_steps(type(self).__name__)
            training: Iterable
            if streamed:
                training = StreamedWindows(
                    training_data, transformation, shape, self.batch_size,
                    self.num_batches_per_epoch,
                    num_instances=-(-self.batch_size // spec.num_series),
                    shuffle_buffer_length=shuffle_buffer_length,
                    has_times=spec.median_gap is not None,
                )  # fmt: skip
            else:
                store = GridWindows(entries, shape, device)
                training = RandomWindows(store, self.batch_size, self.num_batches_per_epoch)
            validation = None
            if validation_data is not None:
                known = [] if streamed else list(entries)
                validation = validation_windows(
                    validation_data, transformation, shape, known, device, self.batch_size
                )
            about = fingerprint(self, spec, seed, validation_data is not None)
            run = Run(self.checkpoint_dir, about, ckpt_path)
            trainer = fit(
                module, training, validation, run, name=type(self).__name__,
                max_epochs=self.max_epochs, patience=self.patience, device=device,
                verbose=self.verbose, trainer_kwargs=self.trainer_kwargs or {},
            )  # fmt: skip
        predictor = self.create_predictor(transformation, module, shape, spec)
        predictor.history = run.history
        run.close()
        return TrainOutput(transformation, module, trainer, predictor)

    def create_transformation(self, spec: DataSpec, shape: WindowShape) -> Transformation:
        """From an entry to arrays; runs once per series."""
        features = self.time_features
        named = {"context": shape.context_length, "past": shape.past_length, "all": None}
        look_back = self.scaling_window
        window = look_back if isinstance(look_back, int) else named[look_back]
        return create_transformation(
            spec,
            link=self.link(spec),
            scaling=self.scaling,
            scaling_window=window,
            time_features=default_time_features(spec.freq) if features is None else features,
            prediction_length=self.prediction_length,
            past_length=shape.past_length,
        )

    def create_lightning_module(self, forecaster: Forecaster) -> ForecastModule:
        """The module that trains a forecaster with this estimator's options."""
        return ForecastModule(
            forecaster,
            lr=self.lr,
            lr_schedule=self.lr_schedule,
            lr_inputs=self.lr_inputs,
            weight_decay=self.weight_decay,
            gradient_clip=self.gradient_clip,
            ema_decay=self.ema_decay,
        )

    def create_predictor(
        self,
        transformation: Transformation,
        module: ForecastModule,
        shape: WindowShape,
        spec: DataSpec,
    ) -> GenerativePredictor:
        """The predictor of a trained module."""
        return GenerativePredictor(
            prediction_net=module.best_forecaster,
            transformation=transformation,
            spec=spec,
            shape=shape,
            batch_size=self.batch_size,
            num_samples=self.num_parallel_samples,
            device=self.device,
        )

    def _window(self, spec: DataSpec) -> tuple[WindowShape, tuple[int, ...]]:
        context = self.context_length or self.prediction_length
        lags = self.lags_seq or default_lags(
            spec.freq, spec.num_channels, spec.shortest - self.prediction_length
        )
        if self.scaling == "anchored":
            # changes are predicted: let the changes at each lag be seen, too
            lags = tuple(sorted({*(lag for lag in lags if lag > 1), *(lag + 1 for lag in lags)}))
        else:
            lags = tuple(sorted(set(lags)))
        anchor = self.build_anchor(spec)
        reach = max(max(lags), 0 if anchor is None else anchor.memory)
        shape = WindowShape(context, context + reach, self.prediction_length, self.min_history)
        return shape, lags

    def _layout(
        self,
        spec: DataSpec,
        lags: tuple[int, ...],
        mean: tuple[float, ...] = (),
        std: tuple[float, ...] = (),
    ) -> InputLayout:
        features = self.time_features
        calendar = default_time_features(spec.freq) if features is None else features
        return InputLayout(
            num_channels=spec.num_channels,
            horizon=self.prediction_length,
            lags=lags,
            scaling=self.scaling,
            link=self.link(spec),
            missing=spec.missing,
            num_features=len(calendar) + spec.is_panel + len(spec.future_mean),
            num_covariates=len(spec.past_mean),
            num_static=len(spec.static_mean),
            cardinality=spec.cardinality,
            statistics_mean=mean,
            statistics_std=std,
        )

    def _build_forecaster(self, layout: InputLayout, anchor: Anchor | None) -> Forecaster:
        decoding, inputs = decodings[self.decoding], self.build_inputs(layout)
        encoder = self.build_encoder(layout, inputs.input_size)
        event_shape, cond_shape = decoding.shapes(layout, encoder.output_size)
        model = self.build_model(event_shape, cond_shape)
        return decoding(model, encoder, layout, self.build_target(layout, anchor, model), inputs)

    def _continue(
        self,
        predictor: GenerativePredictor,
        spec: DataSpec,
        shape: WindowShape,
        lags: tuple[int, ...],
    ) -> ForecastModule:
        forecaster = predictor.prediction_net
        old = forecaster.layout
        new = self._layout(spec, lags, old.statistics_mean, old.statistics_std)
        if new != old or shape != predictor.shape:
            raise ValueError(
                f"train_from: the predictor was made with {old!r} and {predictor.shape!r}, these "
                f"options give {new!r} and {shape!r}"
            )
        return self.create_lightning_module(copy.deepcopy(forecaster).requires_grad_(True))
