"""The map between a target's values and the events that a model learns."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tsgen.core import Component
from tsgen.forecasting.target.anchors import Anchor
from tsgen.forecasting.target.links import Link
from tsgen.models import Flow


class TargetMap(Component, nn.Module):
    r"""Real values y and events x of order one, :math:`x = (g(y) - m) / s`.

    g is the link of the target's support, after noise has been added where values are whole
    numbers; m and s are location and scale. The location is the running statistic of the window,
    or what an anchor forecasts. A subclass may make other events of the same values, such as the
    codes of a vocabulary: whoever trains, samples or scores goes through :meth:`encode` and
    :meth:`decode`.

    Args:
        link: the support's bijection g.
        event_rank: dimensions of an event, 1 for (C,) and 2 for (H, C).
        anchor: forecasts the location; ``None`` takes the running statistic.
        dequantiser: a flow that draws the noise with which whole numbers are made continuous, given
            them and their conditioning (variational dequantisation: Ho et al. 2019, eq 12-13);
            ``None`` draws it uniformly.
    """

    event_kind: ClassVar[Literal["real", "codes"]] = "real"
    """What events hold: the model's must be the same."""

    def __init__(
        self,
        link: Link = Link(),  # noqa: B008 (immutable)
        event_rank: int = 1,
        anchor: Anchor | None = None,
        dequantiser: Flow | None = None,
    ) -> None:
        super().__init__()
        self.link, self.event_rank = link, event_rank
        self.anchor, self.dequantiser = anchor, dequantiser

    @property
    def memory(self) -> int:
        """Steps that a location looks back at."""
        return 0 if self.anchor is None else self.anchor.memory

    def on_line(self, y: Tensor) -> Tensor:
        r"""Values z = g(y) on the real line, (\*, C), whole numbers in the middle of their unit."""
        return self.link.forward(y)[0]

    def locate(self, z: Tensor, observed: Tensor, running: Tensor) -> Tensor:
        """Location of the step after each of the last N steps, (B, N, C).

        Args:
            z: values on the real line (B, T, C), T >= N + memory - 1.
            observed: which are observed, (B, T, C).
            running: running statistics of the last N steps, which hold without an anchor.
        """
        if self.anchor is None:
            return running
        count = running.shape[1]
        reach = count + self.anchor.memory - 1
        return self.anchor.one_step(z[:, -reach:], observed[:, -reach:])[:, -count:]

    def locate_ahead(self, z: Tensor, observed: Tensor, running: Tensor) -> Tensor:
        """Location of each step of the horizon after z, (B, H, C); arguments as :meth:`locate`."""
        if self.anchor is None:
            return running
        reach = self.anchor.memory
        return self.anchor.ahead(z[:, -reach:], observed[:, -reach:], running.shape[1])

    def encode(
        self, y: Tensor, location: Tensor, scale: Tensor, cond: Tensor, observed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Events of values, and the logarithm of how much they are stretched.

        Args:
            y: values (*batch, *event_shape), NaN where there is none.
            location: m, (*batch, *event_shape) or broadcast to it.
            scale: s, likewise.
            cond: conditioning of the events, (*batch, *cond_shape).
            observed: which values count, (*batch, *event_shape), bool.

        Returns:
            x (*batch, *event_shape), finite, and log |dx/dy| summed over the observed elements of
            an event, (*batch,); with a learnt dequantiser less the log density of its noise.
        """
        event = tuple(range(-self.event_rank, 0))
        noise, log_noise = self._noise(y, location, scale, cond)
        z, log_slope = self.link.forward(y, noise)
        x = ((z - location) / scale).nan_to_num(0.0)
        log_stretch = torch.where(observed, log_slope - scale.log(), torch.zeros_like(x))
        return x, log_stretch.sum(event) - log_noise

    def encode_given(self, y: Tensor, location: Tensor, scale: Tensor) -> Tensor:
        """Events of values that are given, without noise: (R, H, C), 0 where there is none."""
        return ((self.on_line(y) - location) / scale).nan_to_num(0.0)

    def decode(self, x: Tensor, location: Tensor, scale: Tensor) -> Tensor:
        """Values of events, inside the support, (*batch, *event_shape)."""
        return self.link.inverse(location + scale * x)

    def _noise(
        self, y: Tensor, location: Tensor, scale: Tensor, cond: Tensor
    ) -> tuple[Tensor | None, Tensor | float]:
        """Noise in [0, 1) for whole numbers y, and its log density (*batch,) if it is learnt."""
        if not self.link.is_quantised:
            return None, 0.0
        if self.dequantiser is None:
            return torch.rand_like(y), 0.0
        middle = self.encode_given(y, location, scale)
        logits, log_density = self.dequantiser.sample_with_log_prob(torch.cat([cond, middle], -1))
        steepness = -(nn.functional.softplus(logits) + nn.functional.softplus(-logits))
        return logits.sigmoid(), log_density - steepness.sum(tuple(range(-self.event_rank, 0)))
