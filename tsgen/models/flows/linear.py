"""Linear layers: location and scale, activation normalisation, permutations and matrices."""

import torch
from torch import Tensor, nn
from torch.distributions import Transform, constraints
from zuko.lazy import LazyTransform
from zuko.transforms import (
    DependentTransform,
    LULinearTransform,
    MonotonicAffineTransform,
    PermutationTransform,
)


class LocationScale(LazyTransform):
    r"""An affine map of each element, :math:`u = e^a (x - \mu - m)`, linear in the context.

    :math:`\mu` and m do the same, but learn differently, see :meth:`split`. All start near 0.

    Args:
        features: E.
        context: K.
    """

    freedom = 4.0
    """Of the Student's t by which the first location learns."""

    def __init__(self, features: int, context: int) -> None:
        super().__init__()
        self.hyper = nn.Linear(context, 4 * features)
        with torch.no_grad():
            self.hyper.weight.mul_(0.01)
            self.hyper.bias.zero_()

    def forward(self, c: Tensor) -> DependentTransform:
        """The transform for a context (rows, K)."""
        mu, m, a, _ = self.hyper(c).chunk(4, -1)
        return self._affine(mu + m, a)

    def split(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""For training: the map with :math:`\mu` held fixed, and what :math:`\mu` learns by.

        Args:
            x: (rows, E).
            c: (rows, K).

        Returns:
            u (rows, E) and the log-determinant (rows,), through which m and a learn, and the
            elements' summed log density, up to constants, under Student's t about :math:`\mu` with
            a scale of its own (rows,); it has no gradient by x, which may be learnt, too.
        """
        mu, m, a, own = self.hyper(c).chunk(4, -1)
        u, log_det = self._affine(mu.detach() + m, a).call_and_ladj(x)
        alone, log_scale = self._affine(mu, own).call_and_ladj(x.detach())
        misfit = 0.5 * (self.freedom + 1) * (alone**2 / self.freedom).log1p().sum(-1)
        return u, log_det, log_scale - misfit

    @staticmethod
    def _affine(location: Tensor, a: Tensor) -> DependentTransform:
        affine = MonotonicAffineTransform(torch.zeros_like(location), a)
        affine.shift = -location * affine.scale
        return DependentTransform(affine, 1)


class ActNorm(LazyTransform):
    r"""Activation normalisation (Kingma, Dhariwal 2018, section 3.1): :math:`y = e^s (x + b)`.

    On the first batch that it meets in training, s and b are set so that each channel of the
    output has mean 0 and variance 1; from then on they are parameters like others. The horizon's
    steps share them.

    Args:
        channels: C; the last dimension of the flattened event runs over (H, C) or (C,).
        inverted: whether data pass it from y to x, so that it is x that is to be normal.
    """

    initialised: Tensor

    def __init__(self, channels: int, inverted: bool = False) -> None:
        super().__init__()
        self.inverted = inverted
        self.shift, self.log_scale = (nn.Parameter(torch.zeros(channels)) for _ in range(2))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, c: Tensor | None = None) -> Transform:
        """The transform; the same for every context."""
        return _ActNormTransform(self)

    @torch.no_grad()
    def start(self, data: Tensor) -> None:
        """Set the parameters by a batch (rows, E)."""
        values = data.detach().reshape(-1, len(self.shift))
        std, mean = torch.std_mean(values, 0, correction=0)
        std = std.clamp_min(1e-3)
        self.shift.copy_(mean / std if self.inverted else -mean)
        self.log_scale.copy_(std.log() if self.inverted else -std.log())
        self.initialised.fill_(True)


class _ActNormTransform(Transform):
    domain = codomain = constraints.real_vector
    bijective = True

    def __init__(self, layer: ActNorm) -> None:
        super().__init__()
        self.layer = layer

    def _parameters(self, data: Tensor, inverted: bool) -> tuple[Tensor, Tensor]:
        layer = self.layer
        if layer.training and not layer.initialised and inverted == layer.inverted:
            layer.start(data)
        times = data.shape[-1] // len(layer.shift)
        return layer.shift.repeat(times), layer.log_scale.repeat(times)

    def _call(self, x: Tensor) -> Tensor:
        shift, log_scale = self._parameters(x, False)
        return (x + shift) * log_scale.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        shift, log_scale = self._parameters(y, True)
        return y * (-log_scale).exp() - shift

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Of each vector, (rows,)."""
        layer = self.layer
        times = x.shape[-1] // len(layer.shift)
        return (layer.log_scale.sum() * times).expand(x.shape[:-1])


class PerStep(Transform):
    r"""A transform of the channels (C,), applied to each step of a flattened (H, C).

    Args:
        base: the transform of (\*, C).
        channels: C.
    """

    domain = codomain = constraints.real_vector
    bijective = True

    def __init__(self, base: Transform, channels: int) -> None:
        super().__init__()
        self.base, self.channels = base, channels

    def _call(self, x: Tensor) -> Tensor:
        return self.base(x.unflatten(-1, (-1, self.channels))).flatten(-2)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.base.inv(y.unflatten(-1, (-1, self.channels))).flatten(-2)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Of each vector, (rows,)."""
        rows = [v.unflatten(-1, (-1, self.channels)) for v in (x, y)]
        return self.base.log_abs_det_jacobian(*rows).sum(-1)


class ReverseTransform(Transform):
    """The elements in reverse order."""

    domain = codomain = constraints.real_vector
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        return x.flip(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.flip(-1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Of each vector, (rows,)."""
        return torch.zeros_like(x[..., 0])


class QRLinearTransform(Transform):
    r"""An invertible matrix as orthogonal times triangular: :math:`y = Q R x`.

    Q is a product of Householder reflections :math:`I - 2 v v^\top / v^\top v` (Tomczak, Welling
    2016, eq 7), R upper triangular with diagonal :math:`e^d`; the log-determinant is the sum of d
    (Hoogeboom, van den Berg, Welling 2019, section 3.3).

    Args:
        reflections: vectors v as the columns of (C, C), of which what lies above the diagonal is
            ignored and the diagonal counts as 1.
        triangle: R's strict upper triangle and, as its diagonal, d: (C, C); ``None`` is R = I.
    """

    domain = codomain = constraints.real_vector
    bijective = True

    def __init__(self, reflections: Tensor, triangle: Tensor | None = None) -> None:
        super().__init__()
        v = reflections.tril(-1) + torch.eye(len(reflections)).to(reflections)
        self.orthogonal = torch.linalg.householder_product(v, 2 / (v**2).sum(0))
        self.log_diagonal, self.triangle = None, None
        if triangle is not None:
            self.log_diagonal = triangle.diagonal()
            self.triangle = triangle.triu(1) + torch.diag(self.log_diagonal.exp())

    def _call(self, x: Tensor) -> Tensor:
        matrix = self.orthogonal
        return x @ (matrix if self.triangle is None else matrix @ self.triangle).mT

    def _inverse(self, y: Tensor) -> Tensor:
        x = y @ self.orthogonal
        if self.triangle is None:
            return x
        return torch.linalg.solve_triangular(self.triangle, x[..., None], upper=True)[..., 0]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Of each vector, (rows,)."""
        zero = x.new_zeros(x.shape[:-1])
        return zero if self.log_diagonal is None else zero + self.log_diagonal.sum()


class Mixing(LazyTransform):
    """An invertible linear map of the channels between two layers; the steps share it.

    ``"reverse"`` reverses the order of all elements and ``"permutation"`` shuffles it once and for
    all; ``"lu"`` (Kingma, Dhariwal 2018, section 3.2), ``"qr"`` and ``"householder"`` are learnt
    matrices over the channels: with steps they are the invertible 1x1 convolution.

    Args:
        kind: which.
        features: E, all elements of the event.
        channels: C.
    """

    order: Tensor

    def __init__(self, kind: str, features: int, channels: int) -> None:
        super().__init__()
        self.kind, self.channels, self.is_flat = kind, channels, features == channels
        if kind in ("reverse", "permutation"):
            order = (
                torch.arange(features).flip(0) if kind == "reverse" else torch.randperm(features)
            )
            self.register_buffer("order", order)
        else:
            self.weight = nn.Parameter(0.01 * torch.randn(channels, channels))
            if kind == "lu":
                with torch.no_grad():
                    self.weight.fill_diagonal_(1.0)
            if kind == "qr":
                self.triangle = nn.Parameter(0.01 * torch.randn(channels, channels).triu())

    def forward(self, c: Tensor | None = None) -> Transform:
        """The transform; the same for every context."""
        base: Transform
        if self.kind == "reverse":
            return ReverseTransform()
        if self.kind == "permutation":
            return PermutationTransform(self.order)
        if self.kind == "lu":
            base = LULinearTransform(self.weight)
        elif self.kind == "qr":
            base = QRLinearTransform(self.weight, self.triangle)
        else:
            base = QRLinearTransform(self.weight)
        return base if self.is_flat else PerStep(base, self.channels)


__all__ = ["ActNorm", "LocationScale", "Mixing", "PerStep", "QRLinearTransform"]
