"""The solver under test: varied in its options, on a flow whose solution is known."""

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
"""Where lam of the straight path is finite, so that every solver keeps its full order."""

ACCURATE = 1e-2
"""How near any solver must come with the budget of `good`."""


class SolverChecks:
    """What every family of checks asks for."""

    def component(self) -> Any:
        """The solver to test."""
        raise NotImplementedError

    def good(self) -> Solver:
        """The solver with a budget or tolerance that leaves an error of about 1e-3 or less."""
        solver: Solver = with_options(
            without_noise(self.component()), nfe=None, steps=64, grid="auto", rtol=1e-6, atol=1e-6
        )
        return solver


def problem_of(x0: Tensor, t0: float, t1: float, *, field: Any = None, **more: Any) -> Problem:
    """`Decay`, or another field, from x0 along the straight path."""
    return Problem(field or Decay(), x0, t0, t1, path=PATH, **more)


def options_of(solver: Solver) -> set[str]:
    """The names of the solver's options."""
    return {item.name for item in fields(solver) if item.init}  # type: ignore[arg-type]


def with_options(solver: Any, **changes: Any) -> Any:
    """The solver with those of `changes` that are options of it."""
    return replace(solver, **{k: v for k, v in changes.items() if k in options_of(solver)})


def needs(solver: Any, *options: str) -> Any:
    """The solver, if it has these options; else the check does not concern it."""
    missing = set(options) - options_of(solver)
    if missing:
        skip(f"has no option {', '.join(sorted(missing))}")
    return solver


def without_noise(solver: Any) -> Any:
    """The ODE solver that a stochastic solver is without noise; any other solver itself."""
    return with_options(solver, noise=0.0) if solver.stochastic else solver


def possible(solver: Solver, spans: Iterable[Span]) -> list[Span]:
    """Those of the intervals that the solver can go: noise is added on the way to data only."""
    return [(t0, t1) for t0, t1 in spans if t0 < t1 or not solver.stochastic]


def rows_are_independent(solver: Solver) -> bool:
    """Whether no sample has a share in another's steps."""
    if isinstance(solver, AdaptiveSolver):
        return solver.step_control == "per_sample"
    return isinstance(solver, FixedSolver)


def given(value: Tensor | None) -> Tensor:
    """What a solution must have."""
    if value is None:
        raise AssertionError("nothing came back where a tensor was asked for")
    return value
