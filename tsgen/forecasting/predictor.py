"""The trained model: forecasts, saving and loading."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gluonts.core.serde import decode
from gluonts.dataset import Dataset
from gluonts.dataset.loader import InferenceDataLoader
from gluonts.model.forecast import SampleForecast
from gluonts.torch.batchify import batchify
from gluonts.torch.model.predictor import PyTorchPredictor
from gluonts.transform import SelectFields, Transformation

from tsgen._version import __version__
from tsgen.core import Component, seeded, usable_device
from tsgen.diffusion import Sampler
from tsgen.forecasting.module import ForecastModule
from tsgen.forecasting.scaling import Support
from tsgen.forecasting.spec import DataSpec
from tsgen.forecasting.windows import (
    PREDICTION_FIELDS,
    WindowShape,
    WindowStore,
    create_splitter,
)
from tsgen.models import GenerativeModel

FORMAT = 2
"""Version of the layout of a saved model; raised whenever old folders can no longer be read."""


class GenerativePredictor(Component, PyTorchPredictor):
    """Draws sample paths for every series of a data set.

    Args:
        prediction_net: the trained module.
        transformation: from an entry to arrays.
        spec: what the training data held; decides whether forecasts are (S, H) or (S, H, C).
        shape: lengths of the windows.
        batch_size: series per batch.
        num_samples: paths per series unless ``predict`` is told otherwise.
        device: "auto", "cpu", "cuda", "cuda:1", ...
    """

    def __init__(
        self,
        prediction_net: ForecastModule,
        transformation: Transformation,
        spec: DataSpec,
        shape: WindowShape,
        batch_size: int = 64,
        num_samples: int = 100,
        device: str = "auto",
    ) -> None:
        super().__init__(
            input_names=list(PREDICTION_FIELDS),
            prediction_net=prediction_net,
            batch_size=batch_size,
            prediction_length=shape.prediction_length,
            input_transform=transformation + create_splitter(shape),
            device=device,
        )
        self.spec, self.shape, self.num_samples = spec, shape, num_samples
        self.history: list[dict[str, float]] = []
        """What each epoch of training measured."""

    def predict(
        self, dataset: Dataset, num_samples: int | None = None, seed: int | None = None
    ) -> Iterator[SampleForecast]:
        """Forecast the ``prediction_length`` steps after each series' end, in the data set's order.

        Args:
            dataset: entries as in training; known covariates must reach over the horizon.
            num_samples: paths per series.
            seed: makes the samples repeatable; ``None`` goes on with torch's global generator.

        Yields:
            Forecasts with ``samples`` (S, H, C), or (S, H) for 1-D targets.
        """
        count = self.num_samples if num_samples is None else num_samples
        if count < 1:
            raise ValueError(f"num_samples={num_samples} must be at least 1")
        return self._predict(dataset, count, seed)

    def _predict(self, dataset: Dataset, count: int, seed: int | None) -> Iterator[SampleForecast]:
        loader = InferenceDataLoader(
            dataset,
            transform=self.input_transform
            + SelectFields(
                [*self.input_names, "forecast_start", "item_id", "info"], allow_missing=True
            ),
            batch_size=self.batch_size,
            stack_fn=lambda rows: batchify(rows, self.device),
        )
        self.prediction_net.eval()
        for number, batch in enumerate(loader):
            inputs = {name: batch[name] for name in self.input_names}
            with torch.no_grad(), seeded(seed, number):
                paths = self.prediction_net(num_samples=count, **inputs).cpu().numpy()
            for i, samples in enumerate(paths):
                yield SampleForecast(
                    samples[..., 0] if self.spec.one_dimensional else samples,
                    start_date=batch["forecast_start"][i],
                    item_id=batch["item_id"][i],
                    info=batch["info"][i],
                )

    @property
    def support(self) -> Support:
        """Where sampled values can be."""
        return self.prediction_net.best_forecaster.link.support

    @property
    def has_log_prob(self) -> Literal["exact", "bound", "none"]:
        """What :meth:`log_prob` returns; of dequantised whole numbers it is a lower bound."""
        forecaster = self.prediction_net.best_forecaster
        kind = forecaster.model.has_log_prob
        return "bound" if kind == "exact" and forecaster.link.is_quantised else kind

    def log_prob(self, dataset: Dataset) -> np.ndarray:
        """Log density of the last ``prediction_length`` steps of each series given those before.

        Args:
            dataset: entries that hold history and truth; missing values are marginalised, and where
                the model cannot do that the window's log density is NaN.

        Returns:
            (entries,), on the data's own scale.

        Raises:
            NotImplementedError: if the model has no density, see :attr:`has_log_prob`.
        """
        horizon, forecaster = self.shape.prediction_length, self.prediction_net.best_forecaster
        entries = list(self.__init_args__["transformation"].apply(dataset, is_train=True))
        lengths = [e["target"].shape[1] - self.shape.past_length for e in entries]
        for entry, length in zip(entries, lengths, strict=True):
            if length <= horizon:
                raise ValueError(
                    f"series {entry['item_id']!r} has {length} steps; a log density needs more "
                    f"than prediction_length={horizon}"
                )
        starts = [np.array([length - horizon]) for length in lengths]
        store = WindowStore(entries, self.shape, self.device, starts)
        self.prediction_net.eval()
        found = []
        for index in torch.arange(len(entries)).split(self.batch_size):
            batch = store.gather(index)
            with torch.no_grad(), seeded(0, int(index[0])):
                values = forecaster.log_prob(**batch)
            values = values if values.dim() == 1 else values[:, -horizon:].sum(1)
            if forecaster.model.partial != "marginal":
                whole = batch["future_observed"].flatten(1).all(1)
                values = torch.where(whole, values, torch.nan)
            found.append(values.double().cpu().numpy())
        return np.concatenate(found)

    def with_sampler(self, sampler: Sampler) -> "GenerativePredictor":
        """A copy that draws with another sampler; it is saved and loaded with it.

        Raises:
            ValueError: if the model has no sampler or cannot use this one.
        """
        changed = copy.deepcopy(self)
        for part in changed.prediction_net.modules():
            if isinstance(part, GenerativeModel):
                part.use_sampler(sampler)
        return changed

    def serialize(self, path: Path) -> None:
        """Write the model into a folder: JSON and weights, no pickled code."""
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        super().serialize(path)
        about = {"tsgen": __version__, "format": FORMAT, "history": self.history}
        (path / "tsgen.json").write_text(json.dumps(about, indent=1))

    @classmethod
    def deserialize(
        cls, path: Path, device: str | None = None, **kwargs: Any
    ) -> "GenerativePredictor":
        """Read a model from a folder, onto any device.

        Raises:
            ValueError: if the folder is not a saved model or is of another format.
        """
        path = Path(path)
        try:
            about = json.loads((path / "tsgen.json").read_text())
        except FileNotFoundError:
            raise ValueError(
                f"{str(path)!r} holds no model saved by tsgen (tsgen.json is missing)"
            ) from None
        if about["format"] != FORMAT:
            raise ValueError(
                f"{str(path)!r} was saved by tsgen {about['tsgen']} in format {about['format']}; "
                f"this is tsgen {__version__}, which reads format {FORMAT}"
            )
        described = json.loads((path / "predictor.json").read_text())
        trained_on = described["kwargs"]["device"]
        if device is not None:
            described["kwargs"]["device"] = str(usable_device(device))
        elif not _is_usable(trained_on):
            described["kwargs"]["device"] = "auto"
        predictor = decode(described)
        weights = torch.load(
            path / "prediction-net-state.pt", map_location=predictor.device, weights_only=True
        )
        predictor.prediction_net.load_state_dict(weights)
        predictor.history = about["history"]
        return predictor


def _is_usable(device: str) -> bool:
    try:
        usable_device(device)
    except ValueError:
        return False
    return True
