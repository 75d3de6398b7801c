"""Decoding of a whole horizon at once."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tsgen.encoders import HistoryEncoder
from tsgen.forecasting.data.window import Window
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.inputs import InputLayout
from tsgen.forecasting.network.pairs import HorizonGiven, Pairs, StreamState
from tsgen.models import Diffusion, Flow, GenerativeModel


class HorizonForecaster(Forecaster):
    """Events of a whole horizon, drawn at once: GAN, VAE, latent ODE, diffusion over (H, C).

    The encoder sees the past only; each step's conditioning is its last output, the features of
    that step and a learnt vector of the step's number.
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
        size = encoding + layout.num_features + HorizonForecaster.step_features
        return (layout.horizon, layout.num_channels), (layout.horizon, size)

    def pairs(self, window: Window) -> Pairs:
        """X (B, H, C), cond (B, H, D + F + 8)."""
        cond, state = self.start(window)
        location, scale = state.location[:, None], state.scale[:, None]
        before, future = window.past.target[:, -1:], window.future
        return self._make_pairs(future.target, future.observed, before, location, scale, cond)

    def _condition(self, encoded: Tensor, features: Tensor) -> Tensor:
        horizon = self.layout.horizon
        repeated = encoded[:, None].expand(-1, horizon, -1)
        steps = self.steps.expand(len(encoded), -1, -1)
        return torch.cat([repeated, features, steps], -1)

    def _decode(
        self,
        sample: Callable[[Tensor], Tensor],
        cond: Tensor,
        state: StreamState,
        features: Tensor,
        given: HorizonGiven | None,
    ) -> Tensor:
        location, scale = state.location[:, None], state.scale[:, None]

        def scaled(y: Tensor) -> Tensor:
            return ((self.link.forward(y)[0] - location) / scale).nan_to_num(0.0)

        if given is None:
            x = sample(cond)
        else:
            guess = None if given.guess is None else (scaled(given.guess), given.strength)
            assert isinstance(self.model, Diffusion)  # the predictor has checked it
            x = self.model.sample_given(
                cond, scaled(given.values), given.mask, (), given.guidance, guess
            )
        return self.link.inverse(location + scale * x)
