"""Inputs of values, masks and times."""

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


class TimedInputs(Inputs):
    r"""Values, masks and the time since each channel was observed (Che et al. 2018, GRU-D).

    For encoders that live in time, or series whose steps are not regular. An input of D_in features
    holds, in this order, with t the time of its step:

    - the scaled value of each channel, absent (``observed`` is 0) where there is none;
    - the mask of each channel;
    - :math:`\log(1 + t - t_c)` with :math:`t_c` the time at which channel c was last observed, the
      window's first step if it never was;
    - :math:`\log(1 + t' - t)` with :math:`t'` the time of the step predicted;
    - features of the step predicted, past covariates, static features, and in a panel the
      standardised statistics, as :class:`~tsgen.forecasting.network.lagged_inputs.LaggedInputs`.

    Times are in units of the median gap; steps of regular series are one apart.

    Args:
        layout: what a window holds.
    """

    takes_times = True

    statistics_mean: Tensor
    statistics_std: Tensor

    def __init__(self, layout: InputLayout) -> None:
        super().__init__(layout)
        covariates = layout.num_covariates + 1 if layout.num_covariates else 0
        self.input_size = 3 * layout.num_channels + 1 + layout.num_features + covariates
        self.input_size += layout.static_size + len(layout.statistics_mean)
        mean, std = (torch.tensor(v) for v in (layout.statistics_mean, layout.statistics_std))
        self.register_buffer("statistics_mean", mean, persistent=False)
        self.register_buffer("statistics_std", std, persistent=False)

    @override
    def window(self, window: Window, steps: int) -> EncoderInputs:
        past, future = window.past, window.future
        assert past.times is not None and future.times is not None
        context = past.scale.shape[1]
        ahead = steps - context
        z, observed, times = (
            torch.cat([before, after[:, :ahead]], 1)
            for before, after in (
                (past.target, future.target),
                (past.observed, future.observed),
                (past.times[..., None], future.times[..., None]),
            )
        )
        # times of what is not observed count as the window's first, which is the smallest
        last = torch.where(observed, times, times[:, :1]).cummax(1).values
        since = (times - last)[:, -steps:]
        fresh = torch.ones_like(since[..., :1])
        fresh[:, context:] = 0
        own, query = input_times(window, steps)
        assert own is not None and query is not None
        return self._assemble(
            z[:, -steps:], observed[:, -steps:], since,
            over_steps(past.location, future.location, steps),
            over_steps(past.scale, future.scale, steps),
            torch.cat([past.features[:, 1:], future.features[:, : ahead + 1]], 1),
            torch.cat([past.covariates, repeat_last(past.covariates, ahead)], 1), fresh,
            window.static[:, None].expand(-1, steps, -1), window.center[:, None], own, query,
        )  # fmt: skip

    @override
    def step(
        self, state: PathState, features: Tensor, time: Tensor | None, query: Tensor | None
    ) -> EncoderInputs:
        assert time is not None and query is not None
        z = state.values[:, -1]
        zero = torch.zeros_like(z)  # a value that was drawn has just been observed
        return self._assemble(
            z, state.observed[:, -1], zero, state.location, state.scale, features,
            state.covariates, zero[:, :1], state.static, state.center, time, query,
        )  # fmt: skip

    def _assemble(
        self, z: Tensor, observed: Tensor, since: Tensor, location: Tensor, scale: Tensor,
        features: Tensor, covariates: Tensor, fresh: Tensor, static: Tensor, center: Tensor,
        times: Tensor, query: Tensor,
    ) -> EncoderInputs:  # fmt: skip
        r"""The input of a step, all tensors (\*, features) but the times, which are (\*)."""
        values = squash(((z - location) / scale).nan_to_num(0.0, 0.0, 0.0))
        mask = observed.to(values.dtype)
        parts = [mask, since.log1p(), (query - times)[..., None].log1p(), features]
        if self.layout.num_covariates:
            parts += [squash(covariates), fresh]
        parts.append(static)
        if self.layout.statistics_mean:
            statistics = raw_statistics(self.layout.scaling, location, scale, center)
            parts.append(squash((statistics - self.statistics_mean) / self.statistics_std))
        inputs = torch.cat([values, *parts], -1)
        present = torch.ones_like(inputs)
        present[..., : values.shape[-1]] = mask
        return EncoderInputs(inputs, times, present, query)
