"""The conformance suite: what every model, encoder, sampler and estimator must satisfy.

It is for parts from outside the package, too.

>>> from tsgen.testing import check_model
>>> from tsgen.models import Gaussian
>>> check_model(Gaussian, fit=False)
"""

from tsgen.testing.encoders import check_encoder
from tsgen.testing.estimators import check_estimator
from tsgen.testing.models import check_model, toy_law
from tsgen.testing.samplers import check_sampler, gaussian_denoiser

__all__ = [
    "check_encoder",
    "check_estimator",
    "check_model",
    "check_sampler",
    "gaussian_denoiser",
    "toy_law",
]
