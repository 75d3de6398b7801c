"""The estimator every family shares: all GluonTS work is done here."""

import functools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Literal

from gluonts.dataset import Dataset
from gluonts.torch.model.estimator import PyTorchLightningEstimator, TrainOutput

from tsgen.core import (
    NOT_EMPTY,
    Count,
    OptionError,
    Options,
    Positive,
    at_least,
    between,
    parse_device,
    seeded,
    single_precision,
    usable_device,
)
from tsgen.data.frequency import period_frequency
from tsgen.diffusion import LangevinSampler, Sampler, Schedule
from tsgen.encoders import HistoryEncoder, encoders
from tsgen.forecasting.assemble import Assembly, assemble, build, rebuild
from tsgen.forecasting.data.source import TrainingSource
from tsgen.forecasting.data.spec import DataSpec, infer_spec, read_again, with_target_statistics
from tsgen.forecasting.foreign import REPLACED, moved_option
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.inputs import InputLayout, Inputs
from tsgen.forecasting.network.lagged_inputs import LaggedInputs
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.forecasting.target.anchors import Anchor, LastValue
from tsgen.forecasting.target.links import Link, Support
from tsgen.forecasting.target.statistics import Scaling
from tsgen.forecasting.target.target import TargetMap
from tsgen.forecasting.training.fit import fingerprint, fit
from tsgen.forecasting.training.options import Training
from tsgen.forecasting.training.run import TrainingRun
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
        freq: the pandas frequency that the data must have; read off them if not given.
        batch_size: windows per batch.
        num_batches_per_epoch: batches per epoch.
        max_epochs: epochs.
        lr: learning rate, the peak of the one-cycle schedule.
        training: how the weights are optimised, see
            :class:`~tsgen.forecasting.training.options.Training`.
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

    family_lr_inputs: ClassVar[int | None] = None
    """``lr_inputs`` of a training that says "family"."""
    family_weight_decay: ClassVar[float] = 1e-6
    """``weight_decay`` of a training that says "family"."""

    prediction_length: Count
    context_length: Count | None = None
    encoder: str | Callable = "gru"
    decoding: Literal["step", "horizon"] = "step"
    scaling: Scaling = "mean"
    scaling_window: Count | Literal["context", "past", "all"] = "context"
    support: Support = "real"
    min_history: Annotated[int, between(0, 1)] = 1
    lags_seq: Annotated[tuple[int, ...], at_least(1), NOT_EMPTY] | None = None
    time_features: tuple[Callable, ...] | None = None
    freq: str | None = None
    batch_size: Count = 64
    num_batches_per_epoch: Count = 100
    max_epochs: Count = 20
    lr: Positive = 1e-2
    training: Training = Training()  # noqa: RUF009
    num_parallel_samples: Count = 100
    memory_limit: Count = 2 * 1024**3
    device: str = "auto"
    verbose: bool = True
    checkpoint_dir: str | None = None
    trainer_kwargs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        self.lead_time = 0
        adopt_trainer_kwargs(self)
        name = type(self).__name__
        if not self.min_history and self.scaling not in ("global", "none"):
            raise OptionError(
                name, "min_history", 0, f"1 with scaling={self.scaling!r}",
                "scaling='global' or 'none' does not look back and takes 0",
            )  # fmt: skip
        if isinstance(self.encoder, str):
            encoders[self.encoder]
        Link(self.support)
        parse_device(self.device)
        if self.freq is not None:
            period_frequency(self.freq)
        for text in self.options_without_effect():
            warnings.warn(f"{name}: {text}", stacklevel=5)

    def options_without_effect(self) -> Iterator[str]:
        """Sentences about options, also of parts, that were given and change nothing."""
        yield from super().options_without_effect()
        if self.scaling in ("global", "none") and self.scaling_window != "context":
            yield (
                f"scaling_window={self.scaling_window!r} has no effect with scaling="
                f"{self.scaling!r}, which does not look back; leave it out"
            )
        encoder = encoders[self.encoder] if isinstance(self.encoder, str) else self.encoder
        part = encoder.func if isinstance(encoder, functools.partial) else encoder
        if (
            isinstance(self.training.lr_inputs, int)
            and isinstance(part, type)
            and issubclass(part, HistoryEncoder)
            and part.input_weights is HistoryEncoder.input_weights
        ):
            yield (
                f"training.lr_inputs={self.training.lr_inputs} has no effect with "
                f"{part.__name__}, which has no weights by input; leave it out"
            )

    def options_without_effect_on(self, spec: DataSpec) -> Iterator[str]:
        """Sentences about options that were given and change nothing on such data."""
        yield from ()

    @classmethod
    def advice(cls, option: str, value: Any) -> str | None:
        """Where an option of another library, or one that moved, is now."""
        return moved_option(cls, option, value) or REPLACED.get(option)

    @property
    def recipe(self) -> Training:
        """The training's recipe, with the family's numbers where it says "family"."""
        return self.training.of_family(self.family_lr_inputs, self.family_weight_decay)

    @abstractmethod
    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The family's model."""

    def check_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Raise ``ValueError`` if the family's models cannot draw with a sampler."""
        raise ValueError(f"{type(self).__name__} has no sampler to replace by {sampler!r}")

    def check_sampler_of(self, schedule: Schedule, sampler: Sampler | LangevinSampler) -> None:
        """Raise ``OptionError`` if a sampler cannot draw with a schedule."""
        name = type(self).__name__
        if not isinstance(sampler, Sampler):
            raise OptionError(name, "sampler", sampler, f"one for {type(schedule).__name__}")
        try:
            sampler.check(schedule)
        except ValueError as error:
            raise OptionError(
                name, "sampler", sampler, f"one for {schedule!r}", str(error)
            ) from None

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
        quantised, context = layout.link.is_quantised, (*cond[:-1], cond[-1] + event[-1])
        dequantiser = self.build_dequantiser(event, context) if quantised else None
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

        Processes that share a group of ``torch.distributed`` and call this alike train one model
        together, see :func:`~tsgen.forecasting.training.fit.fit`.

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
            The transformation, the forecaster, Lightning's trainer and the predictor.
        """
        device = usable_device(self.device)
        validation_data = validation_of(self.trainer_kwargs, validation_data)
        training_data = read_again(training_data, self.memory_limit)
        validation_data = read_again(validation_data, self.memory_limit)
        self._warn_of_patience(validation_data)
        spec = self._spec(training_data, from_predictor)
        for text in self.options_without_effect_on(spec):
            warnings.warn(f"{type(self).__name__}: {text}", stacklevel=4)
        assembly = assemble(spec, self)
        source = TrainingSource(
            training_data, spec, assembly.transformation, assembly.shape, self.memory_limit
        )
        with seeded(seed):
            if from_predictor is None:
                forecaster = build(assembly.with_statistics(source.entries), self)
            else:
                old = from_predictor
                forecaster = rebuild(assembly, old.prediction_net, old.shape)
            if forecaster.model.partial == "drop":
                spec.require_whole_steps(type(self).__name__)
            windows = source.batches(
                self.batch_size, self.num_batches_per_epoch, device, shuffle_buffer_length
            )
            validation = source.validation(validation_data, self.batch_size, device)
            about = fingerprint(self, spec, seed, validation_data is not None)
            run = TrainingRun(self.checkpoint_dir, about, ckpt_path)
            forecaster = fit(
                forecaster, windows, validation, self.recipe, run, lr=self.lr,
                max_epochs=self.max_epochs, device=device, name=type(self).__name__,
                verbose=self.verbose, trainer_kwargs=self.trainer_kwargs,
            )  # fmt: skip
        predictor = self._predictor(assembly, forecaster)
        predictor.history = run.history
        run.close()
        return TrainOutput(assembly.transformation, forecaster, run.trainer, predictor)

    def _warn_of_patience(self, validation_data: Dataset | None) -> None:
        patience = self.training.patience
        if validation_data is None and patience not in (None, Training().patience):
            warnings.warn(
                f"{type(self).__name__}: training.patience={patience} has no effect without "
                "validation data; give train(..., validation_data=...)",
                stacklevel=5,
            )

    def _spec(self, data: Dataset, predictor: GenerativePredictor | None) -> DataSpec:
        """What the training data hold; when a predictor is trained further, what its data held."""
        spec = infer_spec(data, self.prediction_length, self.support, self.min_history)
        if self.freq is not None and period_frequency(self.freq) != period_frequency(spec.freq):
            raise OptionError(
                type(self).__name__, "freq", self.freq, f"{spec.freq!r}, as the training data are",
                "leave it out, or resample the data",
            )  # fmt: skip
        if predictor is not None:
            return predictor.spec.replace(whole=spec.whole, whole_steps=spec.whole_steps)
        return with_target_statistics(spec, data, Link(self.support, spec.tau), self.scaling)

    def _predictor(self, assembly: Assembly, forecaster: Forecaster) -> GenerativePredictor:
        """The predictor of a trained network."""
        return GenerativePredictor(
            prediction_net=forecaster,
            transformation=assembly.transformation,
            spec=assembly.spec,
            shape=assembly.shape,
            batch_size=self.batch_size,
            num_samples=self.num_parallel_samples,
            device=self.device,
        )
