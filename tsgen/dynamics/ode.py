r"""Ordinary differential equations: the library's one door to torchdiffeq.

A field is a function :math:`f(t, x)` of a 0-dimensional tensor and a state, and gives the state's
derivative. A state is a tensor, or a tuple of tensors of any shapes.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from tsgen.core import Count, Options, Positive

ODEState = TypeVar("ODEState", Tensor, tuple[Tensor, ...])
Time = float | Tensor


class ODESolver(Options):
    r"""How an ordinary differential equation is solved.

    Fixed steps cost the same for every field and treat the examples of a batch apart. Adaptive
    steps (``"dopri5"``) are as small as the worst example of the batch needs.

    Gradients go back through every step, or, with ``adjoint``, come from a second equation that is
    solved backwards (Chen et al. 2018, Neural Ordinary Differential Equations, section 2, algorithm
    1): it holds only the states at the ends of the steps (of the whole interval if adaptive), calls
    the field more often, and is as exact as the solver is.

    Args:
        method: ``"euler"``, ``"midpoint"``, ``"rk4"`` (3/8 rule) with 1, 2, 4 calls a step, or
            ``"dopri5"``, adaptive.
        num_steps: steps between two times, for the methods with fixed steps.
        rtol: error allowed in a step relative to the state, for ``"dopri5"``.
        atol: absolute error allowed in a step, for ``"dopri5"``.
        max_num_steps: steps that ``"dopri5"`` may try between two times.
        adjoint: whether gradients come from the adjoint equation.
    """

    method: Literal["euler", "midpoint", "rk4", "dopri5"] = "rk4"
    num_steps: Count = 8
    rtol: Positive = 1e-5
    atol: Positive = 1e-6
    max_num_steps: Count = 1000
    adjoint: bool = False

    @property
    def adaptive(self) -> bool:
        """Whether the steps follow the error."""
        return self.method == "dopri5"

    @property
    def order(self) -> int:
        """Order of the global error in the step size."""
        return {"euler": 1, "midpoint": 2, "rk4": 4, "dopri5": 5}[self.method]


class CountedField:
    """A field that counts its calls.

    Args:
        field: the field.
    """

    def __init__(self, field: Callable[[Tensor, Any], Any]) -> None:
        self.field, self.calls = field, 0

    def __call__(self, t: Tensor, x: Any) -> Any:
        """The field's value."""
        self.calls += 1
        return self.field(t, x)


def solve_ode(
    field: Callable[[Tensor, ODEState], ODEState],
    x0: ODEState,
    t0: Time,
    t1: Time,
    solver: ODESolver = ODESolver(),  # noqa: B008
    parameters: Iterable[Tensor] = (),
) -> ODEState:
    r"""State at ``t1`` of :math:`dx / dt = f(t, x)`, :math:`x(t_0) = x_0`.

    Args:
        field: f; it is never called outside the interval.
        x0: state at ``t0``, a floating-point tensor or a tuple of them.
        t0: first time.
        t1: last time; it may lie before ``t0``.
        solver: how.
        parameters: tensors that f depends on and that need gradients. Only the adjoint equation
            asks for them; those of a module are found without.

    Returns:
        As ``x0``, with its shapes, type and device.

    Raises:
        RuntimeError: if an adaptive solve needs more than ``max_num_steps`` steps, or its steps
            become too small.
        ValueError: if the state is not of floating-point numbers.
    """
    if t0 == t1:
        return x0
    path: Any = solve_path(field, x0, (t0, t1), solver, parameters)
    end: Any = path[-1] if isinstance(path, Tensor) else tuple(part[-1] for part in path)
    return end


def solve_path(
    field: Callable[[Tensor, ODEState], ODEState],
    x0: ODEState,
    times: Sequence[Time] | Tensor,
    solver: ODESolver = ODESolver(),  # noqa: B008
    parameters: Iterable[Tensor] = (),
) -> ODEState:
    r"""States at several times of :math:`dx / dt = f(t, x)` from ``x0`` at the first of them.

    Args:
        field: as in :func:`solve_ode`.
        x0: state at the first time.
        times: at least two, increasing or decreasing, shape (T,).
        solver: how.
        parameters: as in :func:`solve_ode`.

    Returns:
        As ``x0``, with a dimension of times (T, ...) before each tensor's own.

    Raises:
        RuntimeError: as :func:`solve_ode`.
        ValueError: if the times are not in order or the state is not of floating-point numbers.
    """
    import torchdiffeq  # with scipy, 40 MB that no other model needs

    like = x0 if isinstance(x0, Tensor) else x0[0]
    if not like.is_floating_point():
        raise ValueError(f"x0 is of {like.dtype}; an ODE needs floating-point numbers")
    if isinstance(times, Tensor):
        t = times.to(like)
    else:
        t = torch.stack([torch.as_tensor(time).to(like) for time in times])
    steps = t.diff()
    if t.dim() != 1 or len(t) < 2 or not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError(
            f"times={t.tolist()} must be at least two, strictly increasing or decreasing"
        )
    if solver.adaptive:
        # Steps end at the times asked for and the first is not tried out: beyond them the field may
        # not exist. torchdiffeq runs backwards in negated time, and so does its adjoint equation.
        options: dict[str, Any] = {
            "max_num_steps": solver.max_num_steps,
            "first_step": 0.1 * steps.detach().abs().min().item(),
            "step_t": t.detach(),
        }
        backwards, stride = {**options, "step_t": t.detach() * steps[0].detach().sign()}, 1
    else:
        fractions = torch.arange(solver.num_steps).to(t) / solver.num_steps
        t = torch.cat([(t[:-1, None] + steps[:, None] * fractions).flatten(), t[-1:]])
        options, backwards, stride = {}, {}, solver.num_steps
    arguments = {"method": solver.method, "rtol": solver.rtol, "atol": solver.atol}
    try:
        if solver.adjoint:
            adjoint_params = tuple(parameters)
            if not adjoint_params and isinstance(field, nn.Module):
                adjoint_params = tuple(field.parameters())
            path = torchdiffeq.odeint_adjoint(
                field,
                x0,
                t,
                **arguments,
                options=options,
                adjoint_options=backwards,
                adjoint_params=adjoint_params,
            )
        else:
            path = torchdiffeq.odeint(field, x0, t, **arguments, options=options)
    except AssertionError as error:
        raise _explained(error, solver) from None
    alone = isinstance(path, Tensor)
    states: Any = path[::stride] if alone else tuple(part[::stride] for part in path)
    return states


def _explained(error: AssertionError, solver: ODESolver) -> Exception:
    """What torchdiffeq's assertion means; a field's own assertion stays as it is."""
    text, name = str(error), f"{type(solver).__name__}(method={solver.method!r})"
    if text.startswith("max_num_steps"):
        return RuntimeError(
            f"{name}: more than max_num_steps={solver.max_num_steps} steps between two times; the "
            f"field changes fast for rtol={solver.rtol}, atol={solver.atol}: loosen them, allow "
            "more steps, or use a method with fixed steps"
        )
    if text.startswith(("underflow in dt", "non-finite values in state")):
        return RuntimeError(
            f"{name}: no step is small enough; the field is not finite on the way, or rtol="
            f"{solver.rtol}, atol={solver.atol} ask for more than the numbers' precision"
        )
    return error
