"""The contract of every history encoder."""

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from tsgen.core import Component

State: TypeAlias = Any
"""A pytree of tensors whose first dimension is the batch."""


def select_rows(state: State, rows: Tensor) -> State:
    """Pick (and repeat) batch rows of every tensor of a state."""
    return pytree.tree_map(lambda v: v[rows] if isinstance(v, Tensor) else v, state)


class HistoryEncoder(Component, nn.Module, ABC):
    """Turns a series of inputs into a series of conditioning vectors, causally.

    Args:
        input_size: D_in, features of an input.
    """

    output_size: int

    def __init__(self, input_size: int) -> None:
        super().__init__()
        if input_size < 1:
            raise ValueError(f"{type(self).__name__}: input_size={input_size} must be at least 1")
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
    ) -> tuple[Tensor, State]:
        """Encode a stretch of inputs.

        Args:
            inputs: (B, L, D_in).
            state: where to go on from; ``None`` starts anew.
            times: (B, L), for encoders that live in continuous time; others ignore it.
            observed: (B, L, D_in), 0 where an input is to be treated as absent; ``None`` is all
                present.

        Returns:
            Outputs (B, L, output_size), of which the i-th depends on inputs up to i, and the state
            after the last.
        """

    def step(
        self,
        inputs: Tensor,
        state: State,
        times: Tensor | None = None,
        observed: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Encode one more input: (B, D_in) -> (B, output_size) and the state after it."""
        outputs, state = self(
            inputs[:, None],
            state,
            None if times is None else times[:, None],
            None if observed is None else observed[:, None],
        )
        return outputs[:, 0], state

    def input_weights(self) -> list[Tensor]:
        """The matrices (units, inputs) that many inputs can saturate.

        ``lr_inputs`` of the estimators is about them. There are none where what is made of the
        inputs is normalised, as in the Transformer.
        """
        return []
