"""The laws of solvers that jump along a flow map, as checks on one solver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.problem import Problem, Solution, Status
from fmcore.interfaces.solver import Solver
from fmcore.interfaces.source import Condition
from fmcore.interfaces.tensors import append_dims
from fmcore.testing.checks import require, require_close, untouched_randomness
from fmcore.testing.flows import Decay, StraightPath, starts
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["FlowMapSolverSuite"]

END = 0.9


@final
@dataclass
class _Map:
    """The exact flow map of `Decay`, which records the jumps that it made."""

    jumps: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    broken: int | None = None

    def jump(
        self, x: Tensor, t: Tensor, until: Tensor, condition: Condition | None = None
    ) -> Tensor:
        self.jumps.append((t, until))
        rate = 1.0 if condition is None else append_dims(condition["rate"], x)
        t, until = append_dims(t, x), append_dims(until, x)
        grown = (until + until**2 / 2) - (t + t**2 / 2)
        end = 1 / (1 / x + rate * grown)
        if self.broken is not None:
            end[self.broken] = torch.nan
        return end

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        raise AssertionError("a solver of flow maps calls `jump`, not the velocity")


class FlowMapSolverSuite(ComponentChecks, Suite):
    """Override `component()` to build the solver, with any number of steps.

    Checks use the flow of u = -(1 + t) x^2, whose map is known.
    """

    interface = Solver

    def solve(self, flow: Any, n: int = 5, steps: int | None = None, **more: Any) -> Solution:
        """Solve from 0 to 0.9 with `steps` jumps, or the component's own number."""
        solver = self.component()
        if steps is not None:
            solver = type(solver)(steps=steps)
        x0 = more.pop("x0", None)
        x0 = starts(n) if x0 is None else x0
        solution: Solution = solver.solve(Problem(flow, x0, 0.0, END, path=StraightPath(), **more))
        return solution

    def test_jumps_follow_the_map(self) -> None:
        """Any number of jumps ends where the exact map does, with status SUCCESS."""
        for steps in (1, 2, 7):
            x0 = starts(5)
            solution = self.solve(_Map(), steps=steps, x0=x0)
            require_close(solution.x, Decay.exact(x0, 0.0, END), f"the end of {steps} jumps")
            require(bool((solution.status == int(Status.SUCCESS)).all()), "a status is no SUCCESS")

    def test_jumps_are_consecutive_and_inside(self) -> None:
        """The first jump starts at t0, each starts where the one before ended, the last ends at t1;
        times are `(batch,)`."""
        flow = _Map()
        self.solve(flow, steps=4)
        ends = [0.0, *(float(until[0]) for _, until in flow.jumps)]
        for (t, until), start in zip(flow.jumps, ends, strict=False):
            require(t.shape == until.shape == (5,), f"times have shape {tuple(t.shape)}")
            require(float(t[0]) == start, f"a jump starts at {float(t[0])}, not at {start}")
        require(abs(ends[-1] - END) < 1e-6, f"the last jump ends at {ends[-1]}, not at {END}")

    def test_budget_counts_jumps(self) -> None:
        """steps=N makes N jumps: as many are in `nfe`, `calls` and `steps` of the stats."""
        for steps in (1, 3):
            flow = _Map()
            stats = self.solve(flow, steps=steps).stats
            found = (len(flow.jumps), stats.calls, stats.steps, *stats.nfe.tolist())
            require(
                set(found) == {steps}, f"{steps} steps: jumps, calls, steps and nfe are {found}"
            )

    def test_conditions_stay_with_their_samples(self) -> None:
        """Row i of the condition goes with row i of x."""
        x0, rate = starts(5), torch.linspace(0.5, 2, 5, dtype=torch.float64)
        solution = self.solve(_Map(), steps=3, x0=x0, condition={"rate": rate})
        require_close(
            solution.x, Decay.exact(x0, 0.0, END, rate), "the ends under their conditions"
        )

    def test_failing_sample_is_isolated(self) -> None:
        """A sample that is not finite ends NONFINITE, and the others as they would without it."""
        x0 = starts(5)
        solution = self.solve(_Map(broken=2), steps=2, x0=x0)
        require(int(solution.status[2]) == int(Status.NONFINITE), "the broken sample has no status")
        others = [0, 1, 3, 4]
        require_close(solution.x[others], Decay.exact(x0, 0.0, END)[others], "the other samples")

    def test_asked_times_are_in_the_trajectory(self) -> None:
        """`times` gives the states there, in order, also between the solver's own times."""
        x0, times = starts(4), (0.3, 0.77)
        trajectory = self.solve(_Map(), steps=2, x0=x0, times=times).trajectory
        wanted = torch.stack([Decay.exact(x0, 0.0, t) for t in times])
        require(trajectory is not None, "no trajectory was given")
        require_close(trajectory if trajectory is not None else x0, wanted, "the trajectory")

    def test_start_is_left_alone(self) -> None:
        """x0 keeps its values; no global generator is touched."""
        x0 = starts(5)
        before = x0.clone()
        with untouched_randomness("solve"):
            self.solve(_Map(), steps=2, x0=x0)
        require(torch.equal(x0, before), "x0 was changed in place")

    def test_velocities_are_refused(self) -> None:
        """A field without `jump` raises ComponentError."""
        try:
            self.solve(Decay())
        except ComponentError:
            return
        require(False, "a plain velocity was accepted: its jumps would be Euler steps")
