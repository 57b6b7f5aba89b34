"""torchdiffeq's solvers as a baseline, held inside the interval and kept from raising.

Left to itself, torchdiffeq's adaptive methods step past t1 and interpolate back, and their first
probe may lie anywhere; `step_t` and `first_step` together prevent both.  It keeps one step size and
one norm for the whole batch.
"""

from __future__ import annotations

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
    "RK4",
    "AdaptiveHeun",
    "Bosh3",
    "Dopri5",
    "Dopri8",
    "Euler",
    "Midpoint",
    "TorchdiffeqAdaptive",
    "TorchdiffeqFixed",
]

FIRST_STEP = 0.01
"""The first step as a share of the interval; the controller may enlarge it tenfold at the next."""


@dataclass(frozen=True)
class TorchdiffeqAdaptive(Solver):
    """Adaptive steps, one size for the whole batch.

    The error of a step, as RMS over all samples, is held below atol + rtol |x|.  `max_steps` bounds
    the steps between two times asked for.  A sample whose velocity is not finite is frozen and
    reported.
    """

    method: ClassVar[str]

    rtol: Annotated[float, Gt(0)] = 1e-5
    atol: Annotated[float, Gt(0)] = 1e-5
    max_steps: Annotated[int, Gt(0)] = 10_000
    throw: bool = field(default=False, kw_only=True)

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
    """Even steps in t; `steps` of them, or the most that `nfe` evaluations allow."""

    method: ClassVar[str]
    nfe_per_step: ClassVar[int]

    nfe: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    steps: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    throw: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.nfe is None) == (self.steps is None):
            raise ComponentError(f"{label_of(self)} takes exactly one of nfe= and steps=")
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
            raise ComponentError(f"{label_of(self)} does not give states at intermediate times")

        def grid(_field: Any, _x: Tensor, t: Tensor) -> Tensor:
            return torch.linspace(float(t[0]), float(t[-1]), self._steps + 1, dtype=t.dtype)

        return _solve(self, problem, {"options": {"grid_constructor": grid}})


def _solve(
    solver: TorchdiffeqAdaptive | TorchdiffeqFixed, problem: Problem, how: dict[str, Any]
) -> Solution:
    if problem.grad != "none" or problem.augmentation is not None or problem.callback is not None:
        raise ComponentError(
            f"{label_of(solver)} is a baseline for sampling: it gives neither gradients nor "
            "divergences, and takes no callback; use one of fmcore's solvers, such as 'dopri5'"
        )
    x0 = state_of(problem)
    t0, t1 = interval(problem)
    asked = asked_times(problem)
    kind = _WatchedAdaptive if isinstance(solver, TorchdiffeqAdaptive) else _Watched
    watched = kind(bound_field(problem), x0, t0, t1)
    status = Status.SUCCESS
    stops = sorted({t0, *asked, t1}, reverse=t1 < t0)
    with torch.no_grad():
        try:
            if t0 == t1 or not x0.numel():  # torchdiffeq's error norm of no elements is NaN
                states = x0.expand(len(stops), *x0.shape).clone()
            else:
                times = torch.tensor(stops, dtype=torch.float64, device=x0.device)
                states = odeint(watched, x0, times, method=solver.method, **how)
        except AssertionError as stopped:  # torchdiffeq's way to report that it cannot go on
            status = Status.MAX_STEPS if "max_num_steps" in str(stopped) else Status.DT_MIN
            states = watched.x.expand(len(stops), *x0.shape)
    solution = watched.solution(states, status, [stops.index(t) for t in asked])
    if solver.throw:
        raise_if_failed(solution, label_of(solver))
    return solution


class _Watched:
    """The field as torchdiffeq calls it: counted, held inside the interval, failing rows frozen."""

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
class _WatchedAdaptive(_Watched):
    """Fixed-step methods warn about a callback that they never call."""

    def callback_reject_step(self, t0: Tensor, x0: Tensor, dt: Tensor) -> None:
        self.rejected += 1


@final
@dataclass(frozen=True)
class Dopri5(TorchdiffeqAdaptive):
    """Dormand-Prince 5(4)."""

    method = "dopri5"


@final
@dataclass(frozen=True)
class Dopri8(TorchdiffeqAdaptive):
    """Prince-Dormand 8(7)."""

    method = "dopri8"


@final
@dataclass(frozen=True)
class Bosh3(TorchdiffeqAdaptive):
    """Bogacki-Shampine 3(2)."""

    method = "bosh3"


@final
@dataclass(frozen=True)
class AdaptiveHeun(TorchdiffeqAdaptive):
    """Heun-Euler 2(1)."""

    method = "adaptive_heun"


@final
@dataclass(frozen=True)
class Euler(TorchdiffeqFixed):
    """Order 1."""

    method = "euler"
    nfe_per_step = 1


@final
@dataclass(frozen=True)
class Midpoint(TorchdiffeqFixed):
    """Order 2."""

    method = "midpoint"
    nfe_per_step = 2


@final
@dataclass(frozen=True)
class RK4(TorchdiffeqFixed):
    """Order 4, the 3/8 rule."""

    method = "rk4"
    nfe_per_step = 4
