"""Any GluonTS estimator behind the interface of this library's."""

import copy
import importlib
import inspect
import signal
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from gluonts.dataset import Dataset
from gluonts.exceptions import GluonTSDataError
from gluonts.model.estimator import Estimator
from gluonts.model.predictor import Predictor
from gluonts.torch.model.predictor import PyTorchPredictor

from tsgen.core import (
    Count,
    OptionError,
    Options,
    parse_device,
    seeded_everywhere,
    single_precision,
    usable_device,
)
from tsgen.core.seeding import give_way
from tsgen.estimators.peers.parts import split_channels
from tsgen.estimators.peers.predictor import PeerPredictor
from tsgen.forecasting.data.spec import DataSpec, infer_spec, read_again
from tsgen.forecasting.training.quiet import quiet

_MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "deepar": ("gluonts.torch.model.deepar", "DeepAREstimator", {}),
    "patchtst": ("gluonts.torch.model.patch_tst", "PatchTSTEstimator", {"patch_len": 16}),
    "tft": ("gluonts.torch.model.tft", "TemporalFusionTransformerEstimator", {}),
}
"""Module, class and the options that the class has no default for."""


_LIMIT = 2 * 1024**3  # bytes of a generator's entries


class _Failure(pl.Callback):
    """Remembers what ended a training: GluonTS goes on with the last checkpoint in silence.

    And gives other threads their turn between batches.
    """

    error: BaseException | None = None

    def on_train_batch_start(self, *args: Any) -> None:
        give_way()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self.error = exception


def _train(estimator: Estimator, failure: _Failure, *data: Any, **options: Any) -> Predictor:
    """Train, raise what went wrong, and leave Ctrl-C as it was."""
    main_thread = threading.current_thread() is threading.main_thread()
    on_interrupt = signal.getsignal(signal.SIGINT) if main_thread else None
    try:
        predictor = estimator.train(*data, **options)
    except GluonTSDataError as error:
        raise ValueError(
            f"{type(estimator).__name__} does not take the data: {error}; most models take one "
            "channel a series, which is channelwise=True"
        ) from error
    except SystemExit as stop:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from stop
    finally:
        if main_thread:
            signal.signal(signal.SIGINT, on_interrupt)
    if failure.error is not None:
        raise failure.error
    return predictor


class PeerEstimator(Options, Estimator):
    """Any GluonTS estimator, for targets of any number of channels.

    What the model's constructor can take and the data tell is filled in unless given: ``freq``,
    ``num_feat_dynamic_real``, ``num_feat_static_real``, ``num_feat_static_cat`` and
    ``cardinality``. A model that has none of these leaves such covariates unused. Missing values
    stay NaN: each model treats them in its own way.

    Args:
        prediction_length: H.
        model: "deepar" (Salinas et al. 2020), "patchtst" (Nie et al. 2023), "tft" (Lim et al.
            2021); or an estimator class, a ``functools.partial`` of one, or a made estimator.
        options: further arguments of the model's constructor.
        max_epochs: epochs; the model's own number (100) if not given.
        channelwise: whether each channel is a series of its own; ``False`` for the few models of
            GluonTS that take (C, T).
        num_parallel_samples: paths per forecast unless ``predict`` is told otherwise.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...
        verbose: whether Lightning may show its progress.
    """

    prediction_length: Count
    model: Any = "deepar"
    options: dict[str, Any] | None = None
    max_epochs: Count | None = None
    channelwise: bool = True
    num_parallel_samples: Count = 100
    device: str = "auto"
    verbose: bool = False

    def __post_init__(self) -> None:
        """Check the options against the model's constructor."""
        self.lead_time = 0
        name = type(self).__name__
        parse_device(self.device)
        if isinstance(self.model, str):
            if self.model not in _MODELS:
                raise OptionError(
                    name, "model", self.model, f"one of {', '.join(sorted(_MODELS))}",
                    "of any other estimator of GluonTS give the class",
                )  # fmt: skip
        elif isinstance(self.model, Estimator):
            length = getattr(self.model, "prediction_length", self.prediction_length)
            if length != self.prediction_length or self.options or self.max_epochs:
                raise ValueError(
                    f"{name}: model={type(self.model).__name__}(prediction_length={length}) is "
                    f"made already; prediction_length={self.prediction_length} must be the same, "
                    "and options and max_epochs be left to it"
                )
            return
        elif not callable(self.model):
            expected = "a name, an estimator class or an estimator"
            raise OptionError(name, "model", self.model, expected)
        maker, _ = self._maker()
        called = getattr(maker, "__name__", repr(maker))
        takes = inspect.signature(maker).parameters
        if any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            return
        for option, value in (self.options or {}).items():
            if option not in takes:
                raise ValueError(
                    f"{name}: options[{option!r}]={value!r} is no option of {called}, "
                    f"which has {', '.join(takes)}"
                )

    @single_precision()
    def train(
        self,
        training_data: Dataset,
        validation_data: Dataset | None = None,
        shuffle_buffer_length: int | None = None,
        cache_data: bool = False,
        ckpt_path: str | None = None,
        seed: int | None = None,
    ) -> "PeerPredictor":
        """Train one network on all channels of all series.

        Args:
            training_data: entries with ``start`` and ``target`` (T,) or (C, T).
            validation_data: like it; GluonTS then keeps the epoch with the best loss on it.
            shuffle_buffer_length: see GluonTS.
            cache_data: see GluonTS.
            ckpt_path: see GluonTS.
            seed: makes the training repeatable; ``None`` goes on with the global generators.

        Raises:
            ValueError: for data or options that do not fit, before training starts.
        """
        usable_device(self.device)
        training_data = read_again(training_data, _LIMIT)
        spec = infer_spec(training_data, self.prediction_length)
        parts = list(split_channels(training_data, 0, self.channelwise))
        held_out = (
            None
            if validation_data is None
            else list(split_channels(validation_data, 0, self.channelwise))
        )
        with tempfile.TemporaryDirectory(prefix="tsgen-") as folder, quiet("gluonts", "lightning"):
            failure = _Failure()
            estimator = self._build(spec, folder, failure)
            takes = inspect.signature(estimator.train).parameters
            arguments = {
                "shuffle_buffer_length": shuffle_buffer_length,
                "cache_data": cache_data,
                "ckpt_path": ckpt_path,
            }
            arguments = {k: v for k, v in arguments.items() if k in takes and v}
            with seeded_everywhere(seed):
                predictor = _train(estimator, failure, parts, held_out, **arguments)
        if isinstance(predictor, PyTorchPredictor):
            predictor.to(usable_device(self.device))
        return PeerPredictor(
            predictor,
            num_channels=spec.num_channels,
            one_dimensional=spec.one_dimensional,
            channelwise=self.channelwise,
            num_samples=self.num_parallel_samples,
        )

    def _maker(self) -> tuple[Callable[..., Estimator], dict[str, Any]]:
        """The class, or what stands for it, and the options it lacks a default for."""
        if not isinstance(self.model, str):
            return self.model, {}
        module, name, defaults = _MODELS[self.model]
        return getattr(importlib.import_module(module), name), defaults

    def _build(self, spec: DataSpec, folder: str, failure: _Failure) -> Estimator:
        """GluonTS' estimator for such data, which writes nowhere but into a folder."""
        if isinstance(self.model, Estimator):
            peer: Any = copy.copy(self.model)
            if hasattr(peer, "trainer_kwargs"):
                peer.trainer_kwargs = self._trainer(peer.trainer_kwargs, folder, failure)
            return peer
        maker, defaults = self._maker()
        of_data = {
            "prediction_length": self.prediction_length,
            "freq": spec.freq,
            "num_parallel_samples": self.num_parallel_samples,
            "num_feat_dynamic_real": len(spec.future_mean),
            "num_feat_static_real": len(spec.static_mean),
            "num_feat_static_cat": len(spec.cardinality),
            "cardinality": list(spec.cardinality) or None,
        }
        takes = inspect.signature(maker).parameters
        bound = getattr(maker, "keywords", {})
        options = {
            k: v for k, v in {**of_data, **defaults}.items() if k in takes and k not in bound
        }
        options |= self.options or {}
        if "trainer_kwargs" in takes:
            own = dict(options.get("trainer_kwargs") or bound.get("trainer_kwargs") or {})
            if self.max_epochs is not None:
                own["max_epochs"] = self.max_epochs
            options["trainer_kwargs"] = self._trainer(own, folder, failure)
        return maker(**options)

    def _trainer(
        self, kwargs: dict[str, Any] | None, folder: str, failure: _Failure
    ) -> dict[str, Any]:
        device = usable_device(self.device)
        usual = {
            "default_root_dir": folder,
            "logger": False,
            "enable_progress_bar": self.verbose,
            "enable_model_summary": False,
            "accelerator": "gpu" if device.type == "cuda" else device.type,
            "devices": [device.index or 0] if device.type == "cuda" else 1,
        }
        chosen = {**usual, **(kwargs or {})}
        return {**chosen, "callbacks": [*(chosen.get("callbacks") or []), failure]}
