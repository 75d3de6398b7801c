"""Any forecaster as a detector."""

import functools
import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from typing_extensions import override

from tsgen.anomaly.actuators import Actuators
from tsgen.anomaly.detector import Detector
from tsgen.anomaly.runs import Run
from tsgen.anomaly.scorers import NegativeLogLikelihood, Scorer
from tsgen.core import OptionError, between, seeded
from tsgen.forecasting.data.window import Stretch, Window
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.models import GenerativeModel
from tsgen.storage import MANIFEST

_PIECES = 10
_ROWS, _PATHS = 256, 100  # of which samples are drawn at a time, and how many


class ForecastDetector(Detector):
    """Scores what a forecaster did not expect.

    The estimator learns p(row | the rows before it) from the normal log; the scorer says how far a
    row is from it. The detector has standardised the channels by the training data, so it takes
    over what would follow the test data around: ``scaling`` is "none", there is no calendar and no
    age, and ``lags_seq`` is (1,) unless given. With ``decoding="horizon"`` the event is the last
    ``prediction_length`` rows, its error the mean over them, and the past ends before it; with
    ``decoding="step"`` it is the row, and ``prediction_length`` is 1.

    Args:
        readout: how scores are read off the errors.
        threshold: where alarms begin.
        policy: how scores become alarms.
        estimator: of any family.
        scorer: what is measured.
        seed: of the training.
        holdout: share of the log that is not trained on, the ends of ten pieces of it: the epoch
            that does best there is taken, and errors there tell what is usual. A network knows the
            rest by heart.
        actuators: channels that are switched rather than measured, by name, or "auto" for those of
            at most ten states: their states, now and in the last rows, are discrete inputs of
            the model. Their own error is the squared distance from the nearest state that was
            learnt: an attack on one shows in what it drives.
        predict_actuators: whether they are predicted like other channels all the same (then the
            present state is no input).
    """

    estimator: GenerativeEstimator | None = None
    scorer: Scorer = NegativeLogLikelihood()  # noqa: RUF009
    seed: int | None = 0
    holdout: Annotated[float, between(0, 1, "()")] = 0.2
    actuators: tuple[str, ...] | Literal["auto"] = ()
    predict_actuators: bool = False

    learned: ClassVar[tuple[str, ...]] = ("actuators_", "states_")

    def __post_init__(self) -> None:
        """Check that there is an estimator."""
        if self._base() is None:
            example = "GaussianEstimator(prediction_length=1, context_length=24)"
            expected = f"an estimator, such as {example}"
            raise OptionError(type(self).__name__, "estimator", None, expected)
        for text in self.options_without_effect():
            warnings.warn(f"{type(self).__name__}: {text}", stacklevel=4)

    @override
    def options_without_effect(self) -> Iterator[str]:
        if self.estimator is None:
            return
        usual = type(self.estimator).__dataclass_fields__
        for name, value in self._taken_over(self.estimator).items():
            own = getattr(self.estimator, name)
            if own not in (value, usual[name].default):
                yield (
                    f"estimator.{name}={own!r} has no effect, the detector takes {value!r}; leave "
                    "it out"
                )

    def _base(self) -> GenerativeEstimator | None:
        """The estimator whose options are used; subclasses build their own."""
        return self.estimator

    @functools.cached_property
    def inner_estimator(self) -> GenerativeEstimator:
        """The estimator with what the detector takes over."""
        estimator = self._base()
        assert estimator is not None
        return estimator.replace(**self._taken_over(estimator))

    @staticmethod
    def _taken_over(estimator: GenerativeEstimator) -> dict[str, Any]:
        """Options that a detector sets, whatever the estimator's are."""
        context = estimator.context_length or estimator.prediction_length
        horizon = 1 if estimator.decoding == "step" else estimator.prediction_length
        changes: dict[str, Any] = {
            "scaling": "none", "time_features": (), "lags_seq": estimator.lags_seq or (1,),
            "context_length": context, "prediction_length": horizon,
        }  # fmt: skip
        options = estimator.__init_args__  # some families set context and lags by other options
        return {k: v for k, v in changes.items() if k in options}

    @property
    @override
    def memory(self) -> int:
        """The context, the longest lag, and the event's rows but the last."""
        used = self.inner_estimator
        assert used.context_length is not None and used.lags_seq is not None
        return used.context_length + max(used.lags_seq) + used.prediction_length - 1

    @override
    def _learn(self, runs: list[Run]) -> None:
        actuators = Actuators.find(
            [run.values for run in runs],
            [run.observed for run in runs],
            self.names_,
            self.actuators,
        )
        self.actuators_, self.states_ = actuators.index, actuators.states
        if not len(self.predicted_):
            raise OptionError(
                type(self).__name__, "predict_actuators", False, "True",
                f"all {len(self.names_)} channels are actuators; nothing else is left to predict",
            )  # fmt: skip
        used = self.inner_estimator
        lead = () if used.decoding == "step" else (used.prediction_length,)
        with seeded(0):
            self.scorer.check(used.build_model((*lead, len(self.predicted_)), (*lead, 4)))
        pieces = [(run, *piece) for run in runs for piece in self._pieces(len(run.values))]
        training = self._entry([(run, first, middle) for run, first, middle, _ in pieces])
        held = self._entry([(run, middle, last) for run, _, middle, last in pieces])
        self.predictor_: GenerativePredictor = used.train(
            [{**training, "item_id": "known"}], [{**held, "item_id": "held"}], seed=self.seed
        )
        gc.collect()  # what the training held is a circle of references, as large as the log

    def _entry(self, pieces: list[tuple[Run, int, int]]) -> dict[str, Any]:
        """One long series of rows of runs; between them, nothing for as long as it matters.

        The actuators' states are covariates that are known ahead.
        """
        gap = self.memory + 1
        length = sum(last - first + gap for _, first, last in pieces) - gap
        target = np.full((len(self.predicted_), length), np.nan)
        features, start = None, 0
        for run, first, last in pieces:
            stop = start + last - first
            mask = run.observed[first:last, self.predicted_]
            np.copyto(target.T[start:stop], run.values[first:last, self.predicted_], where=mask)
            if len(self.actuators_):
                before = np.zeros((max(self.memory - first, 0), run.values.shape[1]))
                past = run.values[max(first - self.memory, 0) : last]
                states = self.actuator_features(np.concatenate([before, past]))[self.memory :]
                if features is None:
                    features = np.zeros((states.shape[1], length))
                features[:, start:stop] = states.T
            start = stop + gap
        entry = {"start": pd.Period("2000-01-01", freq="s"), "target": target}
        if features is None or not len(features):
            return entry
        return {**entry, "feat_dynamic_real": features}

    @property
    def predicted_(self) -> np.ndarray:
        """Numbers of the channels that the model predicts."""
        every = np.arange(len(self.names_))
        return every if self.predict_actuators else np.setdiff1d(every, self.actuators_)

    def actuator_features(self, values: np.ndarray) -> np.ndarray:
        """The model's inputs of the actuators at each row of values (T, C), (T, K).

        They are the states now, unless actuators are predicted, and as far back as the longest lag.
        """
        lags = self.inner_estimator.lags_seq or (1,)
        rows = range(1 if self.predict_actuators else 0, max(lags) + 1)
        return Actuators(self.actuators_, self.states_).encode(values, rows)

    @override
    def _fresh(self, lengths: list[int]) -> np.ndarray:
        fresh = []
        for length in lengths:
            fresh.append(np.zeros(length, dtype=bool))
            for _, middle, last in self._pieces(length):
                fresh[-1][middle:last] = True
        return np.concatenate(fresh)

    def _pieces(self, length: int) -> list[tuple[int, int, int]]:
        """Where each piece of a run begins, ceases to be trained on, and ends.

        Ten, if each holds out as many rows as four times an error depends on; else fewer.
        """
        count = int(self.holdout * length / (4 * (self.memory + 1)))
        edges = np.linspace(0, length, min(max(count, 1), _PIECES) + 1).astype(int)
        cuts = edges[1:] - np.maximum((self.holdout * np.diff(edges)).astype(int), 1)
        return [(int(a), int(m), int(b)) for a, m, b in zip(edges, cuts, edges[1:], strict=False)]

    @override
    def errors(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        with seeded(0), self.predictor_.inference():
            scored = self.scorer.errors(self.model_, *self._pairs(values, observed))
        errors = scored.double().cpu().numpy()
        errors = errors if errors.ndim == 2 else errors.mean(1)
        if self.predict_actuators or not len(self.actuators_):
            return errors
        every = np.empty((len(errors), values.shape[1]))
        every[:, self.predicted_] = errors
        every[:, self.actuators_] = Actuators(self.actuators_, self.states_).strangeness(
            values[self.memory :]
        )
        return every

    @override
    def _band(self, values: np.ndarray, observed: np.ndarray, level: float) -> np.ndarray:
        band = np.full((2, len(values) - self.memory, values.shape[1]), np.nan)
        ends = torch.tensor([(1 - level) / 2, (1 + level) / 2])
        for first in range(0, band.shape[1], _ROWS):
            rows = slice(first, min(first + _ROWS, band.shape[1]))
            piece = slice(first, rows.stop + self.memory)
            with seeded(0), self.predictor_.inference():
                cond = self._pairs(values[piece], observed[piece])[1]
                samples = self.model_.sample(cond, (_PATHS,))
            if samples.dim() == 4:
                samples = samples[:, :, -1]  # of a horizon, the row itself
            quantiles = samples.float().cpu().quantile(ends, dim=0)
            band[:, rows, self.predicted_] = quantiles.double().numpy()
        return band

    @property
    def model_(self) -> GenerativeModel:
        """The trained model."""
        return self.predictor_.prediction_net.model

    def _pairs(
        self, values: np.ndarray, observed: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Events (T, *event_shape) of the last T rows, their conditioning, what was observed."""
        predictor = self.predictor_
        forecaster = predictor.prediction_net.eval()
        shape, device = predictor.shape, torch.device(predictor.device)
        context, past, horizon = shape.context_length, shape.past_length, shape.prediction_length
        count, channels = len(values) - self.memory, len(self.predicted_)
        data = torch.as_tensor(values[:, self.predicted_], dtype=torch.float32, device=device)
        recorded = torch.as_tensor(observed[:, self.predicted_], device=device)
        mean, deviation = np.array(predictor.spec.future_mean), np.array(predictor.spec.future_std)
        features = values[:, :0]
        if len(self.actuators_):
            features = (self.actuator_features(values) - mean) / deviation
        states = torch.as_tensor(features, dtype=torch.float32, device=device)
        first = torch.arange(count, device=device)[:, None]
        index = first + torch.arange(past + horizon, device=device)
        rows, mask = data[index], recorded[index]
        recent = states[index[:, past - context :]]
        none = data.new_zeros(count, context, channels)
        ahead = data.new_zeros(count, horizon, channels)
        window = Window(
            Stretch(
                rows[:, :past], mask[:, :past], none, none + 1, recent[:, :context], none[..., :0]
            ),
            Stretch(
                rows[:, past:], mask[:, past:], ahead, ahead + 1, recent[:, context:],
                ahead[..., :0],
            ),
            none[:, 0, :0], none[:, 0, :0].long(), none[:, 0].double(),
        )  # fmt: skip
        with torch.no_grad():
            pairs = forecaster.pairs(window)
            x, cond, mask = pairs.x, pairs.cond, pairs.observed
            if len(forecaster.model.event_shape) == 1:
                x, cond, mask = x[:, -1], cond[:, -1], mask[:, -1]
        return x, cond, mask

    @override
    def _write_more(self, path: Path) -> tuple[str, ...]:
        self.predictor_.serialize(path / "model")
        return (f"model/{MANIFEST}",)

    @override
    def _restore(self, path: Path, device: str | None) -> None:
        self.predictor_ = GenerativePredictor.deserialize(path / "model", device)

    @override
    def _check_learned(self) -> None:
        channels, indices = len(self.names_), self.actuators_
        if indices.ndim != 1 or not np.isin(indices, np.arange(channels)).all():
            raise ValueError(f"its actuators are the channels {indices} of {channels}")
        events, shape = self.model_.event_shape, self.predictor_.shape
        if events[-1] != len(self.predicted_):
            raise ValueError(
                f"its model has events {tuple(events)}, for {len(self.predicted_)} channels"
            )
        if shape.past_length + shape.prediction_length - 1 != self.memory:
            raise ValueError(
                f"its model sees {shape.past_length} rows and scores {shape.prediction_length}, "
                f"the detector gives it {self.memory} rows before each"
            )
