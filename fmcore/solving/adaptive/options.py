"""The options of an adaptive solve, without the solver class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fmcore.solving.adaptive.controller import Controller
from fmcore.solving.tableau import Tableau

__all__ = ["AdaptiveOptions", "StepControl"]

StepControl = Literal["per_sample", "batch_max", "batch_rms"]
"""`per_sample`: every sample has its own time, step and error.  `batch_max`: one step for all, judged
by the worst live sample.  `batch_rms`: one step for all, judged by the RMS over the live samples,
which hides hard ones."""


@final
@dataclass(frozen=True)
class AdaptiveOptions:
    """What the integration loop needs of an adaptive solver (see `AdaptiveSolver`)."""

    tableau: Tableau
    controller: Controller
    rtol: float
    atol: float
    step_control: StepControl
    max_steps: int
    max_nfe: int | None
    first_step: float | None
    sync_every: int | None
    max_active: int | None
    compact_finished: bool

    @property
    def nfe_per_attempt(self) -> int:
        """Evaluations of one attempted step; the velocity at its start is known already."""
        return self.tableau.completed.stages - 1
