"""One attempted step of every lane at once: no branch depends on data, nothing waits for the
device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.solving.dense import dense_weights
from fmcore.solving.evaluation import check_velocity, to_device
from fmcore.solving.interval import asked_times, float32_within
from fmcore.solving.lanes import RUNNING, Lanes
from fmcore.solving.problem import Problem, Status
from fmcore.solving.replay import Footprints
from fmcore.solving.tableau import Tableau

if TYPE_CHECKING:
    from fmcore.solving.adaptive import AdaptiveSolver

__all__ = ["Stepper"]

Row = tuple[tuple[int, float], ...]
"""Weights that are not zero, with their stages."""


@final
class Stepper:
    """`solver` at work on `problem` between t0 and t1: starts lanes and moves them on, in place."""

    def __init__(
        self, solver: AdaptiveSolver, problem: Problem, x0: Tensor, t0: float, t1: float
    ) -> None:
        self.solver, self.problem = solver, problem
        self.t0, self.t1 = t0, t1
        self.shape, self.dtype, self.device = x0.shape[1:], x0.dtype, x0.device
        self.sign = 1.0 if t1 >= t0 else -1.0
        # float64 holds the time between steps; where a device has none, float32 must do
        self.time_dtype = torch.float32 if x0.device.type == "mps" else torch.float64
        low, high = min(t0, t1), max(t0, t1)
        self.low, self.high = (
            (low, high) if x0.dtype == torch.float64 else map(float, float32_within(low, high))
        )
        self.dt_min = 4 * torch.finfo(x0.dtype).eps * max(abs(t0), abs(t1))
        self.shared = solver.coupling != "sample"
        self.tableau = solver.tableau.completed
        self.rows = _rows(self.tableau)
        self.error_row = _error_row(self.tableau)
        self.c = to_device([[float(c)] for c in self.tableau.c[1:]], self.time_dtype, x0.device)
        self.k_order = self.tableau.embedded_order + 1
        self.augmentation = problem.augmentation
        self.counted = [self.augmentation is not None and weight != 0 for weight in self.tableau.b]
        self.counted[-1] = self.counted[0]  # the next step's first stage
        times = asked_times(problem)
        self.asked = to_device(times, self.time_dtype, x0.device) if times else None
        self.calls = self.evaluations = 0
        self.footprints = Footprints() if problem.grad != "none" else None

    def start(self, ids: Tensor, x: Tensor) -> Lanes:
        """Lanes at t0 for the samples `ids` of the problem with states `x`, `(width, d)`."""
        control = 1 if self.shared else len(ids)
        condition = self.problem.condition
        lanes = Lanes(
            ids=ids,
            x=x,
            k=x,
            t=self._time(self.t0, control),
            h=self._time(0.0, control),
            log_ratio=x.new_zeros(control),
            grow=torch.ones(control, dtype=torch.bool, device=self.device),
            reached=self._time(self.t0, len(ids)),
            status=torch.full((len(ids),), RUNNING, device=self.device),
            attempts=torch.zeros_like(ids),
            accepted=torch.zeros_like(ids),
            condition=condition and {n: v.index_select(0, ids) for n, v in condition.items()},
        )
        if self.augmentation is not None:
            lanes.probes = self.augmentation.probes(self.problem, ids, self.dtype)
            lanes.logdet = x.new_zeros(len(ids), self.augmentation.columns)
        t = self._time(self.t0, 1).to(self.dtype).clamp_(self.low, self.high)
        lanes.k, lanes.k_div = self._velocity(x, t.expand(len(ids)), lanes, self.counted[0])
        lanes.status.masked_fill_(~lanes.k.isfinite().all(1), int(Status.NONFINITE))
        lanes.h = self._first_step(lanes)
        if self.asked is not None:
            lanes.trajectory = x.new_full((len(ids), len(self.asked), x.shape[1]), math.nan)
            at_start = (self.asked == self.t0)[None, :, None]
            lanes.trajectory = torch.where(at_start, x[:, None], lanes.trajectory)
        return lanes

    def attempt(self, lanes: Lanes) -> None:
        """Try one step of every lane; those that have arrived or failed stay as they are."""
        remaining = (self.t1 - lanes.t).abs_()
        hit = lanes.h >= remaining
        h = torch.minimum(lanes.h, remaining)
        step = h if self.sign > 0 else -h
        step_x = step.to(self.dtype).unsqueeze(1)
        k, divergences = [lanes.k], [lanes.k_div]
        x_new = lanes.x
        for row, t, counted in zip(
            self.rows, self._stage_times(lanes, step), self.counted[1:], strict=True
        ):
            x_new = _stage(lanes.x, k, row, step_x)
            velocity, divergence = self._velocity(x_new, t, lanes, counted)
            k.append(velocity)
            divergences.append(divergence)
        ratio = self._ratio(lanes.x, x_new, k, h)
        t_old, t_new = lanes.t, torch.where(hit, self.t1, lanes.t + step)
        taken = self._judge(lanes, ratio, h, hit, t_new)
        if self.footprints is not None:
            self.footprints.add(t_old, step, taken)
        self._integrate(lanes, divergences, step, taken)
        self._record(lanes, k, (t_old, step, t_new), taken)
        self._move(lanes, x_new, k[-1], t_new, taken)

    def _judge(self, lanes: Lanes, ratio: Tensor, h: Tensor, hit: Tensor, t_new: Tensor) -> Tensor:
        """Which lanes take the step, `(width,)`; sets the next step's length and who has arrived or
        failed.
        """
        running, broken = lanes.running, ~ratio.isfinite()
        verdict = self.solver.controller.judge(
            self._coupled(ratio, running & ~broken), lanes.log_ratio, lanes.grow, self.k_order
        )
        accept = verdict.accept
        taken = running & accept & ~broken
        lanes.h = h * verdict.factor
        lost = running & ~taken & (accept | (lanes.h < self.dt_min))
        failure = torch.where(broken, int(Status.NONFINITE), int(Status.DT_MIN))
        status = torch.where(taken & hit, int(Status.SUCCESS), lanes.status)
        lanes.status = torch.where(lost, failure, status)
        lanes.log_ratio = torch.where(accept, verdict.log_ratio, lanes.log_ratio)
        lanes.grow = accept
        lanes.t = torch.where(accept, t_new, lanes.t)
        lanes.attempts.add_(running)
        lanes.accepted.add_(taken)
        return taken

    def _coupled(self, ratio: Tensor, healthy: Tensor) -> Tensor:
        """The error that decides: each lane's own, or one for all live healthy lanes; NaN if there
        are none.
        """
        coupling = self.solver.coupling
        if coupling == "sample":
            return ratio
        if coupling == "batch_max":
            worst = torch.where(healthy, ratio, -1.0).amax(0, keepdim=True)
            return torch.where(worst < 0, math.nan, worst)
        squares = torch.where(healthy, ratio, 0.0).square_()
        return (squares.sum(0, keepdim=True) / healthy.sum(0, keepdim=True)).sqrt_()

    def _move(
        self, lanes: Lanes, x_new: Tensor, k_new: Tensor, t_new: Tensor, taken: Tensor
    ) -> None:
        column = taken.unsqueeze(1)
        lanes.x = torch.where(column, x_new, lanes.x)
        lanes.k = torch.where(column, k_new, lanes.k)
        lanes.reached = torch.where(taken, t_new, lanes.reached)

    def _integrate(
        self, lanes: Lanes, divergences: Sequence[Tensor | None], step: Tensor, taken: Tensor
    ) -> None:
        """Add the step's share of the integral of the divergence, by the solution's own weights."""
        if lanes.logdet is None:
            return
        pairs = zip(self.tableau.b, divergences, strict=True)
        total = sum(float(b) * div for b, div in pairs if b != 0 and div is not None)
        column, step = taken.unsqueeze(1), step.to(self.dtype).unsqueeze(1)
        lanes.logdet = torch.where(column, lanes.logdet + step * total, lanes.logdet)
        if lanes.k_div is not None and divergences[-1] is not None:
            lanes.k_div = torch.where(column, divergences[-1], lanes.k_div)

    def _record(
        self, lanes: Lanes, k: Sequence[Tensor], times: tuple[Tensor, Tensor, Tensor], taken: Tensor
    ) -> None:
        """Write the states at the asked-for times that this step, (t, step, t_new), passes."""
        if self.asked is None or lanes.trajectory is None:
            return
        t, step, t_new = (v.unsqueeze(1) for v in times)
        passed = ((self.asked - t) * self.sign > 0) & ((self.asked - t_new) * self.sign <= 0)
        theta = ((self.asked - t) / step).to(self.dtype).unsqueeze(2)  # (lanes or 1, times, 1)
        weights = to_device(dense_weights(self.tableau), self.dtype, self.device)
        powers = theta ** torch.arange(1, weights.shape[1] + 1, device=self.device)
        b = (powers @ weights.T).expand(lanes.width, -1, -1)
        between = lanes.x[:, None] + step.to(self.dtype).unsqueeze(2) * (
            b @ torch.stack(list(k), 1)
        )
        write = (passed & taken.unsqueeze(1)).unsqueeze(2)
        lanes.trajectory = torch.where(write, between, lanes.trajectory)

    def _stage_times(self, lanes: Lanes, step: Tensor) -> Sequence[Tensor]:
        times = torch.addcmul(lanes.t, self.c, step).to(self.dtype).clamp_(self.low, self.high)
        return times.expand(-1, lanes.width).unbind(0)

    def _velocity(
        self, x: Tensor, t: Tensor, lanes: Lanes, counted: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The field at x, `(width, d)`, and t, `(width,)`, and its divergence where that is
        `counted`.
        """
        self.calls += 1
        self.evaluations += len(x)
        shaped, divergence = x.view(-1, *self.shape), None
        if counted and self.augmentation is not None:
            velocity, divergence = self.augmentation.evaluate(
                self.problem.field, shaped, t, lanes.condition, lanes.probes
            )
        elif lanes.condition is None:
            velocity = self.problem.field(shaped, t)
        else:
            velocity = self.problem.field(shaped, t, lanes.condition)
        check_velocity(self.problem.field, velocity, shaped)
        return velocity.reshape(x.shape), divergence

    def _ratio(self, x: Tensor, x_new: Tensor, k: Sequence[Tensor], h: Tensor) -> Tensor:
        """Each lane's error over its tolerance, `(width,)`; NaN where anything is not finite."""
        scale = torch.maximum(x.abs(), x_new.abs()).mul_(self.solver.rtol).add_(self.solver.atol)
        error = _combined(k, self.error_row).div_(scale).add_(x_new, alpha=0)  # inf * 0 is NaN
        norm: Tensor = torch.linalg.vector_norm(error, dim=1)
        return norm.mul_(h * x.shape[1] ** -0.5)

    def _first_step(self, lanes: Lanes) -> Tensor:
        """Hairer, Norsett, Wanner I, II.4: from two velocities, the second inside the interval."""
        span = abs(self.t1 - self.t0)
        if self.solver.first_step is not None:
            return torch.full_like(lanes.h, min(self.solver.first_step, span))
        healthy = lanes.running
        scale = lanes.x.abs().mul_(self.solver.rtol).add_(self.solver.atol)
        size, speed = self._norm(lanes.x / scale, healthy), self._norm(lanes.k / scale, healthy)
        still = (size < 1e-5) | (speed < 1e-5)
        probe = torch.where(still, 1e-6, 0.01 * size / speed).clamp_max_(span)
        h = self.sign * probe
        t = (self.t0 + h).to(self.dtype).clamp_(self.low, self.high).expand(lanes.width)
        ahead = torch.addcmul(lanes.x, h.to(self.dtype).unsqueeze(1), lanes.k)
        velocity, _ = self._velocity(ahead, t, lanes, False)
        bend = self._norm((velocity - lanes.k) / scale, healthy) / probe
        steepest = torch.maximum(speed, bend)
        longer = (0.01 / steepest).pow_(1 / (self.k_order + 1))
        flat = torch.maximum(torch.full_like(probe, 1e-6), 1e-3 * probe)
        first = torch.where(steepest <= 1e-15, flat, longer)
        first = torch.minimum(100 * probe, first).clamp_max_(span).nan_to_num_(nan=1e-6)
        return first.to(self.time_dtype)

    def _norm(self, x: Tensor, healthy: Tensor) -> Tensor:
        norms = torch.linalg.vector_norm(x, dim=1) * x.shape[1] ** -0.5
        return self._coupled(norms, healthy & norms.isfinite())

    def _time(self, value: float, width: int) -> Tensor:
        return torch.full((width,), value, dtype=self.time_dtype, device=self.device)


def _stage(x: Tensor, k: Sequence[Tensor], row: Row, step: Tensor) -> Tensor:
    """x + step * sum of weight * k."""
    (stage, weight), *rest = row
    out = torch.addcmul(x, step, k[stage], value=weight)
    for stage, weight in rest:
        out.addcmul_(step, k[stage], value=weight)
    return out


def _combined(k: Sequence[Tensor], row: Row) -> Tensor:
    (stage, weight), *rest = row
    out = k[stage] * weight
    for stage, weight in rest:
        out.add_(k[stage], alpha=weight)
    return out


@lru_cache(maxsize=32)
def _rows(tableau: Tableau) -> tuple[Row, ...]:
    return tuple(_nonzero(row) for row in tableau.a[1:])


@lru_cache(maxsize=32)
def _error_row(tableau: Tableau) -> Row:
    if tableau.embedded is None:
        raise ComponentError("an adaptive solver's tableau needs embedded weights")
    return _nonzero([b - e for b, e in zip(tableau.b, tableau.embedded, strict=True)])


def _nonzero(weights: Sequence[Fraction]) -> Row:
    return tuple((stage, float(weight)) for stage, weight in enumerate(weights) if weight != 0)
