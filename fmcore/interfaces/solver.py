"""Interface of solvers of dx/dt = u(x, t)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from fmcore.interfaces.condition import ConditionReader
from fmcore.interfaces.options import Options
from fmcore.interfaces.space import Space

if TYPE_CHECKING:
    from fmcore.interfaces.path import Path
    from fmcore.interfaces.problem import Problem, Solution

__all__ = ["Solver"]


class Solver(Options, ConditionReader, ABC):
    """A numerical method that integrates x along a velocity field from t0 to t1, in either
    direction.

    Laws (each a check of `fmcore.testing.SolverSuite`):
    * The field is never called outside [t0, t1].  NFE counts evaluations of the field per sample.
    * With a budget `nfe=N`, the solver makes the most whole steps that fit; a budget below one step
      is an error.
    * Time and state are at least float32, for a network of any precision.
    * A sample that fails gets a status, and does not change the others.
    * A stochastic solver keeps the marginals of the flow for every `noise`; sample i is a function
      of (seed, i) alone, and the last step adds no noise.
    * A sample that exhausts its steps returns the last accepted state, the time reached and a
      status, without an exception.
    """

    kind: ClassVar[str] = "solver"
    needs_path: ClassVar[bool] = False
    needs_score: ClassVar[bool] = False
    jumps: ClassVar[bool] = False
    """Whether the solver calls `Predictor.jump` instead of the velocity: for flow maps only."""
    restores: ClassVar[bool] = False
    """Whether the solver restores a measurement, a condition that it `reads`, and so follows no
    velocity: the laws above on velocities do not hold for it.  Such conditions are in the problem's
    condition as `solver/NAME`."""
    leaps: ClassVar[bool] = False
    """Whether the solver moves points by predictions of their end, as tokens do, and so follows no
    velocity."""
    stochastic: ClassVar[bool] = False
    """Whether steps add noise; such a solver has an option `noise`, and noise=0 solves the ODE."""

    def check(self, path: Path | None) -> None:  # nothing to refuse by default
        """Raise ComponentError with the reason if this solver cannot integrate along `path`; called
        before training.
        """

    def supports(self, space: Space) -> bool:
        """Return whether this solver moves points of `space`: by default only those of R^n."""
        return space.flat

    def facts(self) -> Mapping[str, str]:
        """Return the facts that `fmcore plugins show` prints of a solver with these options."""
        reads = {
            "path": "an affine one, whose alpha and sigma it reads" if self.needs_path else "any",
            "coupling": "independent, for the score" if self.needs_score else "any",
        }
        return reads | ({"noise": "added in each step, an SDE"} if self.stochastic else {})

    @abstractmethod
    def solve(self, problem: Problem) -> Solution:
        """Integrate `problem` from its t0 to its t1.

        Raises ComponentError for a problem that this solver cannot solve.
        """
