"""Decoding step by step."""

import torch
from torch import Tensor

from tsgen.forecasting.network.forecaster import Drawer, Forecaster, extend
from tsgen.forecasting.network.inputs import InputLayout
from tsgen.forecasting.network.pairs import Known, Pairs, StreamState


class StepForecaster(Forecaster):
    """Events of one step, unrolled: TimeGrad, ScoreGrad, TempFlow, DeepVAR.

    The encoder's output i conditions the law of step i + 1; each of context and horizon is a pair.
    """

    @staticmethod
    def shapes(layout: InputLayout, encoding: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(C,) and (D,)."""
        return (layout.num_channels,), (encoding,)

    def pairs(self, **batch: Tensor) -> Pairs:
        """X (B, L + H - 1, C), cond (B, L + H - 1, D)."""
        y = torch.cat([batch["past_target"], batch["future_target"]], 1)
        observed = torch.cat([batch["past_observed"], batch["future_observed"]], 1)
        count = batch["past_location"].shape[1] + batch["future_target"].shape[1] - 1
        z, _ = self.link.forward(y)
        inputs, location, scale = self._inputs(z, observed, batch, count, self._static(batch))
        cond, _ = self.encoder(inputs)
        before = y[:, -count - 1 : -1]
        return self._make_pairs(y[:, -count:], observed[:, -count:], before, location, scale, cond)

    def _condition(self, encoded: Tensor, future_known: Tensor) -> Tensor:
        return encoded

    def _draw(
        self, draw: Drawer, cond: Tensor, state: StreamState, future: Tensor, known: Known | None
    ) -> Tensor:
        if known is not None:
            raise ValueError("what is known of a horizon needs a model with decoding='horizon'")
        memory, ahead = state.values.shape[1], self.layout.horizon - 1
        # with room for what is drawn: thousands of rows and lags are not to be moved at each step
        values, observed = extend(state.values, ahead), extend(state.observed, ahead)
        observed[:, memory:] = True
        path = values.new_empty(len(values), ahead + 1, values.shape[2])
        for step, now in enumerate(range(memory, memory + ahead + 1)):
            y = self.link.inverse(state.location + state.scale * draw(cond))
            path[:, step] = y
            if step < ahead:
                values[:, now] = self.link.forward(y)[0]
                state = state._replace(values=values[:, : now + 1], observed=observed[:, : now + 1])
                cond, state = self._encode({"target": y}, future[:, step + 1], state)
        return path
