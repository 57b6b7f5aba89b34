"""The plan of a fixed solver: all its operations, known before the first call of the field.

Runge-Kutta, Adams and the exponential integrators all compute x_k = sum_j p_kj x_j + sum_j q_kj u_j
with u_k = u(x_k, t_k), where p, q and t depend on the grid and the path, never on data.  An author
writes ordinary step code.  It runs once on symbols (`PlanBuilder`, `LinearExpr`), which gives a
`Plan`: rows that every backend can run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import ComponentError
from fmcore.solving.fixed.schedule import Point, Schedule

__all__ = [
    "START",
    "Call",
    "Combine",
    "LinearExpr",
    "Noise",
    "Plan",
    "PlanBuilder",
    "Row",
    "Traceable",
]

START = 0
"""The register that holds x0."""


@final
class LinearExpr:
    """sum_r weight_r * register_r as a symbol: sums and multiples, computed on the host in float64.

    A weight that cancels to exactly 0 is dropped, so that its register need not be computed.
    """

    __slots__ = ("terms",)
    __array_ufunc__ = None  # numpy_number * expr calls __rmul__, and makes no array of objects

    def __init__(self, terms: Mapping[int, float]) -> None:
        self.terms: dict[int, float] = {r: float(w) for r, w in terms.items() if w != 0}

    def __add__(self, other: LinearExpr | int) -> LinearExpr:
        if isinstance(other, int) and other == 0:  # the start of `sum(...)`
            return LinearExpr(self.terms)
        if not isinstance(other, LinearExpr):
            return NotImplemented
        total = dict(self.terms)
        for register, weight in other.terms.items():
            total[register] = total.get(register, 0.0) + weight
        return LinearExpr(total)

    __radd__ = __add__

    def __mul__(self, factor: float) -> LinearExpr:
        return LinearExpr({r: w * float(factor) for r, w in self.terms.items()})

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> LinearExpr:
        return LinearExpr({r: w / float(divisor) for r, w in self.terms.items()})

    def __neg__(self) -> LinearExpr:
        return -1.0 * self

    def __sub__(self, other: LinearExpr) -> LinearExpr:
        return self + -other

    def __repr__(self) -> str:
        return " + ".join(f"{w:.6g} r{r}" for r, w in self.terms.items()) or "0"


@final
@dataclass(frozen=True)
class Combine:
    """Register `out` = sum of weight * register."""

    out: int
    weights: Mapping[int, float]

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(self.weights)

    def __str__(self) -> str:
        return f"r{self.out} = {LinearExpr(self.weights)}"


@final
@dataclass(frozen=True)
class Call:
    """Register `out` = field(register `state`, t)."""

    out: int
    state: int
    t: float

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.state,)

    def __str__(self) -> str:
        return f"r{self.out} = field(r{self.state}, t={self.t:.6g})"


@final
@dataclass(frozen=True)
class Noise:
    """Register `out` = standard normal noise, draw number `draw` of each sample's stream."""

    out: int
    draw: int

    @property
    def reads(self) -> tuple[int, ...]:
        return ()

    def __str__(self) -> str:
        return f"r{self.out} = noise({self.draw})"


Row = Combine | Call | Noise


class Traceable(Protocol):
    """Step code that yields the state at every grid point after the first."""

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        """Write the steps from grid[0] to grid[-1]."""


@final
class PlanBuilder:
    """A plan under construction: the methods that a solver's `trace` calls.

    `start` is x0.  States are `LinearExpr`: add them and scale them by numbers.  A state at which
    the field is evaluated becomes a register, and so does every state that `trace` yields; nothing
    else is computed.  Times are in the path's interval.
    """

    def __init__(self, schedule: Schedule | None = None, *, backward: bool = False) -> None:
        self.start = LinearExpr({START: 1.0})
        self.rows: list[Row] = []
        self._schedule = schedule
        self._backward = backward
        self._draws = 0
        self._registers = 1
        self._calls: dict[tuple[int, float], LinearExpr] = {}

    def velocity(self, x: LinearExpr, t: float) -> LinearExpr:
        """Return u(x, t); a second call with the same state and time costs no evaluation."""
        # By register and time: predictions of x0 and x1 at one point share an evaluation.
        key = (self.keep(x), float(t))
        if key not in self._calls:
            out = self._new()
            self.rows.append(Call(out, *key))
            self._calls[key] = LinearExpr({out: 1.0})
        return self._calls[key]

    def data(self, x: LinearExpr, t: float) -> LinearExpr:
        """Return the x1 prediction at (x, t), from one evaluation."""
        return self._prediction(x, t, self.at(t).data)

    def noise(self, x: LinearExpr, t: float) -> LinearExpr:
        """Return the x0 prediction at (x, t), from the same evaluation."""
        return self._prediction(x, t, self.at(t).noise)

    def fresh(self) -> LinearExpr:
        """Return a new draw of x0, independent of all earlier ones, for a stochastic solver.

        Raises ComponentError where the path's source is not Gaussian, since the score is then no
        multiple of the x0 prediction, and in a solve from data to noise.
        """
        temperature = self._affine().temperature
        if self._backward:
            raise ComponentError(
                "a stochastic solver needs t0 < t1, from noise to data: for t1 < t0 set noise=0, "
                "or use an ODE solver"
            )
        out = self._new()
        self.rows.append(Noise(out, self._draws))
        self._draws += 1
        return LinearExpr({out: temperature})

    def at(self, t: float) -> Point:
        """Return the path's schedule at `t`.  Raises ComponentError without an affine path."""
        return self._affine().at(t)

    def times_of(self, lams: Sequence[float]) -> list[float]:
        """Return the times at which log(alpha/sigma) has these values, by one bisection for all.

        Raises ComponentError without an affine path.
        """
        times: list[float] = self._affine().inverse_lam(np.asarray(lams, np.float64)).tolist()
        return times

    def keep(self, x: LinearExpr) -> int:
        """Return the register of `x`, a new one unless `x` is one, and make `x` refer to it."""
        if len(x.terms) == 1:
            ((register, weight),) = x.terms.items()
            if weight == 1.0:
                return register
        # Caught here with its expression, not later as a NaN in every sample.
        if not all(map(math.isfinite, x.terms.values())):
            raise ComponentError(f"a plan's weights must be finite, got {x}")
        out = self._new()
        self.rows.append(Combine(out, dict(x.terms)))
        x.terms = {out: 1.0}  # otherwise later sums would repeat the terms of all earlier steps
        return out

    def _affine(self) -> Schedule:
        if self._schedule is None:
            raise ComponentError(
                "this solver reads the alpha and sigma of an affine path: give the problem one "
                "as its path"
            )
        return self._schedule

    def _prediction(self, x: LinearExpr, t: float, weights: tuple[float, float]) -> LinearExpr:
        u = self.velocity(x, t)
        of_velocity, of_state = weights
        return of_velocity * u + of_state * x

    def _new(self) -> int:
        self._registers += 1
        return self._registers - 1


@final
@dataclass(frozen=True, eq=False)
class Plan:
    """Rows to run in order.  Plans are compared by identity; see `canonical` for equal results.

    `outputs` are the registers of the states at `times`, then of the end state.  `grid` holds the
    times of the steps, `ends[k]` the number of rows up to the end of step k, and `nodes[k]` the
    register of the state there.
    """

    rows: tuple[Row, ...]
    outputs: tuple[int, ...]
    grid: tuple[float, ...]
    ends: tuple[int, ...]
    times: tuple[float, ...] = field(default=())
    nodes: tuple[int, ...] = field(default=())

    @staticmethod
    def of(
        solver: Traceable,
        grid: Sequence[float] | NDArray[np.float64],
        schedule: Schedule | None = None,
        times: Iterable[float] = (),
    ) -> Plan:
        """Trace `solver` over `grid`, with the states at `times`, grid points, among the outputs.

        Raises ComponentError if the step code does not yield one state for each grid point after
        the first.
        """
        grid = np.asarray(grid, dtype=np.float64)
        draft = PlanBuilder(schedule, backward=bool(grid[-1] < grid[0]))
        nodes, ends = [START], [0]
        for x in solver.trace(draft, grid):
            nodes.append(draft.keep(x))
            ends.append(len(draft.rows))
        if len(nodes) != len(grid):
            raise ComponentError(
                f"{type(solver).__name__}.trace must yield the state at each of the "
                f"{len(grid) - 1} grid points after "
                f"the first; it yielded {len(nodes) - 1}"
            )
        times = tuple(times)
        outputs = (*(nodes[_index_of(t, grid)] for t in times), nodes[-1])
        rows, step_ends = _needed(draft.rows, outputs, ends[1:])
        return Plan(rows, outputs, tuple(grid.tolist()), step_ends, times, tuple(nodes[1:]))

    @property
    def final(self) -> int:
        """The register of the state at the end."""
        return self.outputs[-1]

    @property
    def calls(self) -> tuple[Call, ...]:
        """The evaluations of the field, in order."""
        return tuple(row for row in self.rows if isinstance(row, Call))

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The first and the end row of each step; rows after the last step belong to it."""
        if not self.ends:  # an interval of length 0
            return ()
        ends = (*self.ends[:-1], len(self.rows))
        return tuple(zip((0, *ends[:-1]), ends, strict=True))

    @cached_property
    def draws(self) -> tuple[int, ...]:
        """The numbers of the noise draws, in order; empty for an ODE solver."""
        return tuple(row.draw for row in self.rows if isinstance(row, Noise))

    @cached_property
    def nfe(self) -> int:
        """Velocity evaluations per sample."""
        return len(self.calls)

    def __str__(self) -> str:
        title = f"{len(self.grid) - 1} steps, {self.nfe} evaluations of the field; r0 = x0"
        return "\n".join([title, *map(str, self.rows), f"x = r{self.final}"])


def _index_of(t: float, grid: NDArray[np.float64]) -> int:
    # The grid holds `times` to rounding (see `insert_times`).
    return int(np.abs(grid - t).argmin())


def _needed(
    rows: Sequence[Row], outputs: Iterable[int], ends: Sequence[int]
) -> tuple[tuple[Row, ...], tuple[int, ...]]:
    """Return the rows that an output depends on, and the ends of the steps among them."""
    # Backwards: a row is needed if a later needed row or an output reads its register.
    live = set(outputs)
    kept: list[bool] = []
    for row in reversed(rows):
        kept.append(row.out in live)
        if row.out in live:
            live.update(row.reads)
    kept.reverse()
    before = np.concatenate([[0], np.cumsum(kept)])
    return tuple(r for r, k in zip(rows, kept, strict=True) if k), tuple(
        int(before[e]) for e in ends
    )
