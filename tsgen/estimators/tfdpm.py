"""TFDPM-style: patterns of a window condition a diffusion model of the next row."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from tsgen.core import Count, OptionError, Options
from tsgen.diffusion import CosineSchedule, DPMSolverPP, LangevinSampler, Sampler, Schedule
from tsgen.encoders import HistoryEncoder, PatternEncoder
from tsgen.forecasting.data.spec import DataSpec
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.foreign import option_in
from tsgen.forecasting.network.inputs import InputLayout
from tsgen.models import DDPM, EnergyDDPM, GenerativeModel
from tsgen.nets import Dense, Network


class Patterns(Options):
    """The patterns of a window that condition the diffusion model.

    Args:
        temporal: "gru", "tcn", "attention" or "none"; see :class:`~tsgen.encoders.PatternEncoder`.
        graph: whether there is a feature pattern.
        neighbours: whom a channel attends to, the nearest by learnt embeddings.
        adjacency: a graph known in advance, C rows of C flags.
        features: of each channel in the feature pattern.
        hidden_size: of the temporal pattern.
    """

    temporal: Literal["gru", "tcn", "attention", "none"] = "gru"
    graph: bool = True
    neighbours: Count = 15
    adjacency: tuple[tuple[bool, ...], ...] | None = None
    features: Count = 16
    hidden_size: Count = 256

    def __post_init__(self) -> None:
        """Check that one pattern is left."""
        if self.temporal == "none" and not self.graph:
            raise OptionError("Patterns", "graph", False, "True with temporal='none'")

    def options_without_effect(self) -> Iterator[str]:
        """Sizes of a pattern that there is not, and neighbours beside a graph."""
        void = {
            "temporal='none'": ("hidden_size",) if self.temporal == "none" else (),
            "graph=False": () if self.graph else ("neighbours", "adjacency", "features"),
            "adjacency": ("neighbours",) if self.graph and self.adjacency else (),
        }
        for cause, options in void.items():
            for option in options:
                value = getattr(self, option)
                if value != getattr(Patterns, option):
                    yield f"{option}={value!r} has no effect with {cause}; leave it out"


class TFDPMEstimator(GenerativeEstimator):
    """Temporal and feature patterns of a window, and a diffusion model of the row after it.

    In the style of Yan, Zhou, Zhan, Xia 2021 (arXiv 2112.10774), of which the abstract was to be
    had: a temporal pattern and, by graph attention over the channels, a feature pattern of the
    history condition a diffusion model of the current row, which knows every noise level. Sizes
    are ours. The encoder, its context and its lags follow from ``window`` and ``patterns``, so they
    are no options here; ``weight_decay`` is 1e-3, more than elsewhere: the denoiser can learn a log
    by heart. Options beyond those of :class:`GenerativeEstimator`:

    Args:
        lr: the peak of the one-cycle schedule.
        window: rows of the history.
        patterns: what is seen of the window.
        network: the denoising network; with ``Dense(energy=True)`` it is the gradient of an energy.
        schedule: the noise schedule.
        sampler: how samples are drawn.
    """

    family_weight_decay: ClassVar[float] = 1e-3
    encoder: ClassVar[type[HistoryEncoder]] = PatternEncoder  # type: ignore[misc]
    context_length: ClassVar[int] = 1  # type: ignore[misc]
    lags_seq: ClassVar[None] = None  # type: ignore[misc]

    lr: float = 1e-3
    batch_size: int = 128
    window: Count = 8
    patterns: Patterns = Patterns()  # noqa: RUF009
    network: Network = Dense()  # noqa: RUF009
    schedule: Schedule = CosineSchedule()  # noqa: RUF009
    sampler: Sampler = DPMSolverPP(20)  # noqa: RUF009

    def __post_init__(self) -> None:
        """Check the options, and let the window set the lags."""
        self.__dict__["lags_seq"] = tuple(range(1, self.window + 1))
        super().__post_init__()
        if self.network.needs_horizon and self.decoding != "horizon":
            raise OptionError(
                type(self).__name__, "decoding", self.decoding,
                f"'horizon' with network={type(self.network).__name__}(...)",
            )  # fmt: skip
        self.check_sampler(self.sampler)

    @classmethod
    def advice(cls, option: str, value: Any) -> str | None:
        """What sets the encoder, and where the networks' sizes are."""
        if option in ("lags_seq", "context_length"):
            return "window= sets it"
        if option == "encoder":
            return "the window's patterns are the encoder: patterns=Patterns(...)"
        if option in ("layers", "energy"):
            return option_in("network", Dense, option, value)
        if option == "hidden_size":
            return (
                f"write patterns=Patterns(hidden_size={value!r}) and "
                f"network=Dense(hidden_size={value!r})"
            )
        return super().advice(option, value)

    def options_without_effect_on(self, spec: DataSpec) -> Iterator[str]:
        """More neighbours than there are channels."""
        neighbours, others = self.patterns.neighbours, spec.num_channels - 1
        if neighbours != Patterns.neighbours and neighbours > others:
            yield (
                f"patterns.neighbours={neighbours} has no effect beyond that of {others}: the data "
                f"have {spec.num_channels} channels"
            )

    def build_encoder(self, layout: InputLayout, input_size: int) -> HistoryEncoder:
        """The pattern encoder."""
        parts = self.patterns
        return PatternEncoder(
            input_size, layout.num_channels, len(layout.lags), parts.temporal, parts.graph,
            parts.neighbours, parts.adjacency, parts.hidden_size, parts.features,
        )  # fmt: skip

    def check_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Raise ``OptionError`` for a sampler that cannot draw with the schedule."""
        self.check_sampler_of(self.schedule, sampler)

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The diffusion model."""
        by_energy = isinstance(self.network, Dense) and self.network.energy
        model = EnergyDDPM if by_energy else DDPM
        return model(
            event_shape,
            cond_shape,
            schedule=self.schedule,
            target="eps" if by_energy else "v",
            sampler=self.sampler,
            network=self.network.builder(event_shape, 100.0),
            continuous=True,
        )
