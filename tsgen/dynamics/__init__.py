"""Continuous-time dynamics: solves of differential equations, each library behind one file."""

from tsgen.dynamics.ode import CountedField, ODESolver, solve_ode, solve_path

__all__ = ["CountedField", "ODESolver", "solve_ode", "solve_path"]
