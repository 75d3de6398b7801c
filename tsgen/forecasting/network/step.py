"""Decoding step by step."""

from collections.abc import Callable

import torch
from torch import Tensor

from tsgen.forecasting.data.window import Window, repeat_last
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.inputs import InputLayout
from tsgen.forecasting.network.pairs import HorizonGiven, Pairs, StreamState


class StepForecaster(Forecaster):
    """Events of one step, unrolled: TimeGrad, ScoreGrad, TempFlow, DeepVAR.

    The encoder's output i conditions the law of step i + 1; each of context and horizon is a pair.
    """

    @staticmethod
    def shapes(layout: InputLayout, encoding: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(C,) and (D,)."""
        return (layout.num_channels,), (encoding,)

    def pairs(self, window: Window) -> Pairs:
        """X (B, L + H - 1, C), cond (B, L + H - 1, D)."""
        past, future = window.past, window.future
        y = torch.cat([past.target, future.target], 1)
        observed = torch.cat([past.observed, future.observed], 1)
        count = past.scale.shape[1] + future.target.shape[1] - 1
        z, _ = self.link.forward(y)
        inputs, location, scale = self._inputs(z, observed, window, count, self._static(window))
        cond, _ = self.encoder(inputs)
        before = y[:, -count - 1 : -1]
        return self._make_pairs(y[:, -count:], observed[:, -count:], before, location, scale, cond)

    def _condition(self, encoded: Tensor, features: Tensor) -> Tensor:
        return encoded

    def _decode(
        self,
        sample: Callable[[Tensor], Tensor],
        cond: Tensor,
        state: StreamState,
        features: Tensor,
        given: HorizonGiven | None,
    ) -> Tensor:
        if given is not None:
            raise ValueError("what is given of a horizon needs a model with decoding='horizon'")
        memory, ahead = state.values.shape[1], self.layout.horizon - 1
        # with room for what is drawn: thousands of rows and lags are not to be moved at each step
        values, observed = (
            torch.cat([v, repeat_last(v, ahead)], 1) for v in (state.values, state.observed)
        )
        observed[:, memory:] = True
        path = values.new_empty(len(values), ahead + 1, values.shape[2])
        for step, now in enumerate(range(memory, memory + ahead + 1)):
            y = self.link.inverse(state.location + state.scale * sample(cond))
            path[:, step] = y
            if step < ahead:
                values[:, now] = self.link.forward(y)[0]
                state = state._replace(values=values[:, : now + 1], observed=observed[:, : now + 1])
                cond, state = self._encode(state, features[:, step + 1])
        return path
