"""A trained peer."""

import inspect
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gluonts.dataset import Dataset
from gluonts.model.forecast import SampleForecast
from gluonts.model.predictor import Predictor, RepresentablePredictor

from tsgen.core import OptionError, seeded_everywhere, single_precision, usable_device
from tsgen.data.entries import Entry
from tsgen.data.paths import paths_of, sample_forecast
from tsgen.data.splits import length_of
from tsgen.estimators.peers.foreign import peer_parts
from tsgen.estimators.peers.parts import split_channels
from tsgen.forecasting.data.entry import check_covariate_length, read_entry
from tsgen.forecasting.training.quiet import quiet
from tsgen.storage import (
    PREDICTOR_FILES,
    PREDICTOR_JSON,
    SavedFolder,
    damage_told,
    load_weights,
    save_weights,
    write_manifest,
)

_ABOUT, _WEIGHTS = "peer.json", "weights.safetensors"


class PeerPredictor(Predictor):
    """A trained peer; every forecast of it is made of sample paths.

    Args:
        predictor: GluonTS' own.
        num_channels: C of the training data.
        one_dimensional: whether forecasts are (S, H) or (S, H, C).
        channelwise: whether each channel is a series of its own.
        num_samples: paths per series unless ``predict`` is told otherwise.
    """

    def __init__(
        self,
        predictor: Predictor,
        num_channels: int,
        one_dimensional: bool,
        channelwise: bool = True,
        num_samples: int = 100,
    ) -> None:
        super().__init__(predictor.prediction_length)
        for name, value in (("num_channels", num_channels), ("num_samples", num_samples)):
            if not isinstance(value, int) or value < 1:
                raise OptionError("PeerPredictor", name, value, "at least 1")
        self.predictor = predictor
        self.num_channels, self.one_dimensional = num_channels, one_dimensional
        self.channelwise, self.num_samples = channelwise, num_samples

    def predict(
        self, dataset: Dataset, num_samples: int | None = None, seed: int | None = None
    ) -> Iterator[SampleForecast]:
        """Forecast after the end of each series, in the data set's order.

        Args:
            dataset: entries as in training; known covariates must reach over the horizon.
            num_samples: paths per series.
            seed: makes the samples repeatable; ``None`` goes on with the global generators.

        Yields:
            Forecasts with ``samples`` (S, H, C), or (S, H) for 1-D targets. Where a model forecasts
            marginal laws, as PatchTST does, its paths are independent over steps and channels.
        """
        count = self.num_samples if num_samples is None else num_samples
        if count < 1:
            raise OptionError("", "num_samples", num_samples, "at least 1")
        return self._predict(dataset, count, seed)

    def _predict(self, dataset: Dataset, count: int, seed: int | None) -> Iterator[SampleForecast]:
        width = self.num_channels if self.channelwise else 1
        batch = max(1, getattr(self.predictor, "batch_size", 32) // width)
        entries = enumerate(dataset)
        # a whole batch at once, for GluonTS leaves gradients off between two forecasts
        for number in itertools.count():
            rows = [self._checked(e, i) for i, e in itertools.islice(entries, batch)]
            if not rows:
                return
            parts = list(split_channels(rows, self.prediction_length, self.channelwise))
            with (
                seeded_everywhere(seed, number),
                quiet("gluonts", "lightning"),
                single_precision(),
            ):
                takes = inspect.signature(self.predictor.predict).parameters
                options = {"num_samples": count} if "num_samples" in takes else {}
                predicted = self.predictor.predict(parts, **options)
                samples = [paths_of(forecast, count) for forecast in predicted]
            for i, entry in enumerate(rows):
                paths = np.stack(samples[i * width : (i + 1) * width], -1)
                paths = paths if self.channelwise else paths[..., 0]
                start = entry["start"] + length_of(entry)
                yield sample_forecast(paths, start, entry, self.one_dimensional)

    def _checked(self, entry: Entry, number: int) -> Entry:
        read = read_entry(entry, number)
        if len(read["target"]) != self.num_channels:
            raise ValueError(
                f"{read['where']}: target has {len(read['target'])} channels, the model was "
                f"trained on {self.num_channels}"
            )
        check_covariate_length(read, read["target"].shape[1], self.prediction_length)
        return entry

    def serialize(self, path: Path) -> None:
        """Write the predictor into a folder, GluonTS' own into a folder inside."""
        path, inner = Path(path), Path(path) / "model"
        inner.mkdir(parents=True, exist_ok=True)
        super().serialize(path)
        options = ("num_channels", "one_dimensional", "channelwise", "num_samples")
        (path / _ABOUT).write_text(json.dumps({name: getattr(self, name) for name in options}))
        RepresentablePredictor.serialize(self.predictor, inner)  # without GluonTS' way of weights
        names = [PREDICTOR_FILES[0], _ABOUT, *(f"model/{name}" for name in PREDICTOR_FILES)]
        if hasattr(self.predictor, "prediction_net"):
            save_weights(inner / _WEIGHTS, self.predictor.prediction_net)
            names.append(f"model/{_WEIGHTS}")
        write_manifest(path, names)

    @classmethod
    def deserialize(cls, path: Path, device: str | None = None, **kwargs: Any) -> "PeerPredictor":
        """Read a predictor from a folder, onto any device.

        Raises:
            ValueError: in one line, if the folder holds no peer, is damaged, or names what is no
                part of a forecaster of GluonTS.
        """
        path = Path(path)
        place = None if device is None else usable_device(device)
        with damage_told(path):
            folder = SavedFolder(path, _ABOUT)
            options = folder.json(_ABOUT)
            file = f"model/{_WEIGHTS}"
            weights = file if (path / file).is_file() else None
            described = folder.json(f"model/{PREDICTOR_JSON}")
            with quiet("gluonts", "lightning"):
                predictor = folder.build(described, Predictor, weights, peer_parts())
            if hasattr(predictor, "prediction_net"):  # else its weights would be at random
                load_weights(path / file, predictor.prediction_net)
            if place is not None and hasattr(predictor, "to"):
                predictor.to(place)
            return cls(predictor, **options)
