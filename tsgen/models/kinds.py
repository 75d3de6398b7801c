"""Kinds of models that can more than draw: callers ask for these classes, not for a family."""

from abc import abstractmethod

from torch import Tensor

from tsgen.diffusion import Guidance, Sampler, Schedule
from tsgen.diffusion.samplers import Denoiser
from tsgen.models.base import GenerativeModel


class Diffusion(GenerativeModel):
    r"""A model that turns noise into an event along a process.

    The process at time t is :math:`\alpha_t x + \sigma_t \varepsilon`.
    It has a denoiser, whatever its network predicts, so every sampler and every guidance can draw
    from it.
    """

    sampler: Sampler

    @property
    @abstractmethod
    def process(self) -> Schedule:
        """The forward process; of a learnt one a frozen table."""

    @property
    @abstractmethod
    def takes_given(self) -> bool:
        """Whether training gave the network parts of events."""

    @property
    @abstractmethod
    def guidance(self) -> Guidance:
        """How :meth:`sample_given` conditions unless another guidance is named."""

    @abstractmethod
    def denoiser(
        self,
        cond: Tensor,
        observed: Tensor | None = None,
        times: Tensor | None = None,
        given: tuple[Tensor, Tensor] | None = None,
    ) -> Denoiser:
        """The estimate of clean events from noised ones, for a conditioning (R, *cond_shape).

        What depends on the conditioning, or on times known in advance, is computed once.

        Args:
            cond: (R, *cond_shape).
            observed: elements the estimate may look at, (R, *event_shape); ``None`` is all.
            times: diffusion times at which it will be asked; others are computed when they come.
            given: values without noise and which of them are given, each (R, *event_shape); only
                for a model that takes given parts.

        Returns:
            ``denoise(x, t)`` of (R, *event_shape) and a time in (0, 1].
        """

    @abstractmethod
    def estimate(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """The estimate of clean events from noised ones, each row at its own time t (R,)."""

    @abstractmethod
    def sample_given(
        self,
        cond: Tensor,
        values: Tensor,
        mask: Tensor,
        sample_shape: tuple[int, ...] = (),
        guidance: Guidance | None = None,
        start: tuple[Tensor, float] | None = None,
    ) -> Tensor:
        """Draw from p(x | cond, some elements of x).

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
        """


class EnergyBased(GenerativeModel):
    r"""A model whose density is :math:`\exp(-E(x \mid c))` up to a factor free of x."""

    @abstractmethod
    def _energy(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, noise: float | None
    ) -> Tensor:
        """The parts of the energy that belong to each element, (R, *event_shape)."""

    def energy(
        self,
        x: Tensor,
        cond: Tensor,
        observed: Tensor | None = None,
        noise: float | None = None,
    ) -> Tensor:
        """The energy's parts, whose sum over an event is E, (*batch, *event_shape).

        Args:
            x: events (*batch, *event_shape).
            cond: (*batch, *cond_shape).
            observed: 1 where x is observed, like x; other elements have no part.
            noise: noise to signal of the law whose energy is asked for; ``None`` is that of the
                events themselves, or the closest that the model has.
        """
        self._batch(cond, x)
        rows, conds, mask, _ = self._rows(x, cond, observed, None)
        return self._energy(rows, conds, mask, noise).view(x.shape)
