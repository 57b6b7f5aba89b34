"""Solvers that choose their steps: an embedded Runge-Kutta pair, with its error held below a
tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt

from fmcore.errors import ComponentError
from fmcore.interfaces.solver import Solver
from fmcore.solving.choice import require_choice
from fmcore.solving.controller import Controller
from fmcore.solving.naming import label_of
from fmcore.solving.outcome import raise_if_failed
from fmcore.solving.problem import Problem, Solution
from fmcore.solving.tableau import Tableau
from fmcore.solving.travel import travel

__all__ = ["AdaptiveSolver", "Coupling"]

Coupling = Literal["sample", "batch_max", "batch_rms"]
"""`sample`: every sample has its own time, step and error.  `batch_max`: one step for all, judged
by the worst live sample.  `batch_rms`: one step for all, judged by the RMS over the live samples,
which hides hard ones."""


@dataclass(frozen=True)
class AdaptiveSolver(Solver):
    """An adaptive solver whose author gives `tableau`, with embedded weights.

    The error of a step is held below atol + rtol max(|x|, |x_new|) as RMS over the elements of a
    sample.  `max_steps` bounds a sample's attempts, `max_nfe` its evaluations; whoever runs out
    returns where it is.  `first_step` is the first step's length, otherwise found from the field.
    `poll` is how many steps go by between looks at whether all samples have arrived (each look
    waits for the device): 1 on a CPU, 2 elsewhere, if not given.  With `coupling="sample"`, lanes
    that have arrived are left behind (`compact`), and `slots` bounds how many samples travel at
    once: the others wait and take the place of those that arrive.  `throw` raises SolverError at
    the end if a sample did not arrive.
    """

    tableau: ClassVar[Tableau]

    rtol: Annotated[float, Ge(0)] = 1e-5
    atol: Annotated[float, Ge(0)] = 1e-5
    coupling: Coupling = field(default="sample", kw_only=True)
    max_steps: Annotated[int, Gt(0)] = field(default=10_000, kw_only=True)
    max_nfe: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    first_step: Annotated[float, Gt(0)] | None = field(default=None, kw_only=True)
    poll: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    slots: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    compact: bool = field(default=True, kw_only=True)
    throw: bool = field(default=False, kw_only=True)

    controller: ClassVar[Controller] = Controller()

    def __post_init__(self) -> None:
        require_choice(f"{label_of(self)}: coupling", self.coupling, Coupling)
        tolerances = (self.rtol, self.atol)
        if not all(0 <= tol < math.inf for tol in tolerances) or tolerances == (0, 0):
            raise ComponentError(
                f"{label_of(self)}: rtol and atol must be finite, >= 0 and not both 0, got "
                f"{self.rtol} and {self.atol}"
            )
        if self.slots is not None and self.coupling != "sample":
            raise ComponentError(
                f"{label_of(self)}: slots= needs coupling='sample'; with '{self.coupling}' all "
                "samples travel together"
            )
        least = 1 + (self.first_step is None) + self.nfe_per_attempt
        if self.max_nfe is not None and self.max_nfe < least:
            raise ComponentError(
                f"{label_of(self)}: max_nfe={self.max_nfe} is below the start and one step, which "
                f"cost {least}"
            )

    @property
    def nfe_per_attempt(self) -> int:
        """Evaluations of one attempted step; the velocity at its beginning is there already."""
        return self.tableau.completed.stages - 1

    def facts(self) -> Mapping[str, str]:
        tableau = self.tableau
        own = {
            "order": f"{tableau.order}({tableau.embedded_order})",
            "evaluations": f"{self.nfe_per_attempt} an attempted step, and 2 at the start",
            "grid": "none: steps follow the error",
        }
        return own | dict(super().facts())

    def solve(self, problem: Problem) -> Solution:
        solution = travel(self, problem)
        if self.throw:
            raise_if_failed(solution, label_of(self))
        return solution
