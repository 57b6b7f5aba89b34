"""Fixed solvers: their budget or time grid determines every evaluation in advance."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from fmcore.errors import ComponentError
from fmcore.interfaces.field import require_score
from fmcore.interfaces.options import require_choice
from fmcore.interfaces.path import AffinePath, Path
from fmcore.interfaces.problem import Problem, Solution
from fmcore.interfaces.solver import Solver
from fmcore.interfaces.space import Manifold, Space
from fmcore.solving.backends.select import Backend, execute_by
from fmcore.solving.evaluation import label_of, raise_if_failed
from fmcore.solving.fixed.grids import AutoGrid, GridName, auto_grid, insert_times, make_grid
from fmcore.solving.fixed.plan import LinearExpr, Plan, PlanBuilder
from fmcore.solving.fixed.schedule import Schedule
from fmcore.solving.fixed.tangent_steps import execute_in_tangents, is_one_step
from fmcore.solving.interval import asked_times, inside, interval
from fmcore.solving.on_space import solve_on_space
from fmcore.solving.tableau import Tableau

__all__ = ["FixedSolver", "RungeKutta", "StochasticSolver"]


DEFAULT_NFE = 100
"""The default budget: enough for every solver to be near the exact flow on smooth problems."""

GRID_END_RTOL = 1e-6
"""How far the ends of an explicit grid may miss those of the solve, relative to its length."""


@dataclass(frozen=True)
class FixedSolver(Solver):
    """A solver with a fixed budget: at most `nfe` evaluations of the field, a number of `steps`, or
    a `grid` of explicit times; by default 100 evaluations.

    `grid` is the name of a time grid, or a list of times from t0 to t1; `auto` selects the grid by
    solver and path.  `throw` raises SolverError at the end if a sample's state is not finite.
    `backend` selects the backend (see docs/solvers.md, "Backends").

    An author writes `trace`, sets `order` (of the global error) and `nfe_per_step`, and may set
    `default_grid`, the meaning of `auto`, and `needs_path`.
    """

    order: ClassVar[int]
    nfe_per_step: ClassVar[int] = 1
    default_grid: ClassVar[AutoGrid] = "lambda on uneven paths"

    nfe: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    steps: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    grid: GridName | list[float] = field(default="auto", kw_only=True)
    throw: bool = field(default=False, kw_only=True)
    backend: Backend = field(default="auto", kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.grid, str):
            object.__setattr__(self, "grid", self._checked(self.grid))
        else:
            require_choice(f"{label_of(self)}: grid", self.grid, GridName)
        given = [n for n in ("nfe", "steps") if getattr(self, n) is not None]
        explicit = not isinstance(self.grid, str)
        if not given and not explicit:
            # Here and not as the default value, which would contradict an explicit `steps`.
            object.__setattr__(self, "nfe", DEFAULT_NFE)
        if len(given) + explicit > 1:
            both = " and ".join([*given, *(["an explicit grid"] if explicit else [])])
            raise ComponentError(
                f"{label_of(self)} takes one of nfe=, steps= or grid=[t0, ..., t1]; got {both}"
            )
        require_choice(f"{label_of(self)}: backend", self.backend, Backend)
        super().__post_init__()

    @abstractmethod
    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        """Write the steps over `grid`, `(n + 1,)`, into `plan`; yield the state at each grid point
        after the first.
        """

    def check(self, path: Path | None) -> None:
        """Raise ComponentError where the path is of a kind that this solver cannot use, or the
        budget is below one step.
        """
        self._check_kind(path)
        if path is not None:
            self.plan(path.t_min, path.t_max, path)

    def _check_kind(self, path: Path | None) -> None:
        if self.needs_path and not isinstance(path, AffinePath):
            given = (
                "the problem has no path" if path is None else f"{type(path).__name__} is not one"
            )
            raise ComponentError(
                f"{label_of(self)} integrates the linear part of an affine path exactly, and "
                f"{given}: "
                "use a Runge-Kutta solver such as 'midpoint', or give an affine path"
            )

    def plan(
        self,
        t0: float = 0.0,
        t1: float = 1.0,
        path: Path | None = None,
        times: tuple[float, ...] = (),
    ) -> Plan:
        """Return the plan from `t0` to `t1`, with the states at `times` among its outputs."""
        # Before the cache, so that 0 and t_min give one plan.
        t0, t1 = inside(t0, path), inside(t1, path)
        try:
            return _cached(self, t0, t1, path, times)
        except TypeError:  # a path that cannot be hashed
            return _planned(self, t0, t1, path, times)

    def facts(self) -> Mapping[str, str]:
        own = {
            "order": str(self.order),
            "evaluations": f"{self.nfe_per_step} a step",
            "grid": f"{self.default_grid} by default",
        }
        return own | dict(super().facts())

    def written_plan(self, steps: int, path: Path | None) -> str:
        """Return the plan of `steps` steps along `path` as text, row by row."""
        grid = self.grid if isinstance(self.grid, str) else "auto"
        short = replace(self, nfe=None, steps=steps, grid=grid)
        low, high = (0.0, 1.0) if path is None else (path.t_min, path.t_max)
        return str(short.plan(low, high, path))

    def supports(self, space: Space) -> bool:
        return space.continuous

    def solve(self, problem: Problem) -> Solution:
        return solve_on_space(problem, self._solve)

    def _solve(self, problem: Problem) -> Solution:
        self._check_kind(problem.path)
        t0, t1 = interval(problem)
        plan = self.plan(t0, t1, problem.path, asked_times(problem))
        space = None if problem.path is None else problem.path.space
        if isinstance(space, Manifold) and self._steps_in_tangents(plan, problem, space):
            solution = execute_in_tangents(plan, problem, space, self.nfe)
        else:
            solution = execute_by(self.backend, plan, problem, self.nfe, self)
        if self.throw:
            raise_if_failed(solution, label_of(self))
        return solution

    def _steps_in_tangents(self, plan: Plan, problem: Problem, space: Manifold) -> bool:
        """Return whether each step is made in the tangent space of its start: more exact, but
        without divergences and gradients, which go through the coordinates of R^n.
        """
        plain = problem.augmentation is None and problem.grad == "none"
        eager = self.backend in ("auto", "eager")
        return plain and eager and not space.flat and is_one_step(plan)

    def _grid(
        self, steps: int, t0: float, t1: float, schedule: Schedule | None, times: tuple[float, ...]
    ) -> NDArray[np.float64]:
        name = self.grid if isinstance(self.grid, str) else "uniform"
        chosen = auto_grid(self.default_grid, schedule) if name == "auto" else name
        return insert_times(make_grid(chosen, steps, t0, t1, schedule), times)

    def _checked(self, grid: Sequence[float]) -> tuple[float, ...]:
        times = tuple(float(t) for t in grid)
        rises = np.diff(times)
        monotone = (rises > 0).all() or (rises < 0).all()
        if len(times) < 2 or not (monotone and np.isfinite(times).all()):
            raise ComponentError(
                f"{label_of(self)}: an explicit grid is two or more finite times, strictly rising "
                f"or strictly falling; got {list(times)}"
            )
        return times


@dataclass(frozen=True)
class RungeKutta(FixedSolver):
    """A fixed solver; an author sets `tableau`, which gives its order and its cost."""

    tableau: ClassVar[Tableau]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "tableau" in vars(cls):
            cls.order, cls.nfe_per_step = cls.tableau.order, cls.tableau.stages

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            h = t - s
            k: list[LinearExpr] = []
            for row, c in zip(self.tableau.a, self.tableau.c, strict=True):
                # s + h may miss t by a rounding error, and with it the end of the path's interval.
                time = t if c == 1 else s + float(c) * h
                k.append(plan.velocity(x + h * _weighted(row, k), time))
            x = x + h * _weighted(self.tableau.b, k)
            yield x


@dataclass(frozen=True)
class StochasticSolver(FixedSolver):
    """A fixed solver of dx = [u + g^2 score / 2] dt + g dW, which for every g(t) >= 0 has the
    marginals of dx = u dt.

    `noise` >= 0 scales g; noise=0 solves the ODE.  g goes to 0 with sigma, and the last step is the
    ODE's.  The score is computed from the velocity, which needs an affine path, a Gaussian x0
    independent of x1 (no optimal-transport coupling), and t0 < t1.  Draw k of sample i is a
    function of (seed, i, k) alone.  `solve` raises ComponentError for a field without a score.

    An author's `trace` calls `plan.fresh()` for a new draw of x0, and scales it.
    Source: Song et al., arXiv 2011.13456; Ma et al., arXiv 2401.08740.
    """

    needs_path: ClassVar[bool] = True
    needs_score: ClassVar[bool] = True
    stochastic: ClassVar[bool] = True
    most_noise: ClassVar[float] = math.inf

    noise: Annotated[float, Ge(0)] = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        if not (0 <= self.noise <= self.most_noise and math.isfinite(self.noise)):
            most = "" if math.isinf(self.most_noise) else f" and at most {self.most_noise:g}"
            raise ComponentError(
                f"{label_of(self)}: noise must be at least 0{most}, got {self.noise}"
            )
        super().__post_init__()

    def solve(self, problem: Problem) -> Solution:
        if self.noise > 0:
            require_score(problem.field, label_of(self))
        return super().solve(problem)


def _planned(
    solver: FixedSolver, t0: float, t1: float, path: Path | None, times: tuple[float, ...]
) -> Plan:
    schedule = Schedule.of(path)
    if t0 == t1:  # no step, on any grid and with any budget
        return Plan.of(solver, [t0], schedule, times)
    if not isinstance(solver.grid, str):
        return Plan.of(
            solver, insert_times(_oriented(solver, t0, t1, path), times), schedule, times
        )

    def of_steps(steps: int) -> Plan:
        return Plan.of(solver, solver._grid(steps, t0, t1, schedule, times), schedule, times)

    if solver.steps is not None:
        return of_steps(solver.steps)
    if solver.nfe is None:
        raise ComponentError(f"{label_of(solver)} has no budget: give nfe= or steps=")
    return _most_steps(of_steps, solver.nfe, solver.nfe_per_step, label_of(solver))


# Tracing takes milliseconds, and `fmcore sample` solves one plan for every batch.
_cached = lru_cache(maxsize=128)(_planned)


def _most_steps(of_steps: Callable[[int], Plan], nfe: int, nfe_per_step: int, label: str) -> Plan:
    """Return the plan with the most whole steps that costs at most `nfe` evaluations.

    Plans are made and counted, since a step may cost less at the ends of the interval.
    """
    # A first guess, exact unless steps at the ends cost less.
    steps = max(1, nfe // nfe_per_step)
    plan = of_steps(steps)
    while plan.nfe > nfe and steps > 1:
        steps -= 1
        plan = of_steps(steps)
    if plan.nfe > nfe:
        raise ComponentError(
            f"{label}: nfe={nfe} is below one step, which costs {plan.nfe} here: raise nfe, or "
            "use a solver of lower order"
        )
    # EDM's Heun, for one, saves an evaluation in its last step.
    while (longer := of_steps(steps + 1)).nfe <= nfe:
        steps, plan = steps + 1, longer
    return plan


def _oriented(solver: FixedSolver, t0: float, t1: float, path: Path | None) -> NDArray[np.float64]:
    """Return the explicit grid in the direction of the solve, after checking its ends."""
    try:
        grid = np.array([inside(t, path) for t in solver.grid if not isinstance(t, str)])
    except ComponentError as error:
        raise ComponentError(f"{label_of(solver)}: in the explicit grid, {error}") from error
    if (grid[-1] > grid[0]) != (t1 > t0):
        grid = grid[::-1].copy()
    near = GRID_END_RTOL * abs(t1 - t0)
    if abs(grid[0] - t0) > near or abs(grid[-1] - t1) > near:
        raise ComponentError(
            f"{label_of(solver)}: the explicit grid goes from {grid[0]} to {grid[-1]}, the solve "
            f"from {t0} to {t1}: "
            "make their ends agree, or use nfe= or steps="
        )
    # Within the tolerance above, but the solve must end at t1 exactly.
    grid[0], grid[-1] = t0, t1
    return grid


def _weighted(weights: tuple[object, ...], k: list[LinearExpr]) -> LinearExpr:
    return sum((float(w) * v for w, v in zip(weights, k, strict=True)), LinearExpr({}))  # type: ignore[arg-type]
