"""The contract of every history encoder."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, TypeAlias

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from tsgen.core import Component, Count

State: TypeAlias = Any
"""A pytree of tensors whose first dimension is the batch."""


def select_rows(state: State, rows: Tensor) -> State:
    """Pick (and repeat) batch rows of every tensor of a state."""
    return pytree.tree_map(lambda v: v[rows] if isinstance(v, Tensor) else v, state)


class Encoded(NamedTuple):
    """What an encoder makes of N inputs, or, in a step, of one."""

    outputs: Tensor
    """(B, N, output_size), or (B, output_size)."""
    state: State
    """After the last input."""
    penalty: Tensor | None = None
    """(B,), to be kept small in training: a divergence, a speed; ``None`` where there is none."""


class HistoryEncoder(Component, nn.Module, ABC):
    """Turns a series of inputs into a series of conditioning vectors.

    Args:
        input_size: D_in, features of an input.
    """

    causal: ClassVar[bool] = True
    """Whether an output depends on inputs up to its own only.

    One that is not can condition a whole horizon, but no path that is drawn step by step.
    """
    output_size: int

    def __init__(self, input_size: Count) -> None:
        super().__init__()
        self.input_size = input_size

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first input."""

    @abstractmethod
    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        times: Tensor | None = None,
        observed: Tensor | None = None,
        query: Tensor | None = None,
    ) -> Encoded:
        """Encode a stretch of inputs.

        Args:
            inputs: (B, N, D_in).
            state: where to go on from; ``None`` starts anew.
            times: of the inputs, (B, N), increasing, in units of the median gap, for encoders that
                live in continuous time; ``None``: one unit apart. Others ignore them.
            observed: (B, N, D_in), 0 where an input is to be treated as absent; ``None`` is all
                present.
            query: (B, N), the time that each output is asked for, later than its input's and at
                most that of the next; ``None`` is the inputs' own times.
        """

    def step(
        self,
        inputs: Tensor,
        state: State,
        times: Tensor | None = None,
        observed: Tensor | None = None,
        query: Tensor | None = None,
    ) -> Encoded:
        """Encode one more input: (B, D_in) -> (B, output_size), times and query (B,).

        Raises:
            NotImplementedError: if the encoder is not causal.
        """
        if not self.causal:
            raise NotImplementedError(
                f"{type(self).__name__} is not causal: it encodes whole stretches only"
            )
        times, observed, query = (
            None if value is None else value[:, None] for value in (times, observed, query)
        )
        encoded = self(inputs[:, None], state, times, observed, query)
        return encoded._replace(outputs=encoded.outputs[:, 0])

    def input_weights(self) -> list[Tensor]:
        """The matrices (units, inputs) that many inputs can saturate.

        ``lr_inputs`` of the estimators is about them. There are none where what is made of the
        inputs is normalised, as in the Transformer.
        """
        return []
