"""Any model with any encoder."""

import functools
from collections.abc import Callable

from tsgen.core import OptionError
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.models import GenerativeModel


class ComposedEstimator(GenerativeEstimator):
    """Any model with any encoder, without a class of one's own.

    >>> from functools import partial
    >>> from tsgen.models import Gaussian
    >>> estimator = ComposedEstimator(24, model=partial(Gaussian, covariance="full"))

    Args:
        model: a model class, or a ``functools.partial`` of one, that takes ``event_shape`` and
            ``cond_shape``.
    """

    model: Callable | None = None

    def __post_init__(self) -> None:
        """Check that a model is given."""
        super().__post_init__()
        part = self.model.func if isinstance(self.model, functools.partial) else self.model
        if not (isinstance(part, type) and issubclass(part, GenerativeModel)):
            expected = "a GenerativeModel class or a partial of one"
            raise OptionError(type(self).__name__, "model", self.model, expected)

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        """The model given."""
        assert self.model is not None
        return self.model(event_shape, cond_shape)
