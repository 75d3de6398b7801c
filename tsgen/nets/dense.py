"""A denoising network of dense layers, for events whose elements have no order."""

import math

import torch
from torch import Tensor, nn
from typing_extensions import override

from tsgen.nets.contract import DenoisingNet, masked_inputs
from tsgen.nets.embedding import TimeEmbedding


class DenseDenoiser(DenoisingNet):
    """Predicts an array of the shape of a noised event, each element from all.

    Residual blocks with layer normalisation, to which the diffusion time and the conditioning are
    added.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        layers: number of residual blocks.
        hidden: width of the blocks.
        embedding: size of the time's embedding, half sines and half cosines.
        max_frequency: the largest angular frequency of the embedding of t in [0, 1].
        extra: further arrays of the event's shape that are seen beside it.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        layers: int = 3,
        hidden: int = 256,
        embedding: int = 32,
        max_frequency: float = 100.0,
        extra: int = 0,
    ) -> None:
        super().__init__()
        self.event_shape = event_shape
        size = math.prod(event_shape)
        self.time_embedding = TimeEmbedding(embedding, hidden, max_frequency, activated=False)
        self.cond_net = nn.Sequential(
            nn.Linear(math.prod(cond_shape), hidden), nn.SiLU(), nn.Linear(hidden, hidden)
        )
        # the event, which of it was observed, and the rest
        self.input = nn.Linear((2 + extra) * size, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.SiLU(),
                nn.Linear(hidden, hidden),
            )
            for _ in range(layers)
        )  # fmt: skip
        self.output = nn.Linear(hidden, size)
        nn.init.zeros_(self.output.weight)

    @property
    @override
    def working_size(self) -> int:
        return 6 * self.output.in_features + 4 * self.output.out_features

    @override
    def condition(self, cond: Tensor) -> Tensor:
        """The conditioning's part of the first state, (rows, hidden)."""
        return self.cond_net(cond.flatten(1))

    @override
    def embed(self, t: Tensor) -> Tensor:
        """Times (rows,) in [0, 1] -> (rows, hidden)."""
        return self.time_embedding(t)

    @override
    def forward(
        self,
        x: Tensor,
        time: Tensor,
        conditioning: Tensor,
        observed: Tensor | None = None,
        extra: Tensor | None = None,
    ) -> Tensor:
        flat = [array.flatten(1) for array in masked_inputs(x, observed, extra)]
        hidden = self.input(torch.cat(flat, 1)) + time + conditioning
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.output(hidden).view(-1, *self.event_shape)


class EnergyDenoiser(DenseDenoiser):
    r"""The gradient of an energy :math:`E = \frac12 \lVert x - f(x, t, c) \rVert^2` by x.

    Training it as a noise predictor is denoising score matching (Vincent 2011): the score of the
    noised events is :math:`-\nabla E / \sigma_t`, so their density is
    :math:`\exp(-E / \sigma_t)` but for a factor that x does not change. The form of E is that of
    Salimans, Ho 2021 (Should EBMs model the energy or the score?), whose f is the network of
    :class:`DenseDenoiser`. A step costs about three times as much.
    """

    def energies(
        self,
        x: Tensor,
        time: Tensor,
        conditioning: Tensor,
        observed: Tensor | None = None,
        extra: Tensor | None = None,
    ) -> Tensor:
        """The elements' parts of E, like x; 0 where nothing was observed."""
        parts = (x - super().forward(x, time, conditioning, observed, extra)) ** 2 / 2
        return parts if observed is None else parts * observed

    @override
    def forward(
        self,
        x: Tensor,
        time: Tensor,
        conditioning: Tensor,
        observed: Tensor | None = None,
        extra: Tensor | None = None,
    ) -> Tensor:
        """The gradient, (rows, *event_shape)."""
        learning = torch.is_grad_enabled()
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            energy = self.energies(x, time, conditioning, observed, extra).sum()
            (gradient,) = torch.autograd.grad(energy, x, create_graph=learning)
        return gradient
