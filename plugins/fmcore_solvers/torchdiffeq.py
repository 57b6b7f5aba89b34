"""torchdiffeq's solvers as a baseline, restricted to the interval, with a status in place of
exceptions.

By default torchdiffeq's adaptive methods step past t1 and interpolate back, and evaluate the field
at a time outside the interval to find the first step; `step_t` and `first_step` prevent both.  The
step size and the error norm are shared by the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor
from torchdiffeq import odeint

from fmcore import ComponentError, Problem, Solution, Solver, Stats, Status
from fmcore.solving import (
    asked_times,
    bound_field,
    check_velocity,
    interval,
    label_of,
    raise_if_failed,
    rounded_inside,
    state_of,
)

__all__ = [
    "TorchdiffeqAdaptive",
    "TorchdiffeqAdaptiveHeun",
    "TorchdiffeqBosh3",
    "TorchdiffeqDopri5",
    "TorchdiffeqDopri8",
    "TorchdiffeqEuler",
    "TorchdiffeqFixed",
    "TorchdiffeqMidpoint",
    "TorchdiffeqRK4",
]

FIRST_STEP = 0.01
"""The first step as a fraction of the interval; the controller can enlarge the next one tenfold."""


@dataclass(frozen=True)
class TorchdiffeqAdaptive(Solver):
    """Adaptive steps of one size for the whole batch.

    The error of a step, as RMS over all samples, is kept below atol + rtol |x|.  `max_steps` bounds
    the steps between two of the problem's times.  A sample whose velocity is not finite keeps its
    state and gets the status NONFINITE.
    """

    method: ClassVar[str]

    rtol: Annotated[float, Gt(0)] = 1e-5
    atol: Annotated[float, Gt(0)] = 1e-5
    max_steps: Annotated[int, Gt(0)] = 10_000
    throw: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not (0 < self.rtol < math.inf and 0 < self.atol < math.inf):
            raise ComponentError(
                f"{label_of(self)}: rtol and atol must be positive and finite, got {self.rtol} and "
                f"{self.atol}"
            )
        if not isinstance(self.max_steps, int) or self.max_steps < 1:
            raise ComponentError(
                f"{label_of(self)}: max_steps must be an integer above 0, got {self.max_steps!r}"
            )

    @final
    def solve(self, problem: Problem) -> Solution:
        t0, t1 = interval(problem)
        options = {
            "step_t": torch.tensor([t1], dtype=torch.float64),
            "first_step": abs(t1 - t0) * FIRST_STEP,
            "max_num_steps": self.max_steps,
        }
        return _solve(self, problem, {"rtol": self.rtol, "atol": self.atol, "options": options})


@dataclass(frozen=True)
class TorchdiffeqFixed(Solver):
    """Equal steps in t: `steps` of them, or as many as `nfe` evaluations allow."""

    method: ClassVar[str]
    nfe_per_step: ClassVar[int]

    nfe: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    steps: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    throw: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.nfe is None) == (self.steps is None):
            raise ComponentError(f"{label_of(self)} needs exactly one of nfe= and steps=")
        if self._steps < 1:
            raise ComponentError(
                f"{label_of(self)}: nfe={self.nfe} is below one step, which costs "
                f"{self.nfe_per_step}: raise nfe"
            )

    @property
    def _steps(self) -> int:
        if self.steps is not None:
            return self.steps
        return (self.nfe or 0) // self.nfe_per_step

    @final
    def solve(self, problem: Problem) -> Solution:
        if problem.times:
            raise ComponentError(
                f"{label_of(self)} returns no states at intermediate times: leave out times=, or "
                "use one of fmcore's solvers, such as 'midpoint'"
            )

        def grid(_field: Any, _x: Tensor, t: Tensor) -> Tensor:
            return torch.linspace(float(t[0]), float(t[-1]), self._steps + 1, dtype=t.dtype)

        return _solve(self, problem, {"options": {"grid_constructor": grid}})


def _solve(
    solver: TorchdiffeqAdaptive | TorchdiffeqFixed, problem: Problem, how: dict[str, Any]
) -> Solution:
    if problem.grad != "none" or problem.augmentation is not None or problem.callback is not None:
        raise ComponentError(
            f"{label_of(solver)} is a baseline for sampling, without gradients, divergences and "
            "callbacks: use one of fmcore's solvers, such as 'dopri5'"
        )
    x0 = state_of(problem)
    t0, t1 = interval(problem)
    asked = asked_times(problem)
    kind = _CountingAdaptiveField if isinstance(solver, TorchdiffeqAdaptive) else _CountingField
    counting = kind(bound_field(problem), x0, t0, t1)
    status = Status.SUCCESS
    stops = sorted({t0, *asked, t1}, reverse=t1 < t0)
    with torch.no_grad():
        try:
            if t0 == t1 or not x0.numel():  # torchdiffeq's error norm of no elements is NaN
                states = x0.expand(len(stops), *x0.shape).clone()
            else:
                times = torch.tensor(stops, dtype=torch.float64, device=x0.device)
                states = odeint(counting, x0, times, method=solver.method, **how)
        except AssertionError as stopped:  # how torchdiffeq reports that it must stop
            status = Status.MAX_STEPS if "max_num_steps" in str(stopped) else Status.DT_MIN
            states = counting.x.expand(len(stops), *x0.shape)
    solution = counting.solution(states, status, [stops.index(t) for t in asked])
    if solver.throw:
        raise_if_failed(solution, label_of(solver))
    return solution


class _CountingField:
    """The field that torchdiffeq calls: it counts calls, clamps times to the interval and returns a
    zero velocity for samples that have failed.
    """

    def __init__(
        self, velocity: Callable[[Tensor, Tensor], Tensor], x0: Tensor, t0: float, t1: float
    ) -> None:
        self._velocity = velocity
        self._low, self._high = (
            float(t)
            for t in rounded_inside([min(t0, t1), max(t0, t1)], min(t0, t1), max(t0, t1), x0.dtype)
        )
        self.x, self.t, self.t1 = x0, torch.tensor(t0), t1
        self.failed = torch.zeros(len(x0), dtype=torch.bool, device=x0.device)
        self.failed_at = torch.full_like(self.failed, t0, dtype=x0.dtype)
        self.calls = self.steps = self.rejected = 0

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        self.calls += 1
        now = t.to(x.dtype).clamp(self._low, self._high).expand(len(x))
        velocity = self._velocity(x, now)
        check_velocity(self._velocity, velocity, x)
        bad = ~_finite_rows(velocity)
        self.failed_at = torch.where(bad & ~self.failed, now, self.failed_at)
        self.failed = self.failed | bad
        return torch.where(self.failed.view(-1, *(1,) * (x.ndim - 1)), 0.0, velocity)

    def callback_step(self, t0: Tensor, x0: Tensor, dt: Tensor) -> None:
        self.t, self.x = t0, x0
        self.steps += 1

    def solution(self, states: Tensor, status: Status, asked: list[int]) -> Solution:
        x = states[-1]
        failed = self.failed | ~_finite_rows(x)
        reached = self.t.to(x.dtype).to(x.device) if status else x.new_tensor(self.t1)
        return Solution(
            x=x,
            status=torch.where(failed, int(Status.NONFINITE), int(status)),
            t_reached=torch.where(failed, self.failed_at, reached),
            stats=Stats(
                nfe=torch.full((len(x),), self.calls, dtype=torch.int64, device=x.device),
                calls=self.calls,
                steps=self.steps,
                rejected=self.rejected * len(x),
            ),
            trajectory=states[asked] if asked else None,
        )


def _finite_rows(x: Tensor) -> Tensor:
    """Return which samples are finite, `(batch,)`, for x of shape `(batch, *shape)`."""
    finite = x.isfinite()
    return finite.flatten(1).all(1) if x.ndim > 1 else finite


@final
class _CountingAdaptiveField(_CountingField):
    """Counts rejected steps too; torchdiffeq's fixed-step methods warn about this callback."""

    def callback_reject_step(self, t0: Tensor, x0: Tensor, dt: Tensor) -> None:
        self.rejected += 1


@final
@dataclass(frozen=True)
class TorchdiffeqDopri5(TorchdiffeqAdaptive):
    """Dormand-Prince 5(4)."""

    method = "dopri5"


@final
@dataclass(frozen=True)
class TorchdiffeqDopri8(TorchdiffeqAdaptive):
    """Prince-Dormand 8(7)."""

    method = "dopri8"


@final
@dataclass(frozen=True)
class TorchdiffeqBosh3(TorchdiffeqAdaptive):
    """Bogacki-Shampine 3(2)."""

    method = "bosh3"


@final
@dataclass(frozen=True)
class TorchdiffeqAdaptiveHeun(TorchdiffeqAdaptive):
    """Heun-Euler 2(1)."""

    method = "adaptive_heun"


@final
@dataclass(frozen=True)
class TorchdiffeqEuler(TorchdiffeqFixed):
    """Order 1."""

    method = "euler"
    nfe_per_step = 1


@final
@dataclass(frozen=True)
class TorchdiffeqMidpoint(TorchdiffeqFixed):
    """Order 2."""

    method = "midpoint"
    nfe_per_step = 2


@final
@dataclass(frozen=True)
class TorchdiffeqRK4(TorchdiffeqFixed):
    """Order 4, the 3/8 rule."""

    method = "rk4"
    nfe_per_step = 4
