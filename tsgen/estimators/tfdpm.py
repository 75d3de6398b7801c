"""TFDPM-style: patterns of a window condition a diffusion model of the next row."""

import functools
from typing import Literal

from tsgen.diffusion import CosineSchedule, DPMSolverPP, Sampler, Schedule
from tsgen.encoders import HistoryEncoder, PatternEncoder
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.network.inputs import InputLayout
from tsgen.models import DDPM, EnergyDDPM, GenerativeModel
from tsgen.nets import DenseDenoiser, EnergyDenoiser


class TFDPMEstimator(GenerativeEstimator):
    """Temporal and feature patterns of a window, and a diffusion model of the row after it.

    In the style of Yan, Zhou, Zhan, Xia 2021 (arXiv 2112.10774), of which the abstract was to be
    had: a temporal pattern and, by graph attention over the channels, a feature pattern of the
    history condition a diffusion model of the current row, which knows every noise level. Sizes
    are ours. ``encoder``, ``context_length`` and ``lags_seq`` are set by ``window``. Options beyond
    those of :class:`GenerativeEstimator`:

    Args:
        lr: the peak of the one-cycle schedule.
        weight_decay: more than elsewhere: the denoiser can learn a log by heart.
        window: rows of the history.
        temporal: "gru", "tcn", "attention" or "none"; see :class:`~tsgen.encoders.PatternEncoder`.
        graph: whether there is a feature pattern.
        neighbours: whom a channel attends to, the nearest by learnt embeddings.
        adjacency: a graph known in advance, C rows of C flags.
        features: of each channel in the feature pattern.
        hidden_size: of the temporal pattern and of the denoiser's blocks.
        layers: residual blocks of the denoiser.
        energy: whether the denoiser is the gradient of an energy, see
            :class:`~tsgen.nets.EnergyDenoiser`.
        schedule: the noise schedule.
        sampler: how samples are drawn.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-3
    batch_size: int = 128
    window: int = 8
    temporal: Literal["gru", "tcn", "attention", "none"] = "gru"
    graph: bool = True
    neighbours: int = 15
    adjacency: tuple[tuple[bool, ...], ...] | None = None
    features: int = 16
    hidden_size: int = 256
    layers: int = 3
    energy: bool = False
    schedule: Schedule = CosineSchedule()  # noqa: RUF009
    sampler: Sampler = DPMSolverPP(20)  # noqa: RUF009

    def __post_init__(self) -> None:
        """Check the options, and let the window set the lags."""
        for field in ("window", "neighbours", "features", "hidden_size", "layers"):
            if getattr(self, field) < 1:
                raise ValueError(
                    f"{type(self).__name__}: {field}={getattr(self, field)} must be at least 1"
                )
        lags = tuple(range(1, self.window + 1))
        for field, value in (("lags_seq", lags), ("context_length", 1)):
            if getattr(self, field) not in (None, value):
                raise ValueError(
                    f"{type(self).__name__}: {field}={getattr(self, field)} is set by window="
                    f"{self.window}; leave it out"
                )
            self.__dict__[field] = value
        super().__post_init__()

    def build_encoder(self, layout: InputLayout, input_size: int) -> HistoryEncoder:
        """The pattern encoder."""
        return PatternEncoder(
            input_size, layout.num_channels, len(layout.lags), self.temporal, self.graph,
            self.neighbours, self.adjacency, self.hidden_size, self.features,
        )  # fmt: skip

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The diffusion model."""
        network = EnergyDenoiser if self.energy else DenseDenoiser
        model = EnergyDDPM if self.energy else DDPM
        return model(
            event_shape,
            cond_shape,
            schedule=self.schedule,
            target="eps" if self.energy else "v",
            sampler=self.sampler,
            network=functools.partial(network, layers=self.layers, hidden=self.hidden_size),
            continuous=True,
        )
