"""The trained model: forecasts, saving and loading."""

import copy
from collections.abc import Iterator, Sequence, Sized
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gluonts.dataset import Dataset
from gluonts.itertools import batcher
from gluonts.model.forecast import SampleForecast
from gluonts.transform import Transformation

from tsgen.core import Component, parse_device, usable_device
from tsgen.data.paths import sample_forecast
from tsgen.diffusion import Guidance, LangevinSampler, Sampler
from tsgen.forecasting.conditional import Horizons, impute, read_horizons, resolve_guidance
from tsgen.forecasting.data.fields import stack_windows
from tsgen.forecasting.data.spec import DataSpec
from tsgen.forecasting.data.stream import create_splitter
from tsgen.forecasting.data.window import WindowShape
from tsgen.forecasting.density import log_densities
from tsgen.forecasting.drawing import Drawing
from tsgen.forecasting.files import read_predictor, write_network
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.pairs import HorizonGiven
from tsgen.forecasting.target.links import Support
from tsgen.models import GenerativeModel
from tsgen.models.base import LogProb
from tsgen.storage import SavedPredictor


class GenerativePredictor(Component, SavedPredictor):
    """Draws sample paths for every series of a data set.

    It has the interface of GluonTS' ``PyTorchPredictor`` but needs nothing of what trains: reading
    a saved model and forecasting imports neither Lightning nor ``gluonts.torch``.

    Args:
        prediction_net: the trained network.
        transformation: from an entry to arrays.
        spec: what the training data held; decides whether forecasts are (S, H) or (S, H, C).
        shape: lengths of the windows.
        batch_size: series per batch.
        num_samples: paths per series unless ``predict`` is told otherwise.
        device: "auto", "cpu", "cuda", "cuda:1", ...
    """

    def __init__(
        self,
        prediction_net: Forecaster,
        transformation: Transformation,
        spec: DataSpec,
        shape: WindowShape,
        batch_size: int = 64,
        num_samples: int = 100,
        device: str = "auto",
    ) -> None:
        super().__init__(shape.prediction_length)
        for name, value in (("batch_size", batch_size), ("num_samples", num_samples)):
            if value < 1:
                raise ValueError(f"GenerativePredictor: {name}={value} must be at least 1")
        self.device = parse_device(device)
        self.prediction_net = prediction_net.to(self.device)
        self.input_transform = transformation + create_splitter(
            shape, has_times=spec.median_gap is not None
        )
        self.spec, self.shape = spec, shape
        self.batch_size, self.num_samples = batch_size, num_samples
        self.history: list[dict[str, float]] = []
        """What each epoch of training measured."""

    def predict(
        self, dataset: Dataset, num_samples: int | None = None, seed: int | None = None
    ) -> Iterator[SampleForecast]:
        """Forecast the ``prediction_length`` steps after each series' end, in the data set's order.

        Several threads may forecast at once, with this predictor or others: batches are drawn one
        at a time (see :mod:`tsgen.core.seeding`), and under a seed each thread gets what it gets
        alone, as does a forked process. What changes a predictor (``to``, ``use_sampler``) must not
        run beside its forecasts.

        Args:
            dataset: entries as in training; known covariates must reach over the horizon.
            num_samples: paths per series.
            seed: makes the samples repeatable; ``None`` goes on with torch's global generator.

        Yields:
            Forecasts with ``samples`` (S, H, C), or (S, H) for 1-D targets.
        """
        return self._predict(dataset, self._count(num_samples), seed)

    def forecast(
        self,
        dataset: Dataset,
        given: Sequence[np.ndarray] | None = None,
        nudge: Sequence[np.ndarray] | None = None,
        strength: float | None = None,
        guidance: Guidance | None = None,
        num_samples: int | None = None,
        seed: int | None = None,
    ) -> Iterator[SampleForecast]:
        """Forecast as :meth:`predict` with a part of each horizon known, or from a guess.

        For diffusion models with ``decoding="horizon"``.

        Args:
            dataset: entries as for :meth:`predict`.
            given: what is known of each entry's horizon, (C, H), or (H,) for 1-D targets, NaN where
                nothing is; it comes back in every sample path as it is.
            nudge: for each entry a whole horizon to start from, of that shape: it is noised to the
                level of diffusion time ``strength`` and drawn anew from there (Meng et al. 2022,
                SDEdit), so that paths keep its coarse course.
            strength: in (0, 1], .5 if ``None``; near 0 the guess comes back, at 1 little is left of
                it.
            guidance: how to condition on what is given; see :mod:`tsgen.diffusion.guidance`. By
                default :class:`~tsgen.diffusion.ClassifierFree` for a model that was trained with
                ``given=Given(rate)`` and :class:`~tsgen.diffusion.Reconstruction` for others.
            num_samples: paths per series.
            seed: makes the samples repeatable.

        Yields:
            Forecasts with ``samples`` (S, H, C), or (S, H) for 1-D targets.

        Raises:
            ValueError: if the model cannot, or what is known does not fit the entries.
        """
        count = self._count(num_samples)
        for name, value, needed, source in (
            ("strength", strength, "nudge", nudge), ("guidance", guidance, "given", given),
        ):  # fmt: skip
            if value is not None and source is None:
                raise ValueError(f"{name}={value!r} does nothing without {needed}")
        strength = 0.5 if strength is None else strength
        if not 0 < strength <= 1:
            raise ValueError(f"strength={strength} must lie in (0, 1]")
        if given is None and nudge is None:
            return self._predict(dataset, count, seed)
        if not isinstance(dataset, Sized):
            raise ValueError("dataset must have a length; a stream has no entries to name")
        horizons = read_horizons(self._drawing, len(dataset), given, nudge)
        chosen = resolve_guidance(self._drawing, guidance)
        return self._predict(dataset, count, seed, horizons._replace(strength=strength), chosen)

    def impute(
        self,
        dataset: Dataset,
        guidance: Guidance | None = None,
        num_samples: int | None = None,
        seed: int | None = None,
    ) -> Iterator[SampleForecast]:
        """Draw the missing values of each series; observed ones stay as they are.

        For diffusion models with ``decoding="horizon"``. Series are worked through in blocks of
        ``prediction_length`` that overlap by two thirds: a block is drawn given what was observed
        in it and what the path holds already, and keeps all but its last third, which the next
        block draws with more behind it. The history before a block is seen as it was observed. A
        model that was trained with ``given=Given(rate)`` (and, for holes in a series' first step,
        ``min_history=0``) does this best.

        Args:
            dataset: entries whose targets have NaN where a value is to be drawn.
            guidance: as for :meth:`forecast`.
            num_samples: paths per series.
            seed: makes the samples repeatable.

        Yields:
            For each entry the whole series: ``samples`` (S, T, C), or (S, T), from its first step.

        Raises:
            ValueError: if the model cannot, or a value of a series' first step is missing and the
                model needs a history.
        """
        return impute(
            self._drawing,
            dataset,
            self._count(num_samples),
            resolve_guidance(self._drawing, guidance),
            seed,
        )

    def _count(self, num_samples: int | None) -> int:
        count = self.num_samples if num_samples is None else num_samples
        if count < 1:
            raise ValueError(f"num_samples={num_samples} must be at least 1")
        return count

    def _predict(
        self,
        dataset: Dataset,
        count: int,
        seed: int | None,
        horizons: Horizons | None = None,
        guidance: Guidance | None = None,
    ) -> Iterator[SampleForecast]:
        entries = self.input_transform.apply(dataset, is_train=False)
        self.prediction_net.eval()
        drawing = self._drawing
        for number, batch in enumerate(batcher(entries, self.batch_size)):
            window = stack_windows(batch, self.device)
            rows = slice(number * self.batch_size, number * self.batch_size + len(batch))
            part: HorizonGiven | None = None
            if horizons is not None and guidance is not None:
                part = horizons.of_batch(rows, window, guidance)
            paths = drawing.sample_paths(window, count, part, seed, number)
            if horizons is not None and horizons.given is not None:
                given = horizons.given[rows][:, None]
                paths = np.where(np.isnan(given), paths, given)
            for entry, samples in zip(batch, paths, strict=True):
                start = entry["forecast_start"]
                yield sample_forecast(samples, start, entry, self.spec.one_dimensional)

    @property
    def _drawing(self) -> Drawing:
        """What draws, on the device where the network is now."""
        transformation = self.__init_args__["transformation"]
        return Drawing(self.prediction_net, transformation, self.spec, self.shape, self.device)

    def inference(self) -> AbstractContextManager[None]:
        """How the network is asked: without gradients, and with threads for rows if it can."""
        return self._drawing.inference()

    @property
    def support(self) -> Support:
        """Where sampled values can be."""
        return self.prediction_net.target.link.support

    @property
    def has_log_prob(self) -> LogProb:
        """What :meth:`log_prob` returns; of dequantised whole numbers it is a lower bound."""
        forecaster = self.prediction_net
        kind = forecaster.model.has_log_prob
        return "bound" if kind == "exact" and forecaster.target.link.is_quantised else kind

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
        return log_densities(self._drawing, self.input_transform, dataset, self.batch_size)

    def to(self, device: str | torch.device) -> "GenerativePredictor":
        """Move the network to a device, in place."""
        self.device = usable_device(str(device))
        self.prediction_net = self.prediction_net.to(self.device)
        return self

    def with_sampler(self, sampler: Sampler | LangevinSampler) -> "GenerativePredictor":
        """A copy that draws with another sampler; it is saved and loaded with it.

        Raises:
            ValueError: if the model has no sampler or cannot use this one.
        """
        changed = copy.deepcopy(self)
        for part in changed.prediction_net.modules():
            if isinstance(part, GenerativeModel):
                part.use_sampler(sampler)
        return changed

    def _write_more(self, path: Path) -> tuple[str, ...]:
        return write_network(self.prediction_net, self.history, path)

    @classmethod
    def deserialize(
        cls, path: Path, device: str | None = None, **kwargs: Any
    ) -> "GenerativePredictor":
        """Read a model from a folder, onto any device.

        Raises:
            ValueError: in one line, if the folder is not a saved model, is of another format, is
                damaged, or names what is no part of this library.
        """
        predictor, place = read_predictor(Path(path), cls, device)
        predictor.__init_args__["device"] = place
        return predictor.to(parse_device(place))
