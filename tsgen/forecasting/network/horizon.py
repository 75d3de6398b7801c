"""Decoding of a whole horizon at once."""

import torch
from torch import Tensor, nn

from tsgen.encoders import HistoryEncoder
from tsgen.forecasting.network.forecaster import Drawer, Forecaster
from tsgen.forecasting.network.inputs import InputLayout
from tsgen.forecasting.network.pairs import Known, Pairs, StreamState
from tsgen.models import Flow, GenerativeModel


class HorizonForecaster(Forecaster):
    """Events of a whole horizon, drawn at once: GAN, VAE, latent ODE, diffusion over (H, C).

    The encoder sees the past only; each step's conditioning is its last output, the known features
    of that step and a learnt vector of the step's number.
    """

    step_features = 8

    def __init__(
        self,
        model: GenerativeModel,
        encoder: HistoryEncoder,
        layout: InputLayout,
        max_numbers: int | None = None,
        dequantiser: Flow | None = None,
    ) -> None:
        super().__init__(model, encoder, layout, max_numbers, dequantiser)
        self.steps = nn.Parameter(torch.randn(layout.horizon, self.step_features))

    @staticmethod
    def shapes(layout: InputLayout, encoding: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(H, C) and (H, D + F + 8)."""
        size = encoding + layout.num_known + HorizonForecaster.step_features
        return (layout.horizon, layout.num_channels), (layout.horizon, size)

    def pairs(self, **batch: Tensor) -> Pairs:
        """X (B, H, C), cond (B, H, D + F + 8)."""
        cond, state = self.start(**batch)
        location, scale = state.location[:, None], state.scale[:, None]
        before = batch["past_target"][:, -1:]
        return self._make_pairs(
            batch["future_target"], batch["future_observed"], before, location, scale, cond
        )

    def _condition(self, encoded: Tensor, future_known: Tensor) -> Tensor:
        horizon = self.layout.horizon
        repeated = encoded[:, None].expand(-1, horizon, -1)
        steps = self.steps.expand(len(encoded), -1, -1)
        return torch.cat([repeated, future_known, steps], -1)

    def _draw(
        self, draw: Drawer, cond: Tensor, state: StreamState, future: Tensor, known: Known | None
    ) -> Tensor:
        location, scale = state.location[:, None], state.scale[:, None]

        def scaled(y: Tensor) -> Tensor:
            return ((self.link.forward(y)[0] - location) / scale).nan_to_num(0.0)

        if known is None:
            x = draw(cond)
        else:
            guess = None if known.guess is None else (scaled(known.guess), known.strength)
            assert isinstance(self.model, Diffusion)  # the predictor has asked for one
            x = self.model.sample_given(
                cond, scaled(known.values), known.mask, (), known.guidance, guess
            )
        return self.link.inverse(location + scale * x)
