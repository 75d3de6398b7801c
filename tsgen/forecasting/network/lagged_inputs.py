"""Inputs of lagged values."""

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.forecasting.data.window import Window, repeat_last
from tsgen.forecasting.network.inputs import (
    EncoderInputs,
    InputLayout,
    Inputs,
    input_times,
    over_steps,
    raw_statistics,
    squash,
)
from tsgen.forecasting.network.pairs import PathState


class LaggedInputs(Inputs):
    """Scaled values at several lags, and all else that is known at a step.

    An input of D_in features holds, in this order: lagged values of every channel, the latest first
    (all channels of a lag together); features of the step predicted; with missing values, which
    lagged values were observed; past covariates and whether they are of this step; static features;
    in a panel the standardised statistics that scale the values.

    Args:
        layout: what a window holds, and the lags.
    """

    lags: Tensor
    statistics_mean: Tensor
    statistics_std: Tensor

    def __init__(self, layout: InputLayout) -> None:
        super().__init__(layout)
        self.memory = max(layout.lags)
        lagged = layout.num_channels * len(layout.lags) * (2 if layout.missing else 1)
        covariates = layout.num_covariates + 1 if layout.num_covariates else 0
        self.input_size = lagged + layout.num_features + covariates + layout.static_size
        self.input_size += len(layout.statistics_mean)
        mean, std = (torch.tensor(v) for v in (layout.statistics_mean, layout.statistics_std))
        self.register_buffer("statistics_mean", mean, persistent=False)
        self.register_buffer("statistics_std", std, persistent=False)
        self.register_buffer("lags", torch.tensor(layout.lags), persistent=False)

    @override
    def window(self, window: Window, steps: int) -> EncoderInputs:
        past, future = window.past, window.future
        context = past.scale.shape[1]
        ahead, start = steps - context, past.target.shape[1] - context
        z, observed = past.target, past.observed
        if ahead:
            z = torch.cat([z, future.target[:, :ahead]], 1)
            observed = torch.cat([observed, future.observed[:, :ahead]], 1)
        index = start + 1 + torch.arange(steps, device=z.device)[:, None] - self.lags
        scale = over_steps(past.scale, future.scale, steps)
        fresh = torch.ones_like(scale[..., :1])
        fresh[:, context:] = 0
        inputs = self._assemble(
            z[:, index], observed[:, index],
            over_steps(past.location, future.location, steps), scale,
            torch.cat([past.features[:, 1:], future.features[:, : ahead + 1]], 1),
            torch.cat([past.covariates, repeat_last(past.covariates, ahead)], 1), fresh,
            window.static[:, None].expand(-1, steps, -1), window.center[:, None],
        )  # fmt: skip
        times, query = input_times(window, steps)
        return EncoderInputs(inputs, times, None, query)

    @override
    def step(
        self, state: PathState, features: Tensor, time: Tensor | None, query: Tensor | None
    ) -> EncoderInputs:
        inputs = self._assemble(
            state.values[:, -self.lags], state.observed[:, -self.lags], state.location,
            state.scale, features, state.covariates, torch.zeros_like(state.scale[:, :1]),
            state.static, state.center,
        )  # fmt: skip
        return EncoderInputs(inputs, time, None, query)

    def _assemble(
        self, lagged: Tensor, lagged_observed: Tensor, location: Tensor, scale: Tensor,
        features: Tensor, covariates: Tensor, fresh: Tensor, static: Tensor, center: Tensor,
    ) -> Tensor:  # fmt: skip
        r"""The input of a step, (\*, D_in), from lagged values (\*, lags, C) and the rest."""
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
