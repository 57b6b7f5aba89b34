"""The laws of solvers that restore a measurement, as checks on one solver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.path import Quantity
from fmcore.interfaces.problem import Problem, Solution, Status
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.solver import Solver
from fmcore.interfaces.source import Condition
from fmcore.testing.checks import generator, require, require_close, untouched_randomness
from fmcore.testing.flows import StraightPath
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["RestorationSolverSuite"]

ROWS = 4


class _Gaussian:
    """The exact field of data N(0, I): the data prediction is alpha x / (alpha^2 + sigma^2)."""

    path = StraightPath()

    def __init__(self, broken: int | None = None) -> None:
        self.calls, self.broken = 0, broken

    def predict(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        target: Quantity = "velocity",
    ) -> Tensor:
        self.calls += 1
        c = self.path.coefficients(t)
        gain = (c.alpha / (c.alpha**2 + c.sigma**2)).view(-1, *(1,) * (x.ndim - 1))
        data = gain * x
        if self.broken is not None:
            data[self.broken] = torch.nan
        return (
            data
            if target == "data"
            else self.path.convert(data, x, t, source="data", target=target)
        )

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        return self.predict(x, t, condition)


class RestorationSolverSuite(ComponentChecks, Suite):
    """Override `component()` to build the solver, and `shape` if it cannot restore points of 3
    numbers.
    """

    interface = Solver
    shape: ClassVar[tuple[int, ...]] = (3,)

    def problem(self, rows: Any = slice(None), **more: Any) -> Problem:
        """Return the restoration of measured points."""
        solver = self.component()
        x1 = torch.randn((ROWS, *self.shape), generator=generator(1), dtype=torch.float64)
        measured = {
            f"solver/{k}": v
            for k, v in solver.measure(x1, Rows(2, "measurement", 0, range(ROWS))).items()
        }
        x0 = torch.randn((ROWS, *self.shape), generator=generator(3), dtype=torch.float64)
        options: dict[str, Any] = {
            "field": _Gaussian(),
            "x0": x0[rows],
            "path": StraightPath(),
            "condition": {k: v[rows] for k, v in measured.items()},
            "sample_ids": torch.arange(ROWS)[rows],
            "seed": 5,
        }
        return Problem(**(options | more))

    def solve(self, problem: Problem) -> Solution:
        """Return the component's solution."""
        solution: Solution = self.component().solve(problem)
        return solution

    def test_samples_are_functions_of_seed_and_index(self) -> None:
        """A sample alone is what it is in a batch; another seed gives another."""
        whole = self.solve(self.problem()).x
        for rows in ([2], [3, 1]):
            found = self.solve(self.problem(rows)).x
            require_close(found, whole[rows], f"the samples {rows} alone")
        with untouched_randomness("solve"):
            other = self.solve(replace(self.problem(), seed=6)).x
        require(not torch.equal(other, whole), "another seed gives the same samples")

    def test_measurements_stay_with_their_samples(self) -> None:
        """Another measurement of one row changes that row alone."""
        problem = self.problem()
        changed = {k: v.clone() for k, v in (problem.condition or {}).items()}
        for value in changed.values():
            value[1] += 1
        before, after = self.solve(problem).x, self.solve(replace(problem, condition=changed)).x
        require(not torch.equal(before[1], after[1]), "another measurement changes nothing")
        others = [0, 2, 3]
        require_close(after[others], before[others], "rows of the other measurements")

    def test_evaluations_are_counted(self) -> None:
        """`nfe` and `calls` are the evaluations of the field, at most the solver's own `nfe`."""
        field = _Gaussian()
        stats = self.solve(self.problem(field=field)).stats
        found = {field.calls, stats.calls, *stats.nfe.tolist()}
        require(len(found) == 1, f"evaluations, calls and nfe are {sorted(found)}")
        budget = getattr(self.component(), "nfe", None)
        require(budget is None or field.calls <= budget, f"{field.calls} evaluations of {budget}")

    def test_failing_sample_is_isolated(self) -> None:
        """A sample that is not finite ends NONFINITE, and the others as they would without it."""
        whole, solution = self.solve(self.problem()), self.solve(self.problem(field=_Gaussian(2)))
        require(int(solution.status[2]) == int(Status.NONFINITE), "the broken sample has no status")
        others = [0, 1, 3]
        require_close(solution.x[others], whole.x[others], "the other samples")
        require(bool((whole.status == int(Status.SUCCESS)).all()), "a status is no SUCCESS")

    def test_asked_times_are_in_the_trajectory(self) -> None:
        """`times` gives as many states, of x's shape, the last at t1 the result."""
        solution = self.solve(self.problem(times=(0.0, 0.5, 1.0)))
        trajectory = solution.trajectory
        require(
            trajectory is not None and trajectory.shape == (3, *solution.x.shape),
            "the trajectory of three times does not have three states",
        )
        if trajectory is not None:
            require_close(trajectory[-1], solution.x, "the state at t = 1")

    def test_missing_measurement_is_refused(self) -> None:
        """A missing measurement, or a plain velocity as the field, raises ComponentError."""
        for more in ({"condition": None}, {"field": lambda x, t: x}):
            try:
                self.solve(self.problem(**more))
            except ComponentError:
                continue
            require(False, f"a problem with {next(iter(more))} replaced was solved")
