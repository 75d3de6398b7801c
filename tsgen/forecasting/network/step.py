"""Decoding step by step."""

from collections.abc import Callable

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.forecasting.data.window import Window, repeat_last
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.network.inputs import InputLayout, over_steps
from tsgen.forecasting.network.pairs import Ahead, HorizonGiven, Pairs, PathState


class StepForecaster(Forecaster):
    """Events of one step, unrolled: TimeGrad, ScoreGrad, TempFlow, DeepVAR.

    The encoder's output i conditions the law of step i + 1; each of context and horizon is a pair.

    Raises:
        ValueError: for an encoder whose outputs look at later inputs, or a model that takes the
            times of a horizon.
    """

    unrolls = True

    @staticmethod
    @override
    def shapes(layout: InputLayout, encoding: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (layout.num_channels,), (encoding,)

    @override
    def pairs(self, window: Window) -> Pairs:
        past, future = window.past, window.future
        y = torch.cat([past.target, future.target], 1)
        observed = torch.cat([past.observed, future.observed], 1)
        context = past.scale.shape[1]
        count = context + future.target.shape[1] - 1
        window = self._follow(self._on_line(window))
        encoded = self._encode(window, count)
        location = over_steps(window.past.location, window.future.location, count)
        scale = over_steps(window.past.scale, window.future.scale, count)
        before = y[:, -count - 1 : -1]
        return self._make_pairs(
            y[:, -count:], observed[:, -count:], before, location, scale, encoded.outputs,
            encoded.penalty,
        )  # fmt: skip

    def _follow(self, window: Window) -> Window:
        """The window with each step of its horizon located by the true ones before it."""
        past, future = window.past, window.future
        z = torch.cat([past.target, future.target[:, :-1]], 1)
        observed = torch.cat([past.observed, future.observed[:, :-1]], 1)
        location = self.target.locate(z, observed, future.location)
        return window._replace(future=future._replace(location=location))

    @override
    def _condition(self, encoded: Tensor, features: Tensor) -> Tensor:
        return encoded

    @override
    def _ahead(self, window: Window) -> Ahead:
        future = window.future
        return Ahead(future.features, future.location, future.scale, future.times)

    @override
    def _decode(
        self,
        sample: Callable[[Tensor], Tensor],
        cond: Tensor,
        state: PathState,
        ahead: Ahead,
        given: HorizonGiven | None,
    ) -> Tensor:
        if given is not None:
            raise ValueError("what is given of a horizon needs a model with decoding='horizon'")
        memory, more = state.values.shape[1], self.layout.horizon - 1
        # with room for what is drawn: thousands of rows and lags are not to be moved at each step
        values, observed = (
            torch.cat([v, repeat_last(v, more)], 1) for v in (state.values, state.observed)
        )
        observed[:, memory:] = True
        path = values.new_empty(len(values), more + 1, values.shape[2])
        for step, now in enumerate(range(memory, memory + more + 1)):
            y = self.target.decode(sample(cond), state.location, state.scale)
            path[:, step] = y
            if step < more:
                values[:, now] = self.target.on_line(y)
                state = state._replace(values=values[:, : now + 1], observed=observed[:, : now + 1])
                cond, state = self._advance(state, ahead, step)
        return path

    def _advance(self, state: PathState, ahead: Ahead, step: int) -> tuple[Tensor, PathState]:
        """Encode the value just drawn, of a step of the horizon, for predicting the next one."""
        running = ahead.location[:, step + 1 : step + 2]
        location = self.target.locate(state.values, state.observed, running)[:, 0]
        state = state._replace(location=location, scale=ahead.scale[:, step + 1])
        times = ahead.times
        now, query = (None, None) if times is None else (times[:, step], times[:, step + 1])
        inputs = self.inputs.step(state, ahead.features[:, step + 1], now, query)
        encoded = self.encoder.step(
            inputs.inputs, state.encoder, inputs.times, inputs.observed, inputs.query
        )
        return encoded.outputs, state._replace(encoder=encoded.state)
