"""Decoding of a whole horizon at once."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from typing_extensions import override

from tsgen.encoders import HistoryEncoder
from tsgen.forecasting.data.window import Window
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.inputs import InputLayout, Inputs
from tsgen.forecasting.network.pairs import Ahead, HorizonGiven, Pairs, PathState
from tsgen.forecasting.target.target import TargetMap
from tsgen.models import Diffusion, GenerativeModel


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
        target: TargetMap,
        inputs: Inputs,
        max_numbers: int | None = None,
    ) -> None:
        super().__init__(model, encoder, layout, target, inputs, max_numbers)
        self.steps = nn.Parameter(torch.randn(layout.horizon, self.step_features))

    @staticmethod
    @override
    def shapes(layout: InputLayout, encoding: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        size = encoding + layout.num_features + HorizonForecaster.step_features
        return (layout.horizon, layout.num_channels), (layout.horizon, size)

    @override
    def pairs(self, window: Window) -> Pairs:
        y, before = window.future, window.past.target[:, -1:]
        window = self._on_line(window)
        encoded = self._encode(window, window.past.scale.shape[1])
        cond, ahead = self._condition(encoded.outputs[:, -1], y.features), self._ahead(window)
        return self._make_pairs(
            y.target, y.observed, before, ahead.location, ahead.scale, cond, encoded.penalty,
            ahead.times if self.model.takes_times else None,
        )  # fmt: skip

    @override
    def _condition(self, encoded: Tensor, features: Tensor) -> Tensor:
        repeated = encoded[:, None].expand(-1, self.layout.horizon, -1)
        steps = self.steps.expand(len(encoded), -1, -1)
        return torch.cat([repeated, features, steps], -1)

    @override
    def _ahead(self, window: Window) -> Ahead:
        past, future = window.past, window.future
        location = self.target.locate_ahead(past.target, past.observed, future.location)
        return Ahead(future.features, location, future.scale, future.times)

    @override
    def _decode(
        self,
        sample: Callable[[Tensor], Tensor],
        cond: Tensor,
        state: PathState,
        ahead: Ahead,
        given: HorizonGiven | None,
    ) -> Tensor:
        location, scale = ahead.location, ahead.scale

        def event(y: Tensor) -> Tensor:
            return self.target.encode_given(y, location, scale)

        if self.model.takes_times:
            x = self.model.sample(cond, (), ahead.times)
        elif given is None:
            x = sample(cond)
        else:
            guess = None if given.guess is None else (event(given.guess), given.strength)
            assert isinstance(self.model, Diffusion)  # the predictor has checked it
            x = self.model.sample_given(
                cond, event(given.values), given.mask, (), given.guidance, guess
            )
        return self.target.decode(x, location, scale)
