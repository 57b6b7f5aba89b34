"""Adaptive solvers: a pair of methods whose step sizes follow its error estimate."""

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
from fmcore.interfaces.space import Space
from fmcore.solving.adaptive.controller import AdaptiveOptions, Controller, StepControl
from fmcore.solving.adaptive.scheduler import integrate_adaptive
from fmcore.solving.evaluation import label_of, raise_if_failed
from fmcore.solving.on_space import solve_on_space
from fmcore.solving.tableau import Tableau

__all__ = ["AdaptiveSolver"]


@dataclass(frozen=True)
class AdaptiveSolver(Solver):
    """An adaptive solver; an author sets `tableau`, one with embedded weights, or
    `history`, the number of past velocities of an Adams method.

    A step is accepted if its error, over atol + rtol max(|x|, |x_new|), has an RMS of at most 1
    over the elements of a sample.  `step_control` sets which samples share a step size (see
    `StepControl`).  `max_steps` bounds the attempted steps of a sample, `max_nfe` its evaluations;
    a sample that exhausts either returns its last accepted state.  `first_step` is the size of the
    first step, by default estimated from the field.  Every `sync_every` steps the host reads which
    samples run, which on a GPU makes it wait: by default 1 on a CPU and 2 elsewhere.

    With `step_control="per_sample"`, `compact_finished` removes finished samples from the batch,
    and at most `max_active` samples are integrated at once: the others wait for a free slot.
    `throw` raises SolverError at the end if a sample did not reach t1.
    """

    tableau: ClassVar[Tableau]
    history: ClassVar[int] = 0

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
                f"{label_of(self)}: max_active= needs step_control='per_sample'; with "
                f"'{self.step_control}' all samples share each step"
            )
        # The velocity at t0, the probe of an automatic first step, and one attempt.
        least = 1 + (self.first_step is None) + self.nfe_per_attempt
        if self.max_nfe is not None and self.max_nfe < least:
            raise ComponentError(
                f"{label_of(self)}: max_nfe={self.max_nfe} is below the start and one step, which "
                f"cost {least}"
            )
        super().__post_init__()

    @property
    def nfe_per_attempt(self) -> int:
        """Evaluations of one attempted step; the velocity at its start is known already."""
        return self._options().nfe_per_attempt

    def facts(self) -> Mapping[str, str]:
        lower = self._options().error_order - 1
        order = self.history + 1 if self.history else self.tableau.order
        own = {
            "order": f"{order}({lower})",
            "evaluations": f"{self.nfe_per_attempt} an attempted step, and 2 at the start",
            "grid": "none: steps follow the error",
        }
        return own | dict(super().facts())

    def supports(self, space: Space) -> bool:
        return space.continuous

    def solve(self, problem: Problem) -> Solution:
        if self.history and problem.grad != "none":
            raise ComponentError(
                f"{label_of(self)} gives no gradients: use another adaptive solver, "
                "such as 'dopri5'"
            )
        options = self._options()
        solution = solve_on_space(problem, lambda given: integrate_adaptive(options, given))
        if self.throw:
            raise_if_failed(solution, label_of(self))
        return solution

    def _options(self) -> AdaptiveOptions:
        return AdaptiveOptions(
            tableau=None if self.history else self.tableau,
            history=self.history,
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
