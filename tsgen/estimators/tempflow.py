"""TempFlow: autoregression in time, a conditional flow for each step."""

import functools
from collections.abc import Callable, Iterator
from typing import Literal

from tsgen.core import OptionError
from tsgen.forecasting.data.spec import DataSpec
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.target.links import Link
from tsgen.models import GenerativeModel
from tsgen.models.flows import Flow, RealNVP, flows


class TempFlowEstimator(GenerativeEstimator):
    """A normalizing flow conditioned on a network that runs over the past.

    Rasul, Sheikh, Schuster, Bergmann, Vollgraf 2021, arXiv 2002.06103. ``flow="realnvp"`` or
    ``"maf"`` with ``encoder="gru"``, ``"lstm"`` or ``"transformer"`` are the models of the paper.
    Options beyond those of :class:`GenerativeEstimator`:

    Whole numbers have no density; where the target holds nothing else they are dequantised, and
    samples are rounded.

    Args:
        lr: a third of TimeGrad's, for the density's own gradient is steeper than that of a
            denoising error.
        flow: the name of a flow, or a class or ``functools.partial`` of one that takes
            ``event_shape`` and ``cond_shape``. Known are "nice", "realnvp", "glow", "flowpp",
            "maf", "iaf", "nsf", "quadratic_spline", "naf", "umnn", "sospf", "bpf", "bnaf",
            "residual", "planar", "radial", "sylvester", "cnf" and "ffjord".
        dequantisation: the noise u in [0, 1) that is added to whole numbers in training: "uniform"
            (Theis, van den Oord, Bethge 2016, eq 7) or "variational", drawn by a flow that is
            learnt with the model (Ho et al. 2019, eq 12-13); ``None`` refuses them.
    """

    lr: float = 3e-3
    flow: str | Callable = "maf"
    dequantisation: Literal["uniform", "variational"] | None = "uniform"

    def __post_init__(self) -> None:
        """Check the flow."""
        super().__post_init__()
        part = flows[self.flow] if isinstance(self.flow, str) else self.flow
        part = part.func if isinstance(part, functools.partial) else part
        if not (isinstance(part, type) and issubclass(part, Flow)):
            expected = "a name, a Flow class or a partial of one"
            raise OptionError(type(self).__name__, "flow", self.flow, expected)

    def options_without_effect_on(self, spec: DataSpec) -> Iterator[str]:
        """A way to make whole numbers continuous, where they are not whole."""
        if self.dequantisation == "variational" and not (spec.whole or self.support == "count"):
            yield (
                "dequantisation='variational' has no effect: the data are not all whole numbers; "
                "leave it out"
            )

    def link(self, spec: DataSpec) -> Link:
        """The support's, and noise where the target is whole numbers."""
        if (spec.whole or self.support == "count") and self.dequantisation is None:
            raise OptionError(
                type(self).__name__, "dequantisation", None, "'uniform' or 'variational'",
                "the target holds whole numbers only, and a density degenerates on them",
            )  # fmt: skip
        return Link(self.support, spec.tau, whole=spec.whole and self.support != "count")

    def build_dequantiser(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> Flow | None:
        """Affine coupling, drawn from and scored in one pass."""
        if self.dequantisation != "variational":
            return None
        return RealNVP(event_shape, cond_shape, 2, (64,), direction="sampling")

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The flow."""
        return flows.build(self.flow, event_shape, cond_shape)
