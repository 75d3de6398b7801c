"""The contract of every generative model."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tsgen.core import Component
from tsgen.diffusion import Guidance, LangevinSampler, Sampler


class GenerativeModel(Component, nn.Module, ABC):
    """A conditional density or sampler p(x | cond).

    Sample dimensions lead, then batch, then event, as in ``torch.distributions``. Models see values
    of order one and no NaN; scaling and missing values are the forecaster's business.

    Args:
        event_shape: (C,) for one step, (H, C) for a whole horizon.
        cond_shape: (D,), or (H, D) where each step of the horizon has its own conditioning.
    """

    players: ClassVar[tuple[str, ...]] = ("model",)
    """Who is optimised in turn.

    With more than one, each name is the submodule that the player owns.
    """
    partial: ClassVar[Literal["elements", "marginal", "drop"]] = "drop"
    """What is done with a partly observed event.

    Its elements are masked, its marginal law is used, or it is dropped.
    """

    def __init__(self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]) -> None:
        super().__init__()
        name = type(self).__name__
        if len(event_shape) not in (1, 2) or min(event_shape, default=0) < 1:
            raise ValueError(
                f"{name}: event_shape={event_shape} must be (channels,) or (horizon, channels)"
            )
        if len(cond_shape) not in (1, 2) or min(cond_shape, default=0) < 1:
            raise ValueError(f"{name}: cond_shape={cond_shape} must be (size,) or (horizon, size)")
        if len(cond_shape) == 2 and (len(event_shape) == 1 or cond_shape[0] != event_shape[0]):
            raise ValueError(
                f"{name}: cond_shape={cond_shape} gives no step of event_shape={event_shape} its "
                "own"
            )
        self.event_shape, self.cond_shape = torch.Size(event_shape), torch.Size(cond_shape)

    @property
    def has_log_prob(self) -> Literal["exact", "bound", "none"]:
        """What :meth:`log_prob` of this instance returns."""
        return "none"

    @property
    def working_size(self) -> int:
        """Numbers held per sample while sampling, for keeping memory bounded."""
        return 16 * math.prod(self.event_shape)

    @property
    def divides_rows(self) -> bool:
        """Whether its network can divide rows among threads; see :mod:`tsgen.nets.threads`."""
        return any(hasattr(part, "prepare") for part in self.modules())

    @abstractmethod
    def loss(self, x: Tensor, cond: Tensor, observed: Tensor | None = None) -> Tensor:
        """Training loss of each example; monitored and, with one player, minimised.

        Args:
            x: events (*batch, *event_shape).
            cond: conditioning (*batch, *cond_shape).
            observed: 1 where x is observed, 0 elsewhere, shaped like x; ``None`` is all observed.
                Models with ``partial = "drop"`` need not look at it.

        Returns:
            (*batch,), unreduced.
        """

    def player_loss(
        self, player: str, x: Tensor, cond: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Loss that one player minimises, (*batch,).

        Only models with several players override it.
        """
        return self.loss(x, cond, observed)

    def player_parameters(self, player: str) -> Iterable[nn.Parameter]:
        """What one player optimises: everything, or the submodule of the player's name."""
        return self.parameters() if len(self.players) == 1 else getattr(self, player).parameters()

    @abstractmethod
    def sample(self, cond: Tensor, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw from p(x | cond).

        Args:
            cond: (*batch, *cond_shape).
            sample_shape: how many draws for each.

        Returns:
            (*sample_shape, *batch, *event_shape).
        """

    def drawer(self) -> Callable[[Tensor], Tensor]:
        """``draw(cond)`` as :meth:`sample`, for one conditioning after another; without gradients.

        Meanwhile weights and sampler must stay as they are: what does not depend on the
        conditioning may be kept from call to call.
        """
        return self.sample

    def sample_given(
        self,
        cond: Tensor,
        values: Tensor,
        mask: Tensor,
        sample_shape: tuple[int, ...] = (),
        guidance: Guidance | None = None,
        start: tuple[Tensor, float] | None = None,
    ) -> Tensor:
        """Draw from p(x | cond, some elements of x); only diffusion models can.

        Args:
            cond: (*batch, *cond_shape).
            values: the given values, (*batch, *event_shape); of other elements they do not matter.
            mask: which are given, bool, like them; all False gives none.
            sample_shape: how many draws for each.
            guidance: how; the model's own choice if ``None``.
            start: an event (*batch, *event_shape) that is noised to the level of a time in (0, 1]
                and drawn anew from there (Meng et al. 2022, SDEdit).

        Returns:
            (*sample_shape, *batch, *event_shape); given elements are the values.

        Raises:
            NotImplementedError: if the model cannot.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot draw given a part of an event")

    def log_prob(self, x: Tensor, cond: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log density of each example (or a bound of it, as ``has_log_prob`` says), (*batch,).

        Args:
            x: (*batch, *event_shape).
            cond: (*batch, *cond_shape).
            observed: like x; with ``partial = "marginal"`` the density is that of the observed
                elements.
        """
        raise NotImplementedError(f"{type(self).__name__} has no log density")

    def use_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Draw with another sampler from now on; only diffusion models have one."""
        raise ValueError(f"{type(self).__name__} has no sampler to replace by {sampler!r}")

    def _batch(self, cond: Tensor, x: Tensor | None = None) -> torch.Size:
        """Check the trailing dimensions and return the batch shape."""
        for name, value, shape in (("cond", cond, self.cond_shape), ("x", x, self.event_shape)):
            if value is not None and value.shape[value.dim() - len(shape) :] != shape:
                raise ValueError(
                    f"{type(self).__name__}: {name} has shape {tuple(value.shape)}, expected "
                    f"(*batch, {', '.join(map(str, shape))})"
                )
        return cond.shape[: cond.dim() - len(self.cond_shape)]
