"""The sampler of flow maps: jump from time to time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import ComponentError, Problem, Solution, Solver, Stats, Status
from fmcore.solving import GridName, Schedule, asked_times, interval, label_of, make_grid, state_of

__all__ = ["FlowMap"]


@final
@dataclass(frozen=True)
class FlowMap(Solver):
    """`steps` jumps of a network with two times, one evaluation each.

    `steps` and `nfe` are the same number here; one of them, 1 by default.  `grid` places the times
    by name (`auto` is `uniform`), or is the list of times itself.  The state after a jump is
    exact where the network is: there is no step size to refine.
    """

    jumps: ClassVar[bool] = True

    nfe: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    steps: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    grid: GridName | list[float] = field(default="uniform", kw_only=True)

    def __post_init__(self) -> None:
        given = [n for n in ("nfe", "steps") if getattr(self, n) is not None]
        if not isinstance(self.grid, str):
            object.__setattr__(self, "grid", tuple(float(t) for t in self.grid))
            given.append("grid")
        if len(given) > 1:
            raise ComponentError(
                f"{label_of(self)} takes one of nfe=, steps= or an explicit grid=; got "
                f"{' and '.join(given)}"
            )
        for name in ("nfe", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ComponentError(f"{label_of(self)}: {name} must be at least 1, got {value}")

    def facts(self) -> Mapping[str, str]:
        own = {"order": "the network's", "evaluations": "1 a step", "grid": "uniform by default"}
        return own | dict(super().facts())

    def solve(self, problem: Problem) -> Solution:
        jump = getattr(problem.field, "jump", None)
        if jump is None:
            raise ComponentError(
                f"{label_of(self)} needs a flow map (a field with `jump`), and "
                f"{type(problem.field).__name__} is a velocity: use an ODE solver such as "
                "'midpoint'"
            )
        x = state_of(problem)
        t0, t1 = interval(problem)
        times = self._times(t0, t1, problem)
        asked = asked_times(problem)
        states: dict[float, Tensor] = {}
        for begin, end in pairwise(times):
            if begin in asked:
                states[begin] = x
            t, until = (
                torch.full((len(x),), at, dtype=x.dtype, device=x.device) for at in (begin, end)
            )
            x = jump(x, t, until, problem.condition)
        if times[-1] in asked:
            states[times[-1]] = x
        finite = x.flatten(1).isfinite().all(1)
        status = torch.where(finite, int(Status.SUCCESS), int(Status.NONFINITE))
        steps = len(times) - 1
        return Solution(
            x=x,
            status=status,
            t_reached=torch.full_like(status, times[-1], dtype=x.dtype),
            stats=Stats(nfe=torch.full_like(status, steps), calls=steps, steps=steps),
            trajectory=torch.stack([states[t] for t in asked]) if asked else None,
        )

    def _times(self, t0: float, t1: float, problem: Problem) -> list[float]:
        """The times of the jumps, with the asked ones among them."""
        if t0 == t1:
            return [t0]
        if isinstance(self.grid, str):
            steps = self.nfe or self.steps or 1
            # jumps are as exact for every path: no schedule makes another grid better
            name = "uniform" if self.grid == "auto" else self.grid
            grid = make_grid(name, steps, t0, t1, Schedule.of(problem.path)).tolist()
        else:
            grid = list(self.grid)
            if (grid[0], grid[-1]) != (t0, t1):
                raise ComponentError(
                    f"{label_of(self)}: the explicit grid goes from {grid[0]} to {grid[-1]}, the "
                    f"solve from {t0} to {t1}: make their ends agree"
                )
        return sorted({*grid, *asked_times(problem)}, reverse=t1 < t0)
