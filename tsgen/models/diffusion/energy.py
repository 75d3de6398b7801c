"""A diffusion model whose network is the gradient of an energy."""

import torch
from torch import Tensor

from tsgen.models.diffusion.ddpm import DDPM
from tsgen.models.kinds import EnergyBased
from tsgen.nets import EnergyDenoiser


class EnergyDDPM(DDPM, EnergyBased):
    r"""Denoising diffusion by the gradient of an energy, which scores events, too.

    Its ``network`` is an :class:`~tsgen.nets.EnergyDenoiser`, of whose energy the noise is the
    gradient (Salimans, Ho 2021, Should EBMs model the energy or the score?). At noise to signal
    :math:`\sigma / \alpha` the energy of an event is :math:`E(\alpha x, t) / \sigma`. Arguments are
    those of :class:`DDPM`.
    """

    net: EnergyDenoiser

    def _energy(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, noise: float | None
    ) -> Tensor:
        if noise is None:
            t = self.times[:1]
        else:
            t = self.schedule.time(-torch.tensor([noise], dtype=torch.float64).log())
        alpha, sigma = (v.item() for v in self._at(t))
        embedded = self.net.embed(t.to(x.device))
        mask = torch.ones_like(x) if observed is None else observed
        return self.net.energies(alpha * x, embedded, self.net.condition(cond), mask) / sigma
