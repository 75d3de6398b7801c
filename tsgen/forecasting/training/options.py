"""The recipe of a training: how the weights move, what is averaged, when it stops early."""

from typing import Literal

from tsgen.core import Options


class Training(Options):
    """The recipe by which a forecaster's weights are optimised.

    How long a training lasts, its batches and its learning rate are options of the estimator.

    Args:
        lr_schedule: "onecycle" (Smith, Topin 2019), with the estimator's ``lr`` as its peak, or
            "constant".
        lr_inputs: with N inputs, if they are more than this, the weights by which a recurrent
            encoder sees them learn at lr * lr_inputs / N; ``None``: at lr.
        weight_decay: Adam's L2 penalty.
        gradient_clip: largest norm of a player's gradient, or ``None``.
        ema_decay: decay per batch of a moving average of the weights that predicts, or ``None``.
        patience: with validation data, epochs without a better validation loss before training
            stops; ``None`` never stops early. The best epoch's weights are used in either case.
    """

    lr_schedule: Literal["onecycle", "constant"] = "onecycle"
    lr_inputs: int | None = None
    weight_decay: float = 1e-6
    gradient_clip: float | None = 10.0
    ema_decay: float | None = None
    patience: int | None = 10

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("lr_inputs", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"Training: {name}={value} must be at least 1, or None")
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise ValueError(f"Training: gradient_clip={self.gradient_clip} must be above 0")
        if not self.weight_decay >= 0:
            raise ValueError(f"Training: weight_decay={self.weight_decay} must be at least 0")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"Training: ema_decay={self.ema_decay} must lie in (0, 1)")
