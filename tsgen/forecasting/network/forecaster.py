"""The base of the networks that forecast: a model and an encoder joined."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from tsgen.core import Component
from tsgen.encoders import HistoryEncoder
from tsgen.encoders.base import select_rows
from tsgen.forecasting.network.inputs import InputLayout, raw_statistics, squash
from tsgen.forecasting.network.pairs import Known, Pairs, StreamState
from tsgen.models import Flow, GenerativeModel

Batch = Mapping[str, Tensor]


Drawer = Callable[[Tensor], Tensor]


class Forecaster(Component, nn.Module, ABC):
    """Joins a model and an encoder, owns scaling and masks.

    All methods take a window's fields by name (see ``windows``); lengths are read off the tensors,
    so a whole log is a window too.

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
    def pairs(self, **batch: Tensor) -> Pairs:
        """Events and their conditioning from a window with its future, in one encoder pass."""

    @abstractmethod
    def _condition(self, encoded: Tensor, future_known: Tensor) -> Tensor:
        """The conditioning from the encoder's output (R, D) and known features ahead (R, H, F)."""

    @abstractmethod
    def _draw(
        self, draw: Drawer, cond: Tensor, state: StreamState, future: Tensor, known: Known | None
    ) -> Tensor:
        """One path for each row, relative to the center: (R, H, C)."""

    def loss(self, player: str | None = None, **batch: Tensor) -> Tensor:
        """Weighted mean over the pairs of a batch of the model's loss, or of one player's."""
        pairs = self.pairs(**batch)
        asked = pairs.observed.device.type == "cpu"  # an accelerator would have to be waited for
        observed = None if asked and pairs.observed.all() else pairs.observed
        if player is None:
            losses = self.model.loss(pairs.x, pairs.cond, observed)
            if self.dequantiser is not None:  # the loss is per element, the noise's law learns, too
                losses = losses + pairs.log_scale / self.model.event_shape.numel()
        else:
            losses = self.model.player_loss(player, pairs.x, pairs.cond, observed)
        kept = torch.where(pairs.weight > 0, losses, torch.zeros_like(losses))
        return (kept * pairs.weight).sum() / pairs.weight.sum().clamp_min(1)

    def log_prob(self, **batch: Tensor) -> Tensor:
        """Log density of the pairs' observed elements on the data's own scale, (B, N) or (B,).

        Raises:
            NotImplementedError: if the model has no density.
        """
        pairs = self.pairs(**batch)
        observed = None if pairs.observed.all() else pairs.observed
        return self.model.log_prob(pairs.x, pairs.cond, observed) - pairs.log_scale

    def step(self, row: Batch, state: StreamState) -> tuple[Tensor, StreamState]:
        """Take one new row of a stream.

        Args:
            row: ``target`` (B, C) relative to the center; ``known`` (B, F) of the step after it (in
                horizon decoding ``future_known`` (B, H, F)); where they have changed ``location``
                and ``scale`` (B, C), ``observed`` (B, C) and ``covariates`` (B, F').
            state: from :meth:`start` or the last call.

        Returns:
            The conditioning of what comes next, and the state.
        """
        future_known = row["future_known"] if "future_known" in row else row["known"][:, None]
        encoded, state = self._advance(row, future_known[:, 0], state)
        return self._condition(encoded, future_known), state

    def start(self, **batch: Tensor) -> tuple[Tensor, StreamState]:
        """Run over a window's past.

        Returns:
            The conditioning of what follows it, and the state for :meth:`step`.
        """
        context = batch["past_location"].shape[1]
        z, _ = self.link.forward(batch["past_target"])
        future_known = batch["future_known"]
        static, center = self._static(batch), batch["center"]
        inputs, location, scale = self._inputs(z, batch["past_observed"], batch, context, static)
        encoded, encoder_state = self.encoder(inputs)
        memory = max(self.layout.lags)
        state = StreamState(
            encoder_state, z[:, -memory:], batch["past_observed"][:, -memory:], location[:, -1],
            scale[:, -1], batch["past_covariates"][:, -1], static, center,
        )  # fmt: skip
        return self._condition(encoded[:, -1], future_known), state

    def forward(
        self, num_samples: int = 100, known: Known | None = None, **inputs: Tensor
    ) -> Tensor:
        """Sample paths (B, S, H, C), float64 where the device has it.

        Args:
            num_samples: S.
            known: what is known of the horizons, in horizon decoding.
            **inputs: fields of a window.
        """
        cond, state = self.start(**inputs)
        future_known, center = inputs["future_known"], inputs["center"]
        batch = len(center)
        shape = (self.layout.horizon, self.layout.num_channels)
        paths, draw = center.new_empty(batch * num_samples, *shape), self.model.drawer()
        for rows in self._pieces(batch * num_samples, state, known):
            into = paths[int(rows[0]) : int(rows[-1]) + 1]
            rows = rows.to(center.device)
            which = torch.div(rows, num_samples, rounding_mode="floor")
            part = None if known is None else known.rows(rows, num_samples)
            into.copy_(
                self._draw(draw, cond[which], select_rows(state, which), future_known[which], part)
            )
        paths = paths.unflatten(0, (batch, num_samples))
        return paths.add_(center[:, None, None])

    def _pieces(self, total: int, state: StreamState, known: Known | None) -> Iterator[Tensor]:
        kept = [state.values, *(v for v in pytree.tree_leaves(state.encoder) if v.dim() > 1)]
        memory = sum(v[0].numel() for v in kept) + self.layout.horizon * self.layout.num_channels
        factor = 1 if known is None or known.guidance is None else known.guidance.memory
        most = self.max_numbers or (2**23 if state.values.device.type == "cpu" else 2**28)
        size = max(1, most // (factor * self.model.working_size + 2 * memory))
        return iter(torch.arange(total).split(size))

    def _static(self, batch: Batch) -> Tensor:
        """Static features (B, F'')."""
        codes = batch["static_cat"]
        embedded = [embedding(codes[:, i]) for i, embedding in enumerate(self.embeddings)]
        return torch.cat([batch["static_real"], *embedded], -1)

    def _inputs(
        self, z: Tensor, observed: Tensor, batch: Batch, count: int, static: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encoder inputs of ``count`` steps from the context's first on.

        Location and scale of these steps come with them. ``z`` and ``observed`` reach from the
        window's first step to the last one needed.
        """
        context = batch["past_location"].shape[1]
        first = batch["past_target"].shape[1] - context
        ahead = count - context
        scale = extend(batch["past_scale"], ahead)
        if self.anchored:
            location = z[:, first : first + count].nan_to_num(0.0)
        else:
            location = extend(batch["past_location"], ahead)
        index = first + 1 + torch.arange(count, device=z.device)[:, None] - self.lags
        known = torch.cat([batch["past_known"][:, 1:], batch["future_known"][:, : ahead + 1]], 1)
        fresh = torch.ones_like(scale[..., :1])
        fresh[:, context:] = 0
        inputs = self._assemble(
            z[:, index], observed[:, index], location, scale, known,
            extend(batch["past_covariates"], ahead), fresh,
            static[:, None].expand(-1, count, -1), batch["center"][:, None],
        )  # fmt: skip
        return inputs, location, scale

    def _assemble(
        self, lagged: Tensor, lagged_observed: Tensor, location: Tensor, scale: Tensor,
        known: Tensor, covariates: Tensor, fresh: Tensor, static: Tensor, center: Tensor,
    ) -> Tensor:  # fmt: skip
        r"""Join everything known at a step, (\*, input_size); lagged values are (\*, lags, C)."""
        scaled = (lagged - location[..., None, :]) / scale[..., None, :]
        parts = [squash(scaled.nan_to_num(0.0, 0.0, 0.0)).flatten(-2), known]
        if self.layout.missing:
            parts.append(lagged_observed.to(scaled.dtype).flatten(-2))
        if self.layout.num_past:
            parts += [squash(covariates), fresh]
        parts.append(static)
        if self.layout.statistics_mean:
            statistics = raw_statistics(self.layout.scaling, location, scale, center)
            parts.append(squash((statistics - self.statistics_mean) / self.statistics_std))
        return torch.cat(parts, -1)

    def _advance(self, row: Batch, known: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Feed one row to the encoder: its output (B, D) and the state after it."""
        z, _ = self.link.forward(row["target"])
        seen = row["observed"] if "observed" in row else torch.ones_like(z, dtype=torch.bool)
        values = torch.cat([state.values[:, 1:], z[:, None]], 1)
        observed = torch.cat([state.observed[:, 1:], seen[:, None]], 1)
        return self._encode(row, known, state._replace(values=values, observed=observed))

    def _encode(self, row: Batch, known: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Feed a row that is the last of the state's values already."""
        z, values, observed = state.values[:, -1], state.values, state.observed
        location = z.nan_to_num(0.0) if self.anchored else row.get("location", state.location)
        scale = row.get("scale", state.scale)
        covariates = row.get("covariates", state.covariates)
        fresh = torch.full_like(z[:, :1], float("covariates" in row))
        inputs = self._assemble(
            values[:, -self.lags], observed[:, -self.lags], location, scale, known, covariates,
            fresh, state.static, state.center,
        )  # fmt: skip
        encoded, encoder_state = self.encoder.step(inputs, state.encoder)
        return encoded, StreamState(
            encoder_state, values, observed, location, scale, covariates, state.static, state.center
        )

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
        kept = observed.to(x.dtype)
        log_scale = torch.where(observed, scale.log() - log_slope, torch.zeros_like(x)).sum(event)
        log_scale = log_scale + log_noise
        whole = self.model.partial == "drop"
        weight = kept.amin(event) if whole else kept.amax(event)
        return Pairs(x, cond, weight, log_scale, kept)

    def _noise(
        self, y: Tensor, location: Tensor, scale: Tensor, cond: Tensor
    ) -> tuple[Tensor | None, Tensor | float]:
        """Noise in [0, 1) for whole numbers y, and its log density (*batch,) if it is learnt."""
        if not self.link.is_quantised:
            return None, 0.0
        if self.dequantiser is None:
            return torch.rand_like(y), 0.0
        middle = ((self.link.forward(y)[0] - location) / scale).nan_to_num(0.0)
        drawn, log_density = self.dequantiser.sample_with_log_prob(torch.cat([cond, middle], -1))
        steepness = -(nn.functional.softplus(drawn) + nn.functional.softplus(-drawn))
        event = tuple(range(-len(self.model.event_shape), 0))
        return drawn.sigmoid(), log_density - steepness.sum(event)


def extend(values: Tensor, count: int) -> Tensor:
    r"""Repeat the last of (B, T, \*) so many times more."""
    return torch.cat([values, values[:, -1:].expand(-1, count, -1)], 1) if count > 0 else values
