"""Changes whose variance moves, fitted by arch (the extra ``baselines``)."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd

from tsgen.core import at_least
from tsgen.estimators.baselines.classical import ClassicalBaseline
from tsgen.estimators.baselines.histories import fill_gaps, logarithm, unseen_since


class GARCHEstimator(ClassicalBaseline):
    r"""Changes whose variance moves: GARCH(1, 1) of each channel (Bollerslev 1986).

    .. math:: r_t = \mu + \sum_i \phi_i r_{t-i} + \sigma_t z_t, \quad
              \sigma_t^2 = \omega + \alpha (\sigma_{t-1} z_{t-1})^2 + \beta \sigma_{t-1}^2

    with the changes :math:`r_t` of the target or of its logarithm, by the normal quasi-likelihood.
    The standardised errors z of all channels belong together: of one time, or of a normal law with
    a constant correlation (Bollerslev 1990).

    Args:
        transform: "difference" of the target, or "log": of its logarithm, for positive targets.
        lags: order of the mean's autoregression; 0 for a constant mean.
    """

    package: ClassVar[str] = "arch"

    transform: Literal["difference", "log"] = "difference"
    lags: Annotated[int, at_least(0)] = 0

    def paths(self, history: np.ndarray, start: pd.Period, num_samples: int) -> np.ndarray:
        """Fit the changes of each channel and add up drawn ones."""
        if self.transform == "difference":
            return super().paths(history, start, num_samples)
        observed = np.isfinite(history)
        history = np.where(observed, logarithm(fill_gaps(history)), np.nan)
        return np.exp(super().paths(history, start, num_samples))

    def _simulate(
        self, values: np.ndarray, season: int, num_samples: int, channels: np.ndarray
    ) -> np.ndarray:
        observed, since = np.isfinite(values), unseen_since(values)
        values, ahead = fill_gaps(values), int(since.max())
        steps, mask = np.diff(values, axis=0), observed[1:] & observed[:-1]
        self._need(int(mask.sum(0).min()) + 1, 50 + self.lags, "a GARCH(1, 1)")
        size = np.array([r[k].std() for r, k in zip(steps.T, mask.T, strict=True)])
        fits: dict[int, Any] = {}
        errors, has_error = np.zeros_like(steps), np.zeros_like(mask)
        for k, channel in enumerate(channels):
            rows = np.flatnonzero(mask[:, k])
            if size[k] <= 1e-12 * np.abs(steps[rows, k]).max():
                continue
            with self._fitting(f"channel {channel}"):
                fits[k] = self._fit(steps[rows, k] / size[k])
            rows = rows[self.lags :]
            errors[rows, k], has_error[rows, k] = fits[k].std_resid[self.lags :], True
        drawn = self._draw_errors(errors, has_error, num_samples, ahead)
        # a change that is always the same goes on
        changes = np.broadcast_to(steps[mask.argmax(0), np.arange(len(size))], drawn.shape).copy()
        for k, fit in fits.items():
            noise = drawn[:, ahead - since[k] :, k]
            simulated = fit.forecast(
                horizon=noise.shape[1],
                method="simulation",
                simulations=num_samples,
                rng=_noise_source(noise),
            ).simulations.values[-1]
            changes[:, ahead - since[k] :, k] = simulated * size[k]
        changes *= np.arange(changes.shape[1])[:, None] >= ahead - since
        return values[-1] + changes.cumsum(1)[:, ahead:]

    def _fit(self, r: np.ndarray) -> Any:
        from arch import arch_model

        mean: dict[str, Any] = {"mean": "AR", "lags": self.lags} if self.lags else {}
        model = arch_model(r, **mean, vol="GARCH", p=1, q=1, rescale=False)
        return model.fit(disp="off", show_warning=True)


def _noise_source(drawn: np.ndarray) -> Callable[[Any], np.ndarray]:
    return lambda size: drawn.reshape(size)
