"""Solvers that choose their steps: an embedded Runge-Kutta pair, with its error held below a
tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt

from fmcore.errors import ComponentError
from fmcore.interfaces.options import require_choice
from fmcore.interfaces.problem import Problem, Solution
from fmcore.interfaces.solver import Solver
from fmcore.solving.adaptive.controller import Controller
from fmcore.solving.adaptive.options import AdaptiveOptions, StepControl
from fmcore.solving.adaptive.scheduler import integrate_adaptive
from fmcore.solving.evaluation import label_of, raise_if_failed
from fmcore.solving.tableau import Tableau

__all__ = ["AdaptiveSolver"]


@dataclass(frozen=True)
class AdaptiveSolver(Solver):
    """An adaptive solver whose author gives `tableau`, with embedded weights.

    The error of a step is held below atol + rtol max(|x|, |x_new|) as RMS over the elements of a
    sample.  `max_steps` bounds a sample's attempts, `max_nfe` its evaluations; whoever runs out
    returns where it is.  `first_step` is the first step's length, otherwise found from the field.
    `sync_every` is how many steps go by between looks at whether all samples have arrived (each look
    waits for the device): 1 on a CPU, 2 elsewhere, if not given.  With `step_control="per_sample"`, lanes
    that have arrived are left behind (`compact_finished`), and `max_active` bounds how many samples travel at
    once: the others wait and take the place of those that arrive.  `throw` raises SolverError at
    the end if a sample did not arrive.
    """

    tableau: ClassVar[Tableau]

    rtol: Annotated[float, Ge(0)] = 1e-5
    atol: Annotated[float, Ge(0)] = 1e-5
    step_control: StepControl = field(default="per_sample", kw_only=True)
    max_steps: Annotated[int, Gt(0)] = field(default=10_000, kw_only=True)
    max_nfe: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    first_step: Annotated[float, Gt(0)] | None = field(default=None, kw_only=True)
    sync_every: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    max_active: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    compact_finished: bool = field(default=True, kw_only=True)
    throw: bool = field(default=False, kw_only=True)

    controller: ClassVar[Controller] = Controller()

    def __post_init__(self) -> None:
        require_choice(f"{label_of(self)}: step_control", self.step_control, StepControl)
        tolerances = (self.rtol, self.atol)
        if not all(0 <= tol < math.inf for tol in tolerances) or tolerances == (0, 0):
            raise ComponentError(
                f"{label_of(self)}: rtol and atol must be finite, >= 0 and not both 0, got "
                f"{self.rtol} and {self.atol}"
            )
        if self.max_active is not None and self.step_control != "per_sample":
            raise ComponentError(
                f"{label_of(self)}: max_active= needs step_control='per_sample'; with '{self.step_control}' all "
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
        """Evaluations of one attempted step; the velocity at its start is known already."""
        return self._options().nfe_per_attempt

    def facts(self) -> Mapping[str, str]:
        tableau = self.tableau
        own = {
            "order": f"{tableau.order}({tableau.embedded_order})",
            "evaluations": f"{self.nfe_per_attempt} an attempted step, and 2 at the start",
            "grid": "none: steps follow the error",
        }
        return own | dict(super().facts())

    def solve(self, problem: Problem) -> Solution:
        solution = integrate_adaptive(self._options(), problem)
        if self.throw:
            raise_if_failed(solution, label_of(self))
        return solution

    def _options(self) -> AdaptiveOptions:
        return AdaptiveOptions(
            tableau=self.tableau,
            controller=self.controller,
            rtol=self.rtol,
            atol=self.atol,
            step_control=self.step_control,
            max_steps=self.max_steps,
            max_nfe=self.max_nfe,
            first_step=self.first_step,
            sync_every=self.sync_every,
            max_active=self.max_active,
            compact_finished=self.compact_finished,
        )
