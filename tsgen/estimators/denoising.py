"""What estimators with a denoising network share."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

from tsgen.core import NOT_EMPTY, OptionError, Options, above, between
from tsgen.diffusion import LangevinSampler, Sampler
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.foreign import option_in
from tsgen.nets import Axial, Network, Residual


class Given(Options):
    """What of a horizon the network is given in training.

    A model that is trained so draws the rest of a partly known horizon, and imputes; see
    :class:`~tsgen.models.DDPM`.

    Args:
        rate: share of the training windows in which a random part of the horizon is given.
        patterns: what may be given: "cells", "channels", "steps".
    """

    rate: Annotated[float, between(0, 1)] = 0.0
    patterns: Annotated[tuple[Literal["cells", "channels", "steps"], ...], NOT_EMPTY] = (
        "cells", "channels", "steps",
    )  # fmt: skip

    def options_without_effect(self) -> Iterator[str]:
        """Patterns of which none is given."""
        if not self.rate and self.patterns != Given.patterns:
            yield f"patterns={self.patterns!r} has no effect with rate=0; set a rate"


class NoisePrediction(Options):
    """The loss of denoising diffusion.

    Args:
        target: what the network predicts: the noise "eps", the clean event "x0", or "v".
        loss_type: distance between prediction and target: "l2", "l1" or "huber".
        min_snr: cap of the signal-to-noise weight, see :class:`~tsgen.models.DDPM`.
    """

    target: Literal["eps", "x0", "v"] = "eps"
    loss_type: Literal["l2", "l1", "huber"] = "l2"
    min_snr: Annotated[float, above(0)] | None = None


class ScoreMatching(Options):
    """The loss of score models of an SDE.

    Args:
        target: what the network predicts: the noise "eps", the clean event "x0", or "v".
        continuous: whether training draws any time, or the N steps of the chain.
        likelihood_weighting: whether the loss bounds the likelihood, see
            :class:`~tsgen.models.ScoreSDE`.
    """

    target: Literal["eps", "x0", "v"] = "eps"
    continuous: bool = True
    likelihood_weighting: bool = False


@runtime_checkable
class WithSampler(Protocol):
    """An estimator whose trained models can draw with another sampler."""

    sampler: Any
    """The one that they draw with; ``None`` is the family's usual one."""

    def check_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Raise ``OptionError`` for a sampler that cannot draw."""


class DenoisingEstimator(GenerativeEstimator):
    """Base of the estimators with a denoising network; its options beyond those of all estimators.

    ``lr_inputs`` of the training is 100 here: the network's output starts at zero, so the encoder
    hears little of the first batches, and then at a rate that with hundreds of inputs leaves it in
    the same state at every hour (``benchmarks/README.md``, electricity of 321 clients).

    Args:
        network: the denoising network and its sizes: ``Residual(...)`` is TimeGrad's,
            ``Axial(...)`` CSDI's, for ``decoding="horizon"``, ``Dense(...)`` is for events whose
            elements have no order.
    """

    family_lr_inputs: ClassVar[int | None] = 100

    network: Network = Residual()  # noqa: RUF009

    def __post_init__(self) -> None:
        """Check that the network suits the decoding."""
        super().__post_init__()
        if self.network.needs_horizon and self.decoding != "horizon":
            raise OptionError(
                type(self).__name__, "decoding", self.decoding,
                f"'horizon' with network={type(self.network).__name__}(...)",
            )  # fmt: skip

    @classmethod
    def advice(cls, option: str, value: Any) -> str | None:
        """Where the options of the networks and of the loss are."""
        if option == "network" and value in ("residual", "axial"):
            return f"write network={'Axial' if value == 'axial' else 'Residual'}()"
        if option == "num_heads":
            return option_in("network", Axial, "num_heads", value)
        short = option.removeprefix("residual_")
        if short != option and short in ("layers", "channels"):
            return option_in("network", Residual, short, value)
        return super().advice(option, value)

    def check_given(self, given: Given) -> None:
        """Raise ``OptionError`` for parts that are given of single steps."""
        if given.rate and self.decoding != "horizon":
            raise OptionError(
                type(self).__name__, "given", given,
                f"Given(rate=0) with decoding={self.decoding!r}",
                "parts of a horizon can be given with decoding='horizon' only",
            )  # fmt: skip

    def network_builder(self, event_shape: tuple[int, ...], max_frequency: float) -> Callable:
        """The class of the denoising network with its sizes."""
        return self.network.builder(event_shape, max_frequency)
