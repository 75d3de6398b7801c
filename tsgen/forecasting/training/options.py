"""The recipe of a training: how the weights move, what is averaged, when it stops early."""

from typing import Annotated, Literal

from tsgen.core import FINITE, Count, Options, Positive, at_least, between


class Training(Options):
    """The recipe by which a forecaster's weights are optimised.

    How long a training lasts, its batches and its learning rate are options of the estimator.

    Args:
        lr_schedule: "onecycle" (Smith, Topin 2019), with the estimator's ``lr`` as its peak, or
            "constant".
        lr_inputs: with N inputs, if they are more than this, the weights by which a recurrent
            encoder sees them learn at lr * lr_inputs / N; ``None``: at lr. "family" is the
            estimator's own number.
        weight_decay: Adam's L2 penalty; "family" is the estimator's own.
        gradient_clip: largest norm of a player's gradient, or ``None``.
        ema_decay: decay per batch of a moving average of the weights that predicts, or ``None``.
        patience: with validation data, epochs without a better validation loss before training
            stops; ``None`` never stops early. The best epoch's weights are used in either case.
    """

    lr_schedule: Literal["onecycle", "constant"] = "onecycle"
    lr_inputs: Count | Literal["family"] | None = "family"
    weight_decay: Annotated[float, at_least(0), FINITE] | Literal["family"] = "family"
    gradient_clip: Positive | None = 10.0
    ema_decay: Annotated[float, between(0, 1, "()")] | None = None
    patience: Count | None = 10

    def of_family(self, lr_inputs: int | None = None, weight_decay: float = 1e-6) -> "Training":
        """The recipe with a family's numbers where it says "family"."""
        return self.replace(
            lr_inputs=lr_inputs if self.lr_inputs == "family" else self.lr_inputs,
            weight_decay=weight_decay if self.weight_decay == "family" else self.weight_decay,
        )
