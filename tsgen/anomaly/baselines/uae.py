"""An autoencoder for each channel alone."""

from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from tsgen.anomaly.detector import Detector
from tsgen.anomaly.readout import Readout
from tsgen.anomaly.runs import Run
from tsgen.core import Count, OptionError, Positive, between, seeded
from tsgen.nets.optimise import minimise

_PIECE = 4096  # windows scored at a time
_CHECKS = 20  # times that the rows held out are looked at


class UAEDetector(Detector):
    r"""Univariate autoencoders: what a narrow network of a channel's own window leaves unexplained.

    :math:`e_t = (x_t - \hat x_t)^2`, where :math:`\hat x` is the window :math:`x_{t-W+1..t}` after
    two dense layers down to ``latent`` numbers and two back. No channel sees another. With the
    read-out ``Readout("dynamic")`` it was the best of ten algorithms in Garg, Zhang, Samaran,
    Savitha and Foo (2021, arXiv 2109.11428), where sizes are others. All channels are trained at
    once, by AdamW; the weights that do best on the last rows of each run are kept.

    Args:
        readout: errors by the channel's mean in training, mean over the channels.
        threshold: where alarms begin.
        policy: how scores become alarms.
        window: W, rows.
        latent: numbers kept of a window.
        hidden: width of the layers between.
        batches: of 128 windows each.
        lr: the learning rate, which falls to 0 by a cosine.
        holdout: share of each run, its end, that is not trained on and tells what is usual.
        seed: of the training.
    """

    readout: Readout = Readout("mean")  # noqa: RUF009
    window: int = 32
    latent: Count = 4
    hidden: Count = 32
    batches: Count = 2000
    lr: Positive = 3e-3
    holdout: Annotated[float, between(0, 1, "()")] = 0.2
    seed: int = 0

    learned = tuple(f"{kind}{layer}_" for layer in range(4) for kind in ("weight", "bias"))

    def __post_init__(self) -> None:
        """Check that a window is squeezed."""
        if self.window <= self.latent:
            latent = f"above latent={self.latent}"
            raise OptionError(type(self).__name__, "window", self.window, latent)

    @property
    @override
    def memory(self) -> int:
        """The window's rows but the last."""
        return self.window - 1

    @override
    def _learn(self, runs: list[Run]) -> None:
        windows = [self._windows(torch.as_tensor(run.values, dtype=torch.float32)) for run in runs]
        masks = [self._windows(torch.as_tensor(run.observed)) for run in runs]
        places = [(i, row) for i, part in enumerate(windows) for row in range(len(part))]
        fresh = self._fresh([len(run.values) for run in runs])
        ends = np.cumsum([0] + [len(run.values) for run in runs])
        held = np.array([fresh[ends[i] + self.memory + row] for i, row in places])
        training, checks = np.flatnonzero(~held), np.flatnonzero(held)
        if not len(training) or not len(checks):
            raise ValueError(
                f"UAEDetector: {len(places)} windows of {self.window} rows are too few to train on "
                f"and to hold out {self.holdout} of"
            )
        checks = checks[:: -(-len(checks) // _PIECE)]

        def take(chosen: np.ndarray) -> tuple[Tensor, Tensor]:
            rows = [places[i] for i in chosen]
            return torch.stack([windows[i][r] for i, r in rows]), torch.stack(
                [masks[i][r] for i, r in rows]
            )

        check = take(checks)
        with seeded(self.seed):
            layers = self._start(runs[0].values.shape[1])
        rng = np.random.default_rng(self.seed)
        optimiser = torch.optim.AdamW(layers, self.lr, weight_decay=1e-3)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.batches)
        best = float("inf")
        losses = (_loss(layers, *take(rng.choice(training, 128))) for _ in range(self.batches))
        for batch, _ in enumerate(minimise(losses, optimiser, decay), 1):
            if batch % max(1, self.batches // _CHECKS) == 0:
                with torch.no_grad():
                    error = float(_loss(layers, *check))
                if error < best:
                    best = error
                    for name, layer in zip(self.learned, layers, strict=True):
                        setattr(self, name, layer.detach().numpy().copy())
        if not np.isfinite(best):
            raise FloatingPointError(f"UAEDetector: the loss is {error}; lower lr={self.lr}")

    @override
    def _fresh(self, lengths: list[int]) -> np.ndarray:
        """The ends of the runs."""
        fresh = [
            np.arange(length) >= length - max(1, int(self.holdout * length)) for length in lengths
        ]
        return np.concatenate(fresh)

    @override
    def errors(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        return (values[self.memory :] - self._usual(values)) ** 2

    @override
    def _usual(self, values: np.ndarray) -> np.ndarray:
        layers = [torch.as_tensor(getattr(self, name)) for name in self.learned]
        windows = self._windows(torch.as_tensor(values, dtype=torch.float32))
        with torch.no_grad():
            last = [_decode(layers, piece)[..., -1] for piece in windows.split(_PIECE)]
        return torch.cat(last).double().numpy()

    def _windows(self, values: Tensor) -> Tensor:
        """(T, C) to views (T - W + 1, C, W)."""
        return values.unfold(0, min(self.window, len(values)), 1)[: len(values) - self.memory]

    def _start(self, channels: int) -> list[Tensor]:
        """Weights (C, in, out) and biases (C, 1, out) of four layers."""
        sizes = (self.window, self.hidden, self.latent, self.hidden, self.window)
        layers = []
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            bound = before**-0.5
            layers.append((2 * torch.rand(channels, before, after) - 1) * bound)
            layers.append((2 * torch.rand(channels, 1, after) - 1) * bound)
        return [layer.requires_grad_() for layer in layers]


def _decode(layers: list[Tensor], windows: Tensor) -> Tensor:
    """(N, C, W) through the channels' networks."""
    hidden = windows.transpose(0, 1)
    for number in range(4):
        hidden = torch.baddbmm(layers[2 * number + 1], hidden, layers[2 * number])
        if number in (0, 2):
            hidden = F.silu(hidden)
    return hidden.transpose(0, 1)


def _loss(layers: list[Tensor], windows: Tensor, observed: Tensor) -> Tensor:
    squares = (windows - _decode(layers, windows)) ** 2
    return (squares * observed).sum() / observed.sum().clamp_min(1)
