"""What several families share."""

from torch import Tensor
from torch.distributions import Transform, constraints


class OnePass(Transform):
    """A transform whose value and log-determinant come from one pass."""

    domain: constraints.Constraint = constraints.real_vector
    codomain: constraints.Constraint = constraints.real_vector
    bijective = True

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        r"""f(x) and its log-determinant, for x (\*, E); elementwise functions give theirs of x."""
        raise NotImplementedError

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Of a value x; y = f(x) is not needed."""
        return self.call_and_ladj(x)[1]
