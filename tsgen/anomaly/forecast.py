"""Any forecaster as a detector."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tsgen.anomaly.detector import Detector, Run
from tsgen.anomaly.scorers import NegativeLogLikelihood, Scorer
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.models import GenerativeModel


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
        holdout: share of the log, its end, that is not trained on: the epoch that does best there
            is kept, and errors there tell what is usual. A network knows the rest by heart.
    """

    estimator: GenerativeEstimator | None = None
    scorer: Scorer = NegativeLogLikelihood()  # noqa: RUF009
    seed: int | None = 0
    holdout: float = 0.2

    def __post_init__(self) -> None:
        """Check the holdout, and that there is an estimator."""
        if not 0 < self.holdout < 1:
            raise ValueError(f"{type(self).__name__}: holdout={self.holdout} must lie in (0, 1)")
        if self._base() is None:
            raise ValueError(
                f"{type(self).__name__}: estimator=None must be an estimator, such as "
                "GaussianEstimator(prediction_length=1, context_length=24)"
            )

    def _base(self) -> GenerativeEstimator | None:
        """The estimator whose options are used; subclasses build their own."""
        return self.estimator

    def prepared(self) -> GenerativeEstimator:
        """The estimator with what the detector takes over."""
        estimator = self._base()
        assert estimator is not None
        context = estimator.context_length or estimator.prediction_length
        horizon = 1 if estimator.decoding == "step" else estimator.prediction_length
        return estimator.replace(
            scaling="none", time_features=(), lags_seq=estimator.lags_seq or (1,),
            context_length=context, prediction_length=horizon,
        )  # fmt: skip

    @property
    def memory(self) -> int:
        """The context, the longest lag, and the event's rows but the last."""
        used = self.prepared()
        assert used.context_length is not None and used.lags_seq is not None
        return used.context_length + max(used.lags_seq) + used.prediction_length - 1

    def _learn(self, runs: list[Run]) -> None:
        """Train on one long series; between runs nothing was observed for as long as it matters."""
        used = self.prepared()
        gap = np.full((self.memory + 1, runs[0].values.shape[1]), np.nan)
        parts, learnt = [], 0
        fresh = np.split(
            self._fresh([len(run.values) for run in runs]),
            np.cumsum([len(run.values) for run in runs])[:-1],
        )
        for run, kept in zip(runs, fresh, strict=True):
            parts += [gap, np.where(run.observed, run.values, np.nan)]
            learnt += len(gap) + int((~kept).sum()) if not kept.all() else 0
        target = np.concatenate(parts[1:]).T
        entry = {"start": pd.Period("2000-01-01", freq="s"), "target": target, "item_id": "log"}
        known = {**entry, "target": target[:, : learnt - len(gap)]}
        self.predictor_: GenerativePredictor = used.train([known], [entry], seed=self.seed)
        self._check_scorer()

    def _fresh(self, lengths: list[int]) -> np.ndarray:
        fresh = np.zeros(sum(lengths), dtype=bool)
        fresh[-max(round(self.holdout * len(fresh)), 1) :] = True
        return fresh

    def _check_scorer(self) -> None:
        self.scorer.check(self.model_)

    def _errors(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            found = self.scorer.errors(self.model_, *self._pairs(values, observed))
        errors = found.double().cpu().numpy()
        return errors if errors.ndim == 2 else errors.mean(1)

    @property
    def model_(self) -> GenerativeModel:
        """The trained model."""
        return self.predictor_.prediction_net.best_forecaster.model

    def _pairs(
        self, values: np.ndarray, observed: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Events (T, *event_shape) of the last T rows, their conditioning, what was observed."""
        predictor = self.predictor_
        forecaster = predictor.prediction_net.best_forecaster.eval()
        shape, device = predictor.shape, torch.device(predictor.device)
        context, past, horizon = shape.context_length, shape.past_length, shape.prediction_length
        count, channels = len(values) - self.memory, values.shape[1]
        data = torch.as_tensor(values, dtype=torch.float32, device=device)
        seen = torch.as_tensor(observed, device=device)
        first = torch.arange(count, device=device)[:, None]
        index = first + torch.arange(past + horizon, device=device)
        rows, known = data[index], seen[index]
        none = data.new_zeros(count, context, channels)
        batch = {
            "past_target": rows[:, :past], "future_target": rows[:, past:],
            "past_observed": known[:, :past], "future_observed": known[:, past:],
            "past_location": none, "past_scale": none + 1,
            "past_known": none[..., :0], "future_known": data.new_zeros(count, horizon, 0),
            "past_covariates": none[..., :0], "static_real": none[:, 0, :0],
            "static_cat": none[:, 0, :0].long(), "center": none[:, 0].double(),
        }  # fmt: skip
        with torch.no_grad():
            pairs = forecaster.pairs(**batch)
            x, cond, mask = pairs.x, pairs.cond, pairs.observed
            if len(forecaster.model.event_shape) == 1:
                x, cond, mask = x[:, -1], cond[:, -1], mask[:, -1]
        return x, cond, mask

    def save(self, path: str | Path) -> None:
        """Write the detector into a folder; see :class:`Detector`."""
        super().save(path)
        self.predictor_.serialize(Path(path) / "model")

    def _restore(self, path: Path) -> None:
        self.predictor_ = GenerativePredictor.deserialize(path / "model")
