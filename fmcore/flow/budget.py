"""Where a fixed solver uses another number of evaluations than was asked for."""

from __future__ import annotations

from fmcore.interfaces.path import Path
from fmcore.interfaces.solver import Solver
from fmcore.solving.evaluation import label_of
from fmcore.solving.fixed.solver import FixedSolver

__all__ = ["budget_note"]


def budget_note(solver: Solver, path: Path, asked: int | None) -> str:
    """Return a line with the `nfe` that `solver` uses along `path`, or an empty text.

    Empty if it uses the `asked` ones, and for a solver whose steps are given or adaptive.  `asked`
    is None where the recipe or the command gives no budget.
    """
    by_nfe = isinstance(solver, FixedSolver) and solver.nfe is not None
    if not isinstance(solver, FixedSolver) or not by_nfe:
        return ""
    used = solver.plan(path.t_min, path.t_max, path).nfe
    if asked is None:
        return f"{label_of(solver)} has no budget and uses nfe={used}; set another with nfe="
    if used == asked:
        return ""
    return (
        f"{label_of(solver)} uses nfe={used} of nfe={asked}: it takes whole steps of "
        f"{solver.nfe_per_step} evaluations"
    )
