r"""Critically damped Langevin diffusion: noise enters through a velocity.

Dockhorn, Vahdat, Kreis 2022 (Score-based generative modeling with critically-damped Langevin
diffusion). The joint process of an event x and its velocity v, eq 5 there,

.. math:: \begin{pmatrix} dx \\ dv \end{pmatrix} = \beta \begin{pmatrix} v / M \\ -x - \Gamma v / M
          \end{pmatrix} dt + \begin{pmatrix} 0 \\ \sqrt{2 \Gamma \beta} \end{pmatrix} dW,

is linear, so the marginals of each element are Gaussian in two dimensions. Only the score of v is
learnt: the samplers here see ``score(x, v, t)``, the derivative of the joint log density by v.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from tsgen.core import FINITE, Count, Options, Positive, at_least, between

VelocityScore = Callable[[Tensor, Tensor, float], Tensor]
"""``score(x, v, t)``: the derivative of the joint log density by v."""
LangevinDescent = Callable[[VelocityScore, Tensor], Tensor]
"""``descend(score, x)``: from positions at t = 1 to samples; it draws their velocities."""
LangevinStep = Callable[[VelocityScore, Tensor, Tensor], tuple[Tensor, Tensor]]
"""``advance(score, x, v)``: one step back in time."""


class CLD(Options):
    r"""The process, on t in [0, 1], with constant :math:`\beta`.

    Args:
        beta: the rate.
        mass: M.
        friction: :math:`\Gamma`; ``None`` is critical, :math:`\Gamma^2 = 4 M`: the fastest return
            without oscillation. Less oscillates, more creeps.
        gamma: the initial velocity is drawn from :math:`N(0, \gamma M)`.
        t_min: the smallest time of training, from where samplers step to the data.
    """

    beta: Positive = 4.0
    mass: Positive = 0.25
    friction: Positive | None = None
    gamma: Positive = 0.04
    t_min: Annotated[float, between(0, 1, "()")] = 1e-3

    @property
    def damping(self) -> float:
        r""":math:`\Gamma`."""
        return 2 * self.mass**0.5 if self.friction is None else self.friction

    def drift_matrix(self, sign: float = 1.0) -> Tensor:
        """A of dz = A z dt + G dW for z = (x, v), (2, 2); with sign -1 time runs backwards.

        Backwards the velocity has the other sign and friction and noise stay.
        """
        rate = self.beta
        rows = [
            [0.0, sign * rate / self.mass],
            [-sign * rate, -rate * self.damping / self.mass],
        ]
        return torch.tensor(rows, dtype=torch.float64)

    @property
    def stationary(self) -> Tensor:
        """Covariance of the law that the process tends to and samplers start from, (2, 2)."""
        return torch.tensor([1.0, self.mass], dtype=torch.float64).diag()

    def transition(self, gap: Tensor, sign: float = 1.0) -> tuple[Tensor, Tensor]:
        """Factor of the state and covariance of the noise over a time (*), each (*, 2, 2)."""
        matrix = self.drift_matrix(sign)
        factor = torch.linalg.matrix_exp(matrix * gap[..., None, None])
        covariance = self.stationary - factor @ self.stationary @ factor.mT
        short = gap * matrix.norm() < 0.1
        if short.any():  # the difference of near equals has lost its digits: integrate the noise
            nodes, weights = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(6))
            spans = gap[short, None] * (nodes + 1) / 2
            kicks = torch.linalg.matrix_exp(matrix * spans[..., None, None])[..., 1]
            rates = self.damping * self.beta * gap[short, None] * weights
            covariance[short] = torch.einsum("gn,gni,gnj->gij", rates, kicks, kicks)
        return factor, covariance

    def marginal(self, t: Tensor, hybrid: bool = True) -> tuple[Tensor, Tensor]:
        r"""The law of (x, v) at a time (*).

        Args:
            t: times, float64.
            hybrid: whether given the event alone (hybrid score matching), or the initial velocity,
                too.

        Returns:
            The factor of (x_0, v_0), (*, 2, 2), and the lower Cholesky factor of the covariance,
            (*, 2, 2).
        """
        factor, covariance = self.transition(t)
        if hybrid:
            start = torch.tensor([0.0, self.gamma * self.mass], dtype=torch.float64).diag()
            covariance = covariance + factor @ start @ factor.mT
        return factor, torch.linalg.cholesky(covariance)

    def normal_noise(self, t: Tensor, hybrid: bool = True) -> Tensor:
        r"""The noise of the velocity that is expected where events are N(0, 1), (*, 2).

        With S_t the covariance of (x_t, v_t) for such events, :math:`E[\varepsilon_v \mid x_t, v_t]
        = L_{vv} (S_t^{-1} (x_t, v_t))_v`: the factors of x and v.
        """
        factor, root = self.marginal(t, hybrid)
        started = 0.0 if hybrid else self.gamma * self.mass  # else the root holds it
        start = torch.tensor([1.0, started], dtype=torch.float64).diag()
        covariance = factor @ start @ factor.mT + root @ root.mT
        return torch.linalg.inv(covariance)[..., 1, :] * root[..., 1, 1, None]

    def noise(self, like: Tensor) -> Tensor:
        """Standard normal noise, like a tensor."""
        return torch.randn_like(like)

    def prior(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Positions of a shape at t = 1, where samplers start, of a tensor's dtype and device."""
        return torch.randn(shape, dtype=like.dtype, device=like.device)

    def prior_log_prob(self, x: Tensor, v: Tensor, dims: int = 1) -> Tensor:
        """Log density of the stationary law over the last dimensions."""
        normal, slow = torch.distributions.Normal(0.0, 1.0), self.mass**0.5
        logs = normal.log_prob(x) + torch.distributions.Normal(0.0, slow).log_prob(v)
        return logs.sum(tuple(range(-dims, 0)))


class LangevinSampler(Options, ABC):
    """Draws from the reverse process of :class:`CLD`.

    Args:
        num_steps: steps from t = 1 to ``t_min``, from where the velocity leads to the data.
        power: steps are equal in t to the power of 1 / power: 1 is equal steps, 2 the paper's
            quadratic striding, with short steps near the data, where the score is steep.
    """

    num_steps: Count = 50
    power: Annotated[float, at_least(1), FINITE] = 2.0

    def check(self, process: object) -> None:
        """Check that this sampler can draw from a process.

        Raises:
            ValueError: if it is not critically damped Langevin diffusion.
        """
        if not isinstance(process, CLD):
            raise ValueError(
                f"{type(self).__name__} does not draw from {type(process).__name__}: it is a "
                "sampler of critically damped Langevin diffusion, CLD"
            )

    def evaluations(self, process: CLD) -> int:
        """Calls of the score of a process: one a step."""
        return self.num_steps

    def with_evaluations(self, count: int) -> "LangevinSampler":
        """A copy that makes so many calls of the score."""
        return self.replace(num_steps=count)

    def sample(
        self, score: VelocityScore, shape: tuple[int, ...], process: CLD, *, like: Tensor
    ) -> Tensor:
        """Draw samples.

        Args:
            score: ``score(x, v, t)``, derivative of the log density by v, of the given shape.
            shape: shape of the samples.
            process: the process.
            like: a tensor with the dtype and device wanted.
        """
        return self.descent(process)(score, process.prior(shape, like))

    def descent(self, process: CLD) -> LangevinDescent:
        r"""The loop from positions at t = 1 to samples, with its coefficients computed.

        After the last step :math:`x - \beta v / M\, t` is the event.
        """
        ends = torch.tensor([1.0, process.t_min], dtype=torch.float64) ** (1 / self.power)
        shares = torch.linspace(0, 1, self.num_steps + 1, dtype=torch.float64)
        times = (ends[0] + (ends[1] - ends[0]) * shares) ** self.power
        gaps = (-times.diff()).tolist()
        steps = [self.step(process, *pair) for pair in zip(times.tolist(), gaps, strict=False)]

        def descend(score: VelocityScore, x: Tensor) -> Tensor:
            v = process.noise(x) * process.mass**0.5
            for advance in steps:
                x, v = advance(score, x, v)
            return x - process.t_min * process.beta / process.mass * v

        return descend

    @abstractmethod
    def step(self, process: CLD, t: float, gap: float) -> LangevinStep:
        """The step back from t to t - gap."""


class LangevinEulerMaruyama(LangevinSampler):
    r"""Euler-Maruyama steps of the reverse SDE (eq 8 there).

    .. math:: dx = -\beta v / M\, dt, \quad dv = \beta \left[x + \Gamma v / M + 2 \Gamma
              \nabla_v \log p\right] dt + \sqrt{2 \Gamma \beta}\, dW
    """

    @override
    def step(self, process: CLD, t: float, gap: float) -> LangevinStep:
        rate, friction, mass = gap * process.beta, process.damping, process.mass

        def advance(score: VelocityScore, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            pull = x + friction * (v / mass + 2 * score(x, v, t))
            noise = (2 * friction * rate) ** 0.5 * process.noise(v)
            return x - rate / mass * v, v + rate * pull + noise

        return advance


class SSCS(LangevinSampler):
    r"""Symmetric splitting CLD sampler (section 3.3 and appendix D there).

    Half a step of the part that is solved exactly, :math:`dx = -\beta v / M\, dt, dv = \beta(x -
    \Gamma v / M)\, dt + \sqrt{2 \Gamma \beta}\, dW`, a whole Euler step of the rest, :math:`dv = 2
    \beta \Gamma (\nabla_v \log p + v / M)\, dt`, and the first half again.
    """

    @override
    def step(self, process: CLD, t: float, gap: float) -> LangevinStep:
        # half a step backwards: factor of the state and Cholesky factor of the noise
        half = torch.tensor(gap / 2, dtype=torch.float64)
        factor, covariance = process.transition(half, sign=-1.0)
        (xx, xv), (vx, vv) = factor.tolist()
        root = torch.linalg.cholesky(covariance).tolist()
        push = 2 * process.beta * process.damping * gap

        def drift(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            a, b = process.noise(x), process.noise(x)
            moved = xx * x + xv * v + root[0][0] * a
            return moved, vx * x + vv * v + root[1][0] * a + root[1][1] * b

        def advance(score: VelocityScore, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            x, v = drift(x, v)
            v = v + push * (score(x, v, t - gap / 2) + v / process.mass)
            return drift(x, v)

        return advance
