"""The log density that a location learns by, for laws whose elements explain each other."""

from torch import Tensor


def composite_log_prob(joint: Tensor, marginal: Tensor) -> Tensor:
    """The joint log density as a value; by gradient also the elements' marginal log densities.

    The joint density's gradient hardly teaches a location what all elements have in common, for
    what ties them together (factors of a covariance, layers of a flow) explains each element by the
    others first. The marginal densities' gradient does, and their optimum is the same (composite
    likelihood: Varin, Reid, Firth 2011). So a caller holds the location fixed in ``joint`` and all
    else fixed in ``marginal``: each parameter then has one of the two gradients.

    Args:
        joint: log density of all elements together, (rows,).
        marginal: sum of the elements' own log densities, up to a constant, (rows,).

    Returns:
        (rows,), equal to ``joint`` but for rounding.
    """
    return joint + marginal - marginal.detach()
