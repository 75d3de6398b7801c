"""Every estimator by name, for the command line and the benchmarks."""

from gluonts.model.estimator import Estimator

from tsgen.core import Registry
from tsgen.estimators.registry.baselines import baselines
from tsgen.estimators.registry.families import families
from tsgen.estimators.registry.flows import tempflows
from tsgen.estimators.registry.peers import peers

estimators: Registry[Estimator] = Registry(
    "estimator", {**families, **tempflows, **peers, **baselines}
)

__all__ = ["baselines", "estimators", "peers"]
