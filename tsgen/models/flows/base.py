"""What all flows share: a conditional density by change of variables."""

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override
from zuko.lazy import LazyComposedTransform, LazyTransform
from zuko.transforms import ComposedTransform

from tsgen.core import OptionError
from tsgen.models.base import GenerativeModel, LogProb
from tsgen.models.composite import composite_log_prob
from tsgen.models.flows.linear import LocationScale

Direction = Literal["density", "sampling"]


class Flow(GenerativeModel):
    r"""A conditional normalizing flow.

    Layers :math:`f = f_K \circ \dots \circ f_1` carry an event x, flattened to E elements, to
    noise :math:`z \sim N(0, I)`, and

    .. math:: \log p(x \mid c) = \log N(f(x; c)) + \log \lvert \det \partial f / \partial x \rvert

    (Rezende, Mohamed 2015; Papamakarios et al. 2021, eq 6). Layers are zuko's ``LazyTransform``:
    modules that, called with the context (rows, K), give a ``Transform`` of vectors (rows, E). A
    family's constructor builds its layers and hands them to :meth:`compose`.

    Layers run in their cheap direction from x to z (``direction="density"``), which makes the
    density, and so training, cheap; sampling inverts them. With ``"sampling"`` it is the other way
    round. Which of the two an inversion costs what is said by ``inversion``.

    Conditioning (D,) is used as it is. Of (H, D) each step is first mapped to a few features, so
    that the context has H times as many.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        direction: which way the layers run from x to z.
    """

    inversion: str = "one pass"
    """What the costly direction takes."""
    trains_inverted: ClassVar[bool] = True
    """Whether the inversion has gradients cheap enough to train by maximum likelihood."""
    max_elements: ClassVar[int | None] = None
    """Largest event, in elements."""
    step_context: ClassVar[int] = 8
    """Features of the context for each step of (H, D)."""

    transform: LazyComposedTransform

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        direction: Direction = "density",
    ) -> None:
        super().__init__(event_shape, cond_shape)
        if self.max_elements is not None:
            self._check_size(self.max_elements)
        if direction == "sampling" and not self.trains_inverted:
            self._refuse_sampling(f"its inverse ({self.inversion})")
        self.direction = direction
        if len(cond_shape) == 2:
            self.embed: nn.Module = nn.Linear(cond_shape[1], self.step_context)
            self.context_size = cond_shape[0] * self.step_context
        else:
            self.embed, self.context_size = nn.Identity(), cond_shape[0]

    def _check_size(self, limit: int) -> None:
        size = self.event_shape.numel()
        if size > limit:
            raise OptionError(
                type(self).__name__, "event_shape", tuple(self.event_shape),
                f"of at most {limit} elements, which this flow goes through one by one, not {size}",
                "use a coupling flow such as 'realnvp', 'glow' or 'flowpp', or decoding='step'",
            )  # fmt: skip

    def _refuse_sampling(self, needs: str) -> None:
        raise OptionError(
            type(self).__name__, "direction", "sampling", "'density'",
            f"every density would need {needs}, so it cannot be trained by maximum likelihood; "
            "for sampling in one pass use 'iaf' or a coupling flow",
        )  # fmt: skip

    def compose(self, *layers: LazyTransform, location_scale: bool = False) -> None:
        """Take the layers, in their cheap direction and in its order.

        With ``location_scale`` a location and a scale of each element that are linear in the
        context are taken off x first, in both directions.
        """
        self.transform = LazyComposedTransform(*layers)
        self.location_scale: LocationScale | None = None
        if location_scale:
            self.location_scale = LocationScale(self.event_shape.numel(), self.context_size)

    @override
    @property
    def has_log_prob(self) -> LogProb:
        return "exact"

    def to_noise(self, cond: Tensor) -> Any:
        """The transform from x (rows, E) to z (rows, E) for conditioning (rows, *cond_shape).

        Its ``call_and_ladj(x)`` gives z and the log-determinant, its ``inv`` samples.
        """
        context = self.embed(cond).flatten(1)
        shape = self._shape(context)
        if self.location_scale is None:
            return shape
        return ComposedTransform(self.location_scale(context), shape)

    def _shape(self, context: Tensor) -> Any:
        """The layers' transform to noise, after location and scale, for a context (rows, K)."""
        forward = self.transform(context)
        return forward if self.direction == "density" else forward.inv

    def _log_prob(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        """Exact log density, (R,)."""
        z, log_det = self.to_noise(cond).call_and_ladj(self._elements(x))
        return self._log_normal(z).add(log_det)

    def _loss(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        """Negative log density per element, (R,).

        The value is that of the joint density, or of its estimate. A location that comes before the
        layers learns by the marginal densities, see
        :func:`~tsgen.models.composite.composite_log_prob`.
        """
        rows, context = self._elements(x), self.embed(cond).flatten(1)
        if self.location_scale is None:
            log_prob = self._log_prob_estimate(rows, context)
        else:
            standard, log_scale, marginal = self.location_scale.split(rows, context)
            joint = self._log_prob_estimate(standard, context) + log_scale
            log_prob = composite_log_prob(joint, marginal)
        return -log_prob / self.event_shape.numel()

    def _log_prob_estimate(self, x: Tensor, context: Tensor) -> Tensor:
        """Log density of x (rows, E) after location and scale, (rows,).

        A family for which it costs too much gives an unbiased estimate, by which it is trained.
        """
        z, log_det = self._shape(context).call_and_ladj(x)
        return self._log_normal(z) + log_det

    def _sample(self, cond: Tensor, times: Tensor | None) -> Tensor:
        """Draw noise and carry it to x, (R, *event_shape)."""
        z = torch.randn(len(cond), self.event_shape.numel(), dtype=cond.dtype, device=cond.device)
        return self.to_noise(cond).inv(z).unflatten(1, self.event_shape)

    def sample_with_log_prob(self, cond: Tensor) -> tuple[Tensor, Tensor]:
        """One draw for each conditioning, with its log density: cheap in the sampling direction.

        Args:
            cond: (*batch, *cond_shape).

        Returns:
            Events (*batch, *event_shape) and (*batch,); gradients reach the parameters through
            both.
        """
        batch, rows = self._batch(cond), cond.reshape(-1, *self.cond_shape)
        z = torch.randn(len(rows), self.event_shape.numel(), dtype=cond.dtype, device=cond.device)
        x, log_det = self.to_noise(rows).inv.call_and_ladj(z)
        return x.view(*batch, *self.event_shape), (self._log_normal(z) - log_det).view(batch)

    def _elements(self, x: Tensor) -> Tensor:
        """Events (rows, *event_shape) as vectors (rows, E), which must be finite real numbers."""
        if not x.is_floating_point():
            raise ValueError(
                f"{type(self).__name__}: x is of {x.dtype}; a density needs real numbers: add "
                "uniform noise to whole numbers (dequantisation), or use an estimator's "
                "dequantisation='uniform'"
            )
        if x.device.type == "cpu" and not x.isfinite().all():  # on an accelerator it would wait
            place = (~x.isfinite()).nonzero()[0].tolist()
            raise ValueError(
                f"{type(self).__name__}: x is {x[tuple(place)].item()} at {place}; a density needs "
                "finite values"
            )
        return x.flatten(1)

    @staticmethod
    def _log_normal(z: Tensor) -> Tensor:
        """Log density of the standard normal law, (rows,)."""
        return -0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)
