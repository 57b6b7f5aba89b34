"""Solvers of dx/dt = u(x, t)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from fmcore.interfaces.path import Path
    from fmcore.interfaces.problem import Problem, Solution

__all__ = ["Solver"]


class Solver(ABC):
    """A method that carries x from t0 to t1 along a velocity field, in either direction.

    Laws (each a check of `fmcore.testing.SolverSuite`):
    * The field is never called outside [t0, t1].  NFE is counted where the field is called, per
      sample.
    * A budget `nfe=N` takes the most whole steps that fit; too small a budget is an error.
    * Time and state are at least float32, whatever the network's precision.
    * A failing sample gets a status and leaves the others as they would be without it.
    * A stochastic solver keeps the marginals of the flow, whatever its `noise`; sample i is a
      function of (seed, i) alone, and the last step adds no noise.
    * Running out of steps returns the last accepted state, the time reached and a status: no
      exception.
    """

    kind: ClassVar[str] = "solver"
    needs_path: ClassVar[bool] = False
    needs_score: ClassVar[bool] = False
    jumps: ClassVar[bool] = False
    """Whether the solver calls `Predictor.jump` instead of the velocity: for flow maps only."""
    stochastic: ClassVar[bool] = False
    """Whether fresh noise is added on the way; such a solver has an option `noise`, and at noise=0
    it solves the ODE."""

    def check(self, path: Path | None) -> None:  # noqa: B027  # nothing to refuse by default
        """Raise ComponentError if this solver cannot integrate along `path`, saying why; called
        before training.
        """

    def facts(self) -> Mapping[str, str]:
        """What `fmcore plugins show` says of this solver with these options."""
        reads = {
            "path": "an affine one, whose alpha and sigma it reads" if self.needs_path else "any",
            "coupling": "independent, for the score" if self.needs_score else "any",
        }
        return reads | ({"noise": "added on the way, an SDE"} if self.stochastic else {})

    @abstractmethod
    def solve(self, problem: Problem) -> Solution:
        """Integrate `problem` from its t0 to its t1."""
