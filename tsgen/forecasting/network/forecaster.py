"""The base of the networks that forecast: a model and an encoder joined."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from tsgen.core import Component
from tsgen.encoders import HistoryEncoder
from tsgen.encoders.base import select_rows
from tsgen.forecasting.data.window import Window, repeat_last
from tsgen.forecasting.network.inputs import InputLayout, raw_statistics, squash
from tsgen.forecasting.network.pairs import HorizonGiven, Pairs, StreamState
from tsgen.models import Flow, GenerativeModel


class Forecaster(Component, nn.Module, ABC):
    """Joins a model and an encoder, owns scaling and masks.

    Lengths are read off the window's tensors, so a whole log is a window too.

    Args:
        model: p(x | cond).
        encoder: from inputs to conditioning.
        layout: how inputs are made.
        max_numbers: sampling is cut into pieces that hold about so many numbers at a time, by
            default 2**23 (32 MB) on a CPU and 2**28 elsewhere, where small pieces are slow.
        dequantiser: a flow that draws the noise with which whole numbers are made continuous, given
            them and their conditioning (variational dequantisation: Ho et al. 2019, eq 12-13);
            ``None`` draws it uniformly.
    """

    statistics_mean: Tensor
    statistics_std: Tensor
    lags: Tensor

    def __init__(
        self,
        model: GenerativeModel,
        encoder: HistoryEncoder,
        layout: InputLayout,
        max_numbers: int | None = None,
        dequantiser: Flow | None = None,
    ) -> None:
        super().__init__()
        self.model, self.encoder, self.layout = model, encoder, layout
        self.dequantiser, self.max_numbers = dequantiser, max_numbers
        self.link, self.anchored = layout.link, layout.scaling == "anchored"
        self.embeddings = nn.ModuleList(
            nn.Embedding(count, size)
            for count, size in zip(layout.cardinality, layout.embedding_sizes, strict=True)
        )
        mean, std = (torch.tensor(v) for v in (layout.statistics_mean, layout.statistics_std))
        self.register_buffer("statistics_mean", mean, persistent=False)
        self.register_buffer("statistics_std", std, persistent=False)
        self.register_buffer("lags", torch.tensor(layout.lags), persistent=False)

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
    def _decode(
        self,
        sample: Callable[[Tensor], Tensor],
        cond: Tensor,
        state: StreamState,
        features: Tensor,
        given: HorizonGiven | None,
    ) -> Tensor:
        """One path for each row, relative to the center: (R, H, C)."""

    def loss(self, window: Window, player: str | None = None) -> Tensor:
        """Weighted mean over the pairs of a batch of the model's loss, or of one player's."""
        pairs, observed = self._pairs_and_mask(window)
        if player is not None:
            losses = self.model.player_loss(player, pairs.x, pairs.cond, observed)
            return self._mean(losses, pairs)
        return self._mean(self.model.loss(pairs.x, pairs.cond, observed), pairs, learnt_noise=True)

    def monitor(self, window: Window) -> Tensor:
        """Weighted mean over the pairs of a batch of what validation watches of the model."""
        pairs, observed = self._pairs_and_mask(window)
        losses = self.model.monitor(pairs.x, pairs.cond, observed)
        return self._mean(losses, pairs, learnt_noise=len(self.model.players) == 1)

    def _pairs_and_mask(self, window: Window) -> tuple[Pairs, Tensor | None]:
        """Pairs of a window, and which elements are observed unless all are."""
        pairs = self.pairs(window)
        on_cpu = pairs.observed.device.type == "cpu"  # an accelerator would have to be waited for
        return pairs, None if on_cpu and pairs.observed.all() else pairs.observed

    def _mean(self, losses: Tensor, pairs: Pairs, learnt_noise: bool = False) -> Tensor:
        if learnt_noise and self.dequantiser is not None:
            # the loss is per element; the law of the noise learns, too
            losses = losses + pairs.log_scale / self.model.event_shape.numel()
        counted = torch.where(pairs.weight > 0, losses, torch.zeros_like(losses))
        return (counted * pairs.weight).sum() / pairs.weight.sum().clamp_min(1)

    def log_prob(self, window: Window) -> Tensor:
        """Log density of the pairs' observed elements on the data's own scale, (B, N) or (B,).

        Raises:
            NotImplementedError: if the model has no density.
        """
        pairs = self.pairs(window)
        observed = None if pairs.observed.all() else pairs.observed
        return self.model.log_prob(pairs.x, pairs.cond, observed) - pairs.log_scale

    def start(self, window: Window) -> tuple[Tensor, StreamState]:
        """Run the encoder over a window's past.

        Returns:
            The conditioning of what follows it, and the state from which step decoding goes on.
        """
        past = window.past
        z, _ = self.link.forward(past.target)
        static = self._static(window)
        inputs, location, scale = self._inputs(
            z, past.observed, window, past.scale.shape[1], static
        )
        encoded, encoder_state = self.encoder(inputs)
        memory = max(self.layout.lags)
        state = StreamState(
            encoder_state, z[:, -memory:], past.observed[:, -memory:], location[:, -1],
            scale[:, -1], past.covariates[:, -1], static, window.center,
        )  # fmt: skip
        return self._condition(encoded[:, -1], window.future.features), state

    def sample_paths(
        self, window: Window, num_samples: int = 100, given: HorizonGiven | None = None
    ) -> Tensor:
        """Sample paths (B, S, H, C), float64 where the device has it.

        Args:
            window: the past, and of the future what is known ahead.
            num_samples: S.
            given: what is given of the horizons, in horizon decoding.
        """
        cond, state = self.start(window)
        center = window.center
        batch = len(center)
        shape = (self.layout.horizon, self.layout.num_channels)
        paths, sample = center.new_empty(batch * num_samples, *shape), self.model.sampling_plan()
        for rows in self._pieces(batch * num_samples, state, given):
            into = paths[int(rows[0]) : int(rows[-1]) + 1]
            rows = rows.to(center.device)
            which = torch.div(rows, num_samples, rounding_mode="floor")
            part = None if given is None else given.rows(rows, num_samples)
            features = window.future.features[which]
            into.copy_(self._decode(sample, cond[which], select_rows(state, which), features, part))
        paths = paths.unflatten(0, (batch, num_samples))
        return paths.add_(center[:, None, None])

    def _pieces(
        self, total: int, state: StreamState, given: HorizonGiven | None
    ) -> Iterator[Tensor]:
        """Numbers of the rows that are drawn together."""
        tensors = [state.values, *(v for v in pytree.tree_leaves(state.encoder) if v.dim() > 1)]
        memory = sum(v[0].numel() for v in tensors) + self.layout.horizon * self.layout.num_channels
        factor = 1 if given is None or given.guidance is None else given.guidance.memory
        most = self.max_numbers or (2**23 if state.values.device.type == "cpu" else 2**28)
        size = max(1, most // (factor * self.model.working_size + 2 * memory))
        return iter(torch.arange(total).split(size))

    def _static(self, window: Window) -> Tensor:
        """Static features with embedded categories (B, F'')."""
        codes = window.categories
        embedded = [embedding(codes[:, i]) for i, embedding in enumerate(self.embeddings)]
        return torch.cat([window.static, *embedded], -1)

    def _inputs(
        self, z: Tensor, observed: Tensor, window: Window, count: int, static: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encoder inputs of ``count`` steps from the context's first on.

        Location and scale of these steps come with them. ``z`` and ``observed`` reach from the
        window's first step to the last one needed.
        """
        past, future = window.past, window.future
        context = past.scale.shape[1]
        start, ahead = past.target.shape[1] - context, count - context
        # an input scales the step after it, so that the first step ahead has the last past one's
        scale = torch.cat([past.scale, future.scale[:, 1 : ahead + 1]], 1)
        if self.anchored:
            location = z[:, start : start + count].nan_to_num(0.0)
        else:
            location = torch.cat([past.location, future.location[:, 1 : ahead + 1]], 1)
        index = start + 1 + torch.arange(count, device=z.device)[:, None] - self.lags
        features = torch.cat([past.features[:, 1:], future.features[:, : ahead + 1]], 1)
        fresh = torch.ones_like(scale[..., :1])
        fresh[:, context:] = 0
        covariates = torch.cat([past.covariates, repeat_last(past.covariates, ahead)], 1)
        inputs = self._assemble(
            z[:, index], observed[:, index], location, scale, features, covariates, fresh,
            static[:, None].expand(-1, count, -1), window.center[:, None],
        )  # fmt: skip
        return inputs, location, scale

    def _assemble(
        self, lagged: Tensor, lagged_observed: Tensor, location: Tensor, scale: Tensor,
        features: Tensor, covariates: Tensor, fresh: Tensor, static: Tensor, center: Tensor,
    ) -> Tensor:  # fmt: skip
        r"""The input of a step, (\*, input_size), from lagged values (\*, lags, C) and the rest."""
        scaled = (lagged - location[..., None, :]) / scale[..., None, :]
        parts = [squash(scaled.nan_to_num(0.0, 0.0, 0.0)).flatten(-2), features]
        if self.layout.missing:
            parts.append(lagged_observed.to(scaled.dtype).flatten(-2))
        if self.layout.num_covariates:
            parts += [squash(covariates), fresh]
        parts.append(static)
        if self.layout.statistics_mean:
            statistics = raw_statistics(self.layout.scaling, location, scale, center)
            parts.append(squash((statistics - self.statistics_mean) / self.statistics_std))
        return torch.cat(parts, -1)

    def _encode(self, state: StreamState, features: Tensor) -> tuple[Tensor, StreamState]:
        """Feed the last of the state's values to the encoder: its output and the state after it.

        Args:
            state: whose last values are new.
            features: of the step after them, (R, F).
        """
        z = state.values[:, -1]
        location = z.nan_to_num(0.0) if self.anchored else state.location
        fresh = torch.zeros_like(z[:, :1])
        inputs = self._assemble(
            state.values[:, -self.lags], state.observed[:, -self.lags], location, state.scale,
            features, state.covariates, fresh, state.static, state.center,
        )  # fmt: skip
        encoded, encoder_state = self.encoder.step(inputs, state.encoder)
        return encoded, state._replace(encoder=encoder_state, location=location)

    def _make_pairs(
        self,
        y: Tensor,
        observed: Tensor,
        before: Tensor,
        location: Tensor,
        scale: Tensor,
        cond: Tensor,
    ) -> Pairs:
        """Scale events y (*batch, *event_shape) and weigh them.

        ``before`` is the value carried up to the step before: where it is NaN there is nothing to
        scale by yet.
        """
        if self.layout.scaling not in ("global", "none"):
            observed = observed & ~before.isnan()
        event = tuple(range(-len(self.model.event_shape), 0))
        noise, log_noise = self._noise(y, location, scale, cond)
        z, log_slope = self.link.forward(y, noise)
        x = ((z - location) / scale).nan_to_num(0.0)
        mask = observed.to(x.dtype)
        log_scale = torch.where(observed, scale.log() - log_slope, torch.zeros_like(x)).sum(event)
        log_scale = log_scale + log_noise
        whole = self.model.partial == "drop"
        weight = mask.amin(event) if whole else mask.amax(event)
        return Pairs(x, cond, weight, log_scale, mask)

    def _noise(
        self, y: Tensor, location: Tensor, scale: Tensor, cond: Tensor
    ) -> tuple[Tensor | None, Tensor | float]:
        """Noise in [0, 1) for whole numbers y, and its log density (*batch,) if it is learnt."""
        if not self.link.is_quantised:
            return None, 0.0
        if self.dequantiser is None:
            return torch.rand_like(y), 0.0
        middle = ((self.link.forward(y)[0] - location) / scale).nan_to_num(0.0)
        logits, log_density = self.dequantiser.sample_with_log_prob(torch.cat([cond, middle], -1))
        steepness = -(nn.functional.softplus(logits) + nn.functional.softplus(-logits))
        event = tuple(range(-len(self.model.event_shape), 0))
        return logits.sigmoid(), log_density - steepness.sum(event)
