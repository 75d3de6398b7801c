"""The contract of every generative model."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from tsgen.core import Component, OptionError
from tsgen.diffusion import LangevinSampler, Sampler
from tsgen.nets import DenoisingNet

LogProb = Literal["exact", "bound", "unnormalised", "none"]


class Player(NamedTuple):
    """A player owns the parameters that one optimiser moves, and says how it moves them."""

    name: str
    parts: tuple[str, ...] = ()
    """Submodules of the model that the player owns; none named: the whole model."""
    every: int = 1
    """The player takes a step at every so many batches."""
    lr: float = 1.0
    """Factor of the learning rate."""
    betas: tuple[float, float] | None = None
    """Adam's decay rates, which then stay; ``None``: (0.9, 0.999), of which the one-cycle schedule
    varies the first."""
    encoder: bool = True
    """Whether the player also trains what lies before the model: encoder and embeddings."""


class GenerativeModel(Component, nn.Module, ABC):
    """A conditional density or sampler p(x | cond).

    Sample dimensions lead, then batch, then event, as in ``torch.distributions``. Models get values
    of order one and no NaN; scaling and missing values are the forecaster's business.

    A family implements the hooks :meth:`_loss`, :meth:`_sample` and, with a density,
    :meth:`_log_prob` on rows: events (R, *event_shape), conditioning (R, *cond_shape). The public
    methods check shapes, flatten the batch, repeat the conditioning and restore the batch.

    Args:
        event_shape: (C,) for one step, (H, C) for a whole horizon.
        cond_shape: (D,), or (H, D) where each step of the horizon has its own conditioning.
    """

    event_kind: ClassVar[Literal["real", "codes"]] = "real"
    """What an element of an event is: a real number, or the code of a vocabulary's word."""
    takes_times: ClassVar[bool] = False
    """Whether the model asks for the times of a horizon's steps, (*batch, H)."""
    partial: ClassVar[Literal["elements", "marginal", "drop"]] = "drop"
    """What is done with a partly observed event.

    Its elements are masked, its marginal law is used, or it is dropped.
    """

    def __init__(self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]) -> None:
        super().__init__()
        name = type(self).__name__
        if len(event_shape) not in (1, 2) or min(event_shape, default=0) < 1:
            shapes = "(channels,) or (horizon, channels)"
            raise OptionError(name, "event_shape", event_shape, shapes)
        if len(cond_shape) not in (1, 2) or min(cond_shape, default=0) < 1:
            raise OptionError(name, "cond_shape", cond_shape, "(size,) or (horizon, size)")
        if len(cond_shape) == 2 and (len(event_shape) == 1 or cond_shape[0] != event_shape[0]):
            shapes = f"(size,), or (horizon, size) with the horizon of event_shape={event_shape}"
            raise OptionError(name, "cond_shape", cond_shape, shapes)
        if self.takes_times and len(event_shape) == 1:
            raise OptionError(
                name, "event_shape", event_shape,
                "(horizon, channels), for the model takes the times of a horizon's steps",
                "an estimator's decoding='horizon' has them",
            )  # fmt: skip
        self.event_shape, self.cond_shape = torch.Size(event_shape), torch.Size(cond_shape)

    @property
    def players(self) -> tuple[Player, ...]:
        """Who is optimised in turn, on every batch in this order."""
        return (Player("model"),)

    @property
    def has_log_prob(self) -> LogProb:
        """What :meth:`log_prob` of this instance returns."""
        return "none"

    @property
    def working_size(self) -> int:
        """Numbers held per sample while sampling, for keeping memory bounded."""
        return 16 * math.prod(self.event_shape)

    @property
    def divides_rows(self) -> bool:
        """Whether a network divides rows among threads; see :mod:`tsgen.nets.parallel.threads`."""
        return any(p.divides_rows for p in self.modules() if isinstance(p, DenoisingNet))

    @abstractmethod
    def _loss(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        """Training loss of each row, (R,)."""

    @abstractmethod
    def _sample(self, cond: Tensor, times: Tensor | None) -> Tensor:
        """One draw for each row of the conditioning, (R, *event_shape)."""

    def _log_prob(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        """Log density of each row, or what ``has_log_prob`` says, (R,)."""
        raise NotImplementedError(f"{type(self).__name__} has no log density")

    def _player_loss(
        self, player: str, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        """Loss of each row that one of several players minimises, (R,)."""
        return self._loss(x, cond, observed, times)

    def loss(
        self,
        x: Tensor,
        cond: Tensor,
        observed: Tensor | None = None,
        times: Tensor | None = None,
    ) -> Tensor:
        """Training loss of each example, which one player alone minimises.

        Args:
            x: events (*batch, *event_shape).
            cond: conditioning (*batch, *cond_shape).
            observed: 1 where x is observed, 0 elsewhere, shaped like x; ``None`` is all observed.
                Models with ``partial = "drop"`` need not look at it.
            times: of a horizon's steps, (*batch, H), for models that take times.

        Returns:
            (*batch,), unreduced.

        Raises:
            ValueError: naming a tensor of another shape than the model's.
        """
        batch = self._batch(cond, x, times)
        return self._loss(*self._rows(x, cond, observed, times)).view(batch)

    def player_loss(
        self,
        player: str,
        x: Tensor,
        cond: Tensor,
        observed: Tensor | None = None,
        times: Tensor | None = None,
    ) -> Tensor:
        """Loss that one of several players minimises, (*batch,); arguments as for :meth:`loss`."""
        batch = self._batch(cond, x, times)
        return self._player_loss(player, *self._rows(x, cond, observed, times)).view(batch)

    def monitor(
        self,
        x: Tensor,
        cond: Tensor,
        observed: Tensor | None = None,
        times: Tensor | None = None,
    ) -> Tensor:
        r"""What validation watches of each example, (*batch,); arguments as for :meth:`loss`.

        With one player it is the loss. The losses of several say nothing of how good samples are;
        then it is an unbiased estimate of the energy score from two draws a and b,

        .. math:: \tfrac12 (\lVert a - x \rVert + \lVert b - x \rVert - \lVert a - b \rVert),

        over the observed elements (Gneiting, Raftery 2007, eq 22).
        """
        if len(self.players) == 1:
            return self.loss(x, cond, observed, times)
        first, second = self.sample(cond, (2,), times)
        mask = 1.0 if observed is None else observed.to(x.dtype)
        dims = tuple(range(-len(self.event_shape), 0))

        def distance(a: Tensor, b: Tensor) -> Tensor:
            return ((a - b) * mask).square().sum(dims).sqrt()

        return (distance(first, x) + distance(second, x) - distance(first, second)) / 2

    def after_step(self, player: str, progress: float) -> None:
        """Do what follows a player's step: clip weights, fill a replay buffer, anneal.

        Args:
            player: whose step it was.
            progress: share of the training that is done, in [0, 1].
        """

    def player_parameters(self, player: Player) -> list[nn.Parameter]:
        """The model's parameters that a player owns."""
        if not player.parts:
            return list(self.parameters())
        return [p for part in player.parts for p in self.get_submodule(part).parameters()]

    def sample(
        self, cond: Tensor, sample_shape: tuple[int, ...] = (), times: Tensor | None = None
    ) -> Tensor:
        """Draw from p(x | cond).

        Args:
            cond: (*batch, *cond_shape).
            sample_shape: how many draws for each.
            times: of a horizon's steps, (*batch, H), for models that take times.

        Returns:
            (*sample_shape, *batch, *event_shape).

        Raises:
            ValueError: naming a tensor of another shape than the model's.
        """
        batch, count = self._batch(cond, times=times), math.prod(sample_shape)
        rows = repeat(cond, count, self.cond_shape)
        at = None if times is None else repeat(times, count, self.event_shape[:1])
        return self._sample(rows, at).view(*sample_shape, *batch, *self.event_shape)

    def sampling_plan(self) -> Callable[[Tensor], Tensor]:
        """A function ``draw(cond)`` like :meth:`sample`, for one conditioning after another.

        It may keep what does not depend on the conditioning from call to call, so that weights and
        sampler must not change while it is in use.
        """
        return self.sample

    def log_prob(
        self,
        x: Tensor,
        cond: Tensor,
        observed: Tensor | None = None,
        times: Tensor | None = None,
    ) -> Tensor:
        """Log density of each example (or a bound of it, as ``has_log_prob`` says), (*batch,).

        Args:
            x: (*batch, *event_shape).
            cond: (*batch, *cond_shape).
            observed: like x; with ``partial = "marginal"`` the density is that of the observed
                elements.
            times: of a horizon's steps, (*batch, H), for models that take times.

        Raises:
            NotImplementedError: if the model has no log density.
        """
        batch = self._batch(cond, x, times)
        return self._log_prob(*self._rows(x, cond, observed, times)).view(batch)

    def use_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Draw with another sampler from now on; only diffusion models have one."""
        raise ValueError(f"{type(self).__name__} has no sampler to replace by {sampler!r}")

    def _batch(
        self, cond: Tensor, x: Tensor | None = None, times: Tensor | None = None
    ) -> torch.Size:
        """Check the trailing dimensions and return the batch shape."""
        if self.takes_times == (times is None):
            have = "none are given" if times is None else "times are given"
            raise ValueError(
                f"{type(self).__name__} {'takes' if self.takes_times else 'does not take'} the "
                f"times of an event's steps; {have}"
            )
        batch = cond.shape[: cond.dim() - len(self.cond_shape)]
        for name, value, shape in (
            ("cond", cond, self.cond_shape),
            ("x", x, self.event_shape),
            ("times", times, self.event_shape[:1]),
        ):
            if value is not None and value.shape != (*batch, *shape):
                raise ValueError(
                    f"{type(self).__name__}: {name} has shape {tuple(value.shape)}, expected "
                    f"(*batch, {', '.join(map(str, shape))}) with one batch shape for all"
                )
        return batch

    def _rows(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """The arguments of the hooks: the batch flattened to rows, the mask of x's type."""
        return (
            x.reshape(-1, *self.event_shape),
            cond.reshape(-1, *self.cond_shape),
            None if observed is None else observed.reshape(-1, *self.event_shape).to(x.dtype),
            None if times is None else times.reshape(-1, *self.event_shape[:1]),
        )


def repeat(values: Tensor, count: int, shape: torch.Size) -> Tensor:
    """(*batch, *shape) -> (count * batch, *shape), whole copies of the batch one after another."""
    rows = values.reshape(1, -1, *shape)
    return rows.expand(count, *rows.shape[1:]).reshape(-1, *shape)
