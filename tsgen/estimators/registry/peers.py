"""Models of GluonTS by name, that this library's are compared with."""

from functools import partial

from gluonts.model.estimator import Estimator

from tsgen.core import Registry
from tsgen.estimators.peers import PeerEstimator

peers: Registry[Estimator] = Registry(
    "peer",
    {
        "deepar": partial(PeerEstimator, model="deepar"),
        "patchtst": partial(PeerEstimator, model="patchtst"),
    },
)
