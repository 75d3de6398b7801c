"""The trained model: forecasts, saving and loading."""

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gluonts.core.serde import decode
from gluonts.dataset import Dataset
from gluonts.itertools import batcher
from gluonts.model.forecast import SampleForecast
from gluonts.model.predictor import RepresentablePredictor
from gluonts.transform import Transformation

from tsgen._version import __version__
from tsgen.core import Component, parse_device, seeded, single_precision, usable_device
from tsgen.diffusion import Guidance, LangevinSampler, Sampler
from tsgen.forecasting.conditional import check_given, impute, relative, resolve_guidance
from tsgen.forecasting.forecasters import Forecaster
from tsgen.forecasting.layout import Known
from tsgen.forecasting.scaling import Support
from tsgen.forecasting.spec import DataSpec
from tsgen.forecasting.windows import (
    PREDICTION_FIELDS,
    WindowShape,
    WindowStore,
    create_splitter,
)
from tsgen.models import GenerativeModel
from tsgen.nets.threads import rows_divided

FORMAT = 3
"""Version of the layout of a saved model; raised whenever old folders can no longer be read."""
_WEIGHTS = "prediction-net-state.pt"


class GenerativePredictor(Component, RepresentablePredictor):
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
        self.device = parse_device(device)
        self.prediction_net = prediction_net.to(self.device)
        self.input_transform = transformation + create_splitter(shape)
        self.spec, self.shape = spec, shape
        self.batch_size, self.num_samples = batch_size, num_samples
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
                ``given_rate`` and :class:`~tsgen.diffusion.Reconstruction` for others.
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
        if not hasattr(dataset, "__len__"):
            raise ValueError("dataset must have a length; a stream has no entries to name")
        horizons: dict[str, np.ndarray] = {}
        for name, arrays in (("given", given), ("nudge", nudge)):
            if arrays is not None:
                if len(arrays) != len(dataset):
                    raise ValueError(
                        f"{name} has {len(arrays)} horizons for {len(dataset)} entries; each needs "
                        "one"
                    )
                horizons[name] = check_given(self, name, arrays, whole=name == "nudge")
        chosen = resolve_guidance(self, guidance)
        return self._predict(dataset, count, seed, horizons, strength, chosen)

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
        model that was trained with ``given_rate`` (and, for holes in a series' first step,
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
            self, dataset, self._count(num_samples), resolve_guidance(self, guidance), seed
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
        horizons: dict[str, np.ndarray] | None = None,
        strength: float = 1.0,
        guidance: Guidance | None = None,
    ) -> Iterator[SampleForecast]:
        entries = self.input_transform.apply(dataset, is_train=False)
        self.prediction_net.eval()
        for number, batch in enumerate(batcher(entries, self.batch_size)):
            inputs = {
                name: torch.as_tensor(np.stack([entry[name] for entry in batch])).to(self.device)
                for name in PREDICTION_FIELDS
            }
            rows = slice(number * self.batch_size, number * self.batch_size + len(batch))
            known, given = self._known(rows, inputs, horizons, strength, guidance)
            paths = self.draw(count, known, inputs, seed, number)
            if given is not None:
                paths = np.where(np.isnan(given), paths, given)
            for entry, samples in zip(batch, paths, strict=True):
                yield SampleForecast(
                    samples[..., 0] if self.spec.one_dimensional else samples,
                    start_date=entry["forecast_start"],
                    item_id=entry["item_id"],
                    info=entry["info"],
                )

    def draw(
        self, count: int, known: Known | None, fields: dict[str, torch.Tensor],
        seed: int | None, *salt: int,
    ) -> np.ndarray:  # fmt: skip
        """Sample paths (B, S, H, C) of windows with these fields, others for another salt."""
        with self.inference(), seeded(seed, *salt):
            return self.prediction_net(count, known, **fields).cpu().numpy()

    @contextmanager
    def inference(self) -> Iterator[None]:
        """How the network is asked: without gradients, and with threads for rows if it can."""
        divides = self.device.type == "cpu" and self.prediction_net.model.divides_rows
        with torch.no_grad(), rows_divided(divides), single_precision():
            yield

    def _known(
        self,
        rows: slice,
        inputs: dict[str, torch.Tensor],
        horizons: dict[str, np.ndarray] | None,
        strength: float,
        guidance: Guidance | None,
    ) -> tuple[Known | None, np.ndarray | None]:
        """What is known of a batch, and the given values (B, 1, H, C) as they are."""
        if horizons is None or guidance is None:
            return None, None
        nudge = horizons["nudge"][rows][:, None] if "nudge" in horizons else None
        given = horizons["given"][rows][:, None] if "given" in horizons else None
        center, like = inputs["center"], inputs["past_target"]
        values = np.full_like(nudge, np.nan) if given is None else given
        known = relative(values, center, guidance, like)
        if nudge is not None:
            guess = relative(nudge, center, guidance, like).values
            known = known._replace(guess=guess, strength=strength)
        return known, given

    @property
    def support(self) -> Support:
        """Where sampled values can be."""
        return self.prediction_net.link.support

    @property
    def has_log_prob(self) -> Literal["exact", "bound", "none"]:
        """What :meth:`log_prob` returns; of dequantised whole numbers it is a lower bound."""
        forecaster = self.prediction_net
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
        horizon, forecaster = self.shape.prediction_length, self.prediction_net
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
            with self.inference(), seeded(0, int(index[0])):
                values = forecaster.log_prob(**batch)
            values = values if values.dim() == 1 else values[:, -horizon:].sum(1)
            if forecaster.model.partial != "marginal":
                whole = batch["future_observed"].flatten(1).all(1)
                values = torch.where(whole, values, torch.nan)
            found.append(values.double().cpu().numpy())
        return np.concatenate(found)

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

    def serialize(self, path: Path) -> None:
        """Write the model into a folder: JSON and weights, no pickled code."""
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        super().serialize(path)
        torch.save(self.prediction_net.state_dict(), path / _WEIGHTS)
        about = {"tsgen": __version__, "format": FORMAT, "history": self.history}
        (path / "tsgen.json").write_text(json.dumps(about, indent=1))

    @classmethod
    @single_precision()
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
        weights = torch.load(path / _WEIGHTS, map_location=predictor.device, weights_only=True)
        predictor.prediction_net.load_state_dict(weights)
        predictor.history = about["history"]
        return predictor


def _is_usable(device: str) -> bool:
    try:
        usable_device(device)
    except ValueError:
        return False
    return True
