"""The base of the networks that forecast: a model and an encoder joined."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from tsgen.core import Component
from tsgen.encoders import Encoded, HistoryEncoder
from tsgen.encoders.base import select_rows
from tsgen.forecasting.data.window import Stretch, Window
from tsgen.forecasting.network.inputs import InputLayout, Inputs
from tsgen.forecasting.network.pairs import Ahead, HorizonGiven, Pairs, PathState
from tsgen.forecasting.target.target import TargetMap
from tsgen.models import GenerativeModel


class Forecaster(Component, nn.Module, ABC):
    """Joins a model and an encoder, owns masks and the unrolling of paths.

    Lengths are read off the window's tensors, so a whole log is a window too.

    Args:
        model: p(x | cond).
        encoder: from inputs to conditioning.
        layout: what a window holds.
        target: between the target's values and the model's events.
        inputs: from a window to the encoder's inputs.
        max_numbers: sampling is cut into pieces that hold about so many numbers at a time, by
            default 2**23 (32 MB) on a CPU and 2**28 elsewhere, where small pieces are slow.

    Raises:
        ValueError: for a model and a target map whose events are of different kinds.
    """

    unrolls: ClassVar[bool] = False
    """Whether paths are drawn step by step, so that an encoder must not look ahead."""

    def __init__(
        self,
        model: GenerativeModel,
        encoder: HistoryEncoder,
        layout: InputLayout,
        target: TargetMap,
        inputs: Inputs,
        max_numbers: int | None = None,
    ) -> None:
        super().__init__()
        if model.event_kind != target.event_kind:
            raise ValueError(
                f"{type(model).__name__} has events of kind {model.event_kind!r}, "
                f"{type(target).__name__} makes {target.event_kind!r} of the target; both must be "
                "the same"
            )
        if self.unrolls and not encoder.causal:
            raise ValueError(
                f"{type(encoder).__name__} is not causal, it looks at later inputs: use it with "
                "decoding='horizon', not 'step'"
            )
        self.model, self.encoder, self.layout = model, encoder, layout
        self.target, self.inputs, self.max_numbers = target, inputs, max_numbers
        self.embeddings = nn.ModuleList(
            nn.Embedding(count, size)
            for count, size in zip(layout.cardinality, layout.embedding_sizes, strict=True)
        )

    @staticmethod
    @abstractmethod
    def shapes(layout: InputLayout, encoding: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Event shape and conditioning shape of the model for an encoder's output size."""

    @abstractmethod
    def pairs(self, window: Window) -> Pairs:
        """Events and their conditioning from a window with its future, in one encoder pass."""

    @abstractmethod
    def _condition(self, encoded: Tensor, features: Tensor) -> Tensor:
        """The conditioning from the encoder's output (R, D) and the features ahead (R, H, F)."""

    @abstractmethod
    def _ahead(self, window: Window) -> Ahead:
        """What is known of the horizon of a window on the real line."""

    @abstractmethod
    def _decode(
        self,
        sample: Callable[[Tensor], Tensor],
        cond: Tensor,
        state: PathState,
        ahead: Ahead,
        given: HorizonGiven | None,
    ) -> Tensor:
        """One path for each row, relative to the center: (R, H, C)."""

    def loss(self, window: Window, player: str | None = None) -> Tensor:
        """Weighted mean over the pairs of a batch of the model's loss, or of one player's.

        What the encoder asks to be kept small is added for whoever trains the encoder, as a mean
        over windows that count by the share of their pairs that do.
        """
        pairs, observed = self._pairs_and_mask(window)
        if player is None:
            losses = self.model.loss(pairs.x, pairs.cond, observed, pairs.times)
            return self._mean(losses, pairs, trains_all=True)
        losses = self.model.player_loss(player, pairs.x, pairs.cond, observed, pairs.times)
        loss = self._mean(losses, pairs)
        trains_encoder = any(p.encoder for p in self.model.players if p.name == player)
        return loss + _penalty(pairs) if trains_encoder else loss

    def monitor(self, window: Window) -> Tensor:
        """Weighted mean over the pairs of a batch of what validation watches of the model."""
        pairs, observed = self._pairs_and_mask(window)
        losses = self.model.monitor(pairs.x, pairs.cond, observed, pairs.times)
        return self._mean(losses, pairs, trains_all=len(self.model.players) == 1)

    def _pairs_and_mask(self, window: Window) -> tuple[Pairs, Tensor | None]:
        """Pairs of a window, and which elements are observed unless all are."""
        pairs = self.pairs(window)
        on_cpu = pairs.observed.device.type == "cpu"  # an accelerator would have to be waited for
        return pairs, None if on_cpu and pairs.observed.all() else pairs.observed

    def _mean(self, losses: Tensor, pairs: Pairs, trains_all: bool = False) -> Tensor:
        """Weighted mean; of a loss that trains all, with what encoder and dequantiser add."""
        if trains_all and self.target.dequantiser is not None:
            # the loss is per element; the law of the noise learns, too
            losses = losses - pairs.log_jacobian / self.model.event_shape.numel()
        mean = _weighted_mean(losses, pairs.weight, 1.0)
        return mean + _penalty(pairs) if trains_all else mean

    def log_prob(self, window: Window) -> Tensor:
        """Log density of the pairs' observed elements on the data's own scale, (B, N) or (B,).

        Raises:
            NotImplementedError: if the model has no density.
        """
        pairs = self.pairs(window)
        observed = None if pairs.observed.all() else pairs.observed
        return self.model.log_prob(pairs.x, pairs.cond, observed, pairs.times) + pairs.log_jacobian

    def start(self, window: Window) -> tuple[Tensor, PathState]:
        """Run the encoder over a window's past.

        Returns:
            The conditioning of what follows it, and the state from which a path is unrolled.
        """
        window = self._on_line(window)
        encoded, state = self._encode_past(window)
        return self._condition(encoded.outputs[:, -1], window.future.features), state

    def sample_paths(
        self, window: Window, num_samples: int = 100, given: HorizonGiven | None = None
    ) -> Tensor:
        """Sample paths (B, S, H, C), float64 where the device has it.

        Args:
            window: the past, and of the future what is known ahead.
            num_samples: S.
            given: what is given of the horizons, in horizon decoding.
        """
        center, window = window.center, self._on_line(window)
        encoded, state = self._encode_past(window)
        cond = self._condition(encoded.outputs[:, -1], window.future.features)
        ahead, sample = self._ahead(window), self.model.sampling_plan()
        batch = len(center)
        shape = (self.layout.horizon, self.layout.num_channels)
        paths = center.new_empty(batch * num_samples, *shape)
        for rows in self._pieces(batch * num_samples, state, given):
            piece = paths[int(rows[0]) : int(rows[-1]) + 1]
            rows = rows.to(center.device)
            which = torch.div(rows, num_samples, rounding_mode="floor")
            part = None if given is None else given.rows(rows, num_samples)
            selected, following = select_rows(state, which), select_rows(ahead, which)
            piece.copy_(self._decode(sample, cond[which], selected, following, part))
        paths = paths.unflatten(0, (batch, num_samples))
        return paths.add_(center[:, None, None])

    def _pieces(self, total: int, state: PathState, given: HorizonGiven | None) -> Iterator[Tensor]:
        """Numbers of the rows that are drawn together."""
        tensors = [state.values, *(v for v in pytree.tree_leaves(state.encoder) if v.dim() > 1)]
        memory = sum(v[0].numel() for v in tensors) + self.layout.horizon * self.layout.num_channels
        factor = 1 if given is None or given.guidance is None else given.guidance.memory
        most = self.max_numbers or (2**23 if state.values.device.type == "cpu" else 2**28)
        size = max(1, most // (factor * self.model.working_size + 2 * memory))
        return iter(torch.arange(total).split(size))

    def _on_line(self, window: Window) -> Window:
        """The window with targets on the real line, anchored locations and embedded categories."""
        past, future = (
            side._replace(target=self.target.on_line(side.target))
            for side in (window.past, window.future)
        )
        location = self.target.locate(past.target, past.observed, past.location)
        past = past._replace(location=location)
        if past.times is None and (self.inputs.takes_times or self.model.takes_times):
            past, future = _regular(past, future)
        codes = window.categories
        embedded = [embedding(codes[:, i]) for i, embedding in enumerate(self.embeddings)]
        static = torch.cat([window.static, *embedded], -1)
        return window._replace(past=past, future=future, static=static)

    def _encode(self, window: Window, steps: int) -> Encoded:
        """Encode ``steps`` steps of a window on the real line, from the context's first on."""
        inputs, times, observed, query = self.inputs.window(window, steps)
        return self.encoder(inputs, None, times, observed, query)

    def _encode_past(self, window: Window) -> tuple[Encoded, PathState]:
        """Encode the context of a window on the real line, with the state after it."""
        past = window.past
        encoded = self._encode(window, past.scale.shape[1])
        memory = max(self.inputs.memory, self.target.memory)
        state = PathState(
            encoded.state, past.target[:, -memory:], past.observed[:, -memory:],
            past.location[:, -1], past.scale[:, -1], past.covariates[:, -1], window.static,
            window.center,
        )  # fmt: skip
        return encoded, state

    def _make_pairs(
        self,
        y: Tensor,
        observed: Tensor,
        before: Tensor,
        location: Tensor,
        scale: Tensor,
        cond: Tensor,
        penalty: Tensor | None,
        times: Tensor | None = None,
    ) -> Pairs:
        """Encode values y (*batch, *event_shape) as events and weigh them.

        ``before`` is the value carried up to the step before: where it is NaN there is nothing to
        scale by yet.
        """
        if self.layout.scaling not in ("global", "none"):
            observed = observed & ~before.isnan()
        event = tuple(range(-len(self.model.event_shape), 0))
        x, log_jacobian = self.target.encode(y, location, scale, cond, observed)
        mask = observed.to(cond.dtype)
        whole = self.model.partial == "drop"
        weight = mask.amin(event) if whole else mask.amax(event)
        return Pairs(x, cond, weight, log_jacobian, mask, penalty, times)


def _penalty(pairs: Pairs) -> Tensor | float:
    """What the encoder asks to be kept small, 0 if it asks nothing."""
    if pairs.penalty is None:
        return 0.0
    shares = pairs.weight.reshape(len(pairs.penalty), -1).mean(1)
    return _weighted_mean(pairs.penalty, shares, 1e-6)


def _weighted_mean(values: Tensor, weight: Tensor, least: float) -> Tensor:
    """Mean of the values that have a weight; others may be NaN. The weights sum to ``least``."""
    counted = torch.where(weight > 0, values, torch.zeros_like(values))
    return (counted * weight).sum() / weight.sum().clamp_min(least)


def _regular(past: Stretch, future: Stretch) -> tuple[Stretch, Stretch]:
    """Both sides with the times of a regular grid, 0 at the past's last step."""
    batch, length = past.target.shape[:2]
    horizon = future.features.shape[1]
    times = torch.arange(1 - length, horizon + 1, device=past.target.device)
    times = times.to(past.scale.dtype).expand(batch, -1)
    return past._replace(times=times[:, :length]), future._replace(times=times[:, length:])
