"""The solver under test with varied options, and a problem whose solution is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from torch import Tensor

from fmcore.interfaces.solver import Solver
from fmcore.solving import AdaptiveSolver, FixedSolver, Problem
from fmcore.testing.checks import skip
from fmcore.testing.flows import Decay, StraightPath

__all__ = [
    "ACCURATE",
    "INNER",
    "PATH",
    "SolverChecks",
    "Span",
    "given",
    "needs",
    "options_of",
    "possible",
    "problem_of",
    "rows_are_independent",
    "with_options",
    "without_noise",
]

PATH = StraightPath()
Span = tuple[float, float]
INNER = (0.1, 0.9)
"""An interval with finite lam on the straight path, where every solver has its full order."""

ACCURATE = 1e-2
"""The tolerance for every solver with the budget of `good`."""


class SolverChecks:
    """The base of every group of checks."""

    def component(self) -> Any:
        """Return the solver to test."""
        raise NotImplementedError

    def good(self) -> Solver:
        """Return the solver with a budget or tolerance for an error of about 1e-3 or less."""
        solver: Solver = with_options(
            without_noise(self.component()), nfe=None, steps=64, grid="auto", rtol=1e-6, atol=1e-6
        )
        return solver


def problem_of(x0: Tensor, t0: float, t1: float, *, field: Any = None, **more: Any) -> Problem:
    """Return the problem of `Decay`, or another field, from x0 on the straight path."""
    return Problem(field or Decay(), x0, t0, t1, path=PATH, **more)


def options_of(solver: Solver) -> set[str]:
    """Return the names of the solver's options."""
    return {item.name for item in fields(solver) if item.init}  # type: ignore[arg-type]


def with_options(solver: Any, **changes: Any) -> Any:
    """Return the solver with those of `changes` that are its options."""
    return replace(solver, **{k: v for k, v in changes.items() if k in options_of(solver)})


def needs(solver: Any, *options: str) -> Any:
    """Return the solver if it has these options; else skip the check."""
    missing = set(options) - options_of(solver)
    if missing:
        skip(f"has no option {', '.join(sorted(missing))}")
    return solver


def without_noise(solver: Any) -> Any:
    """Return a stochastic solver with noise 0; any other solver unchanged."""
    return with_options(solver, noise=0.0) if solver.stochastic else solver


def possible(solver: Solver, spans: Iterable[Span]) -> list[Span]:
    """Return the intervals that the solver accepts: stochastic ones go from noise to data."""
    return [(t0, t1) for t0, t1 in spans if t0 < t1 or not solver.stochastic]


def rows_are_independent(solver: Solver) -> bool:
    """Return whether the steps of a sample are independent of other samples."""
    if isinstance(solver, AdaptiveSolver):
        return solver.step_control == "per_sample"
    return isinstance(solver, FixedSolver)


def given(value: Tensor | None) -> Tensor:
    """Return `value`, which must not be None."""
    if value is None:
        raise AssertionError("the solution has None in place of a tensor")
    return value
