"""A batch that shares one step, with the step decided on the host: one number is read each attempt.

Where reading a number costs little, as on a CPU, this beats deciding on the device: the step size
is a number, so a stage is a chain of `torch.add`, and a rejected step is simply not taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore.interfaces.problem import SolverProgress, Status
from fmcore.solving.adaptive.batch_state import BatchState
from fmcore.solving.adaptive.stage_weights import Row
from fmcore.solving.adaptive.step import Step, Stepper, first_step, leave, leaves

__all__ = ["Outcome", "integrate_lockstep"]


@final
@dataclass
class Outcome:
    """Lanes at the end; `status` and the time `left` of each, attempts made and rejected."""

    lanes: BatchState
    status: Tensor
    left: Tensor
    attempts: int
    rejected: int


def integrate_lockstep(
    stepper: Stepper, ids: Tensor, x: Tensor, limit: int, out_of: Status
) -> Outcome:
    """All samples from t0 to t1 by common steps, at most `limit` attempts."""
    clock = _LockstepSolve(stepper, stepper.start(ids, x, trusting=True))
    while clock.left > 0 and clock.attempts < limit and not clock.stuck:
        clock.attempt()
        clock.tell()
    clock.give_up(out_of)
    return Outcome(clock.lanes, clock.status, clock.left_of, clock.attempts, clock.rejected)


@final
class _LockstepSolve:
    def __init__(self, stepper: Stepper, lanes: BatchState) -> None:
        self.stepper, self.lanes = stepper, lanes
        self.left = abs(stepper.t1 - stepper.t0)
        self.h = float(lanes.h)
        if not math.isfinite(self.h):
            self.h = float(first_step(stepper, lanes, lanes.running))
        self.controller = stepper.solver.controller
        self.log_ratio, self.limit = 0.0, self.controller.longest
        self.attempts = self.rejected = 0
        self.stuck = False
        self.whole = True  # no sample has failed
        self.status = torch.where(lanes.broken, int(Status.NONFINITE), int(Status.SUCCESS))
        self.left_of = torch.full_like(self.status, self.left, dtype=stepper.time_dtype)

    def attempt(self) -> None:
        """Try one step for all."""
        stepper, lanes = self.stepper, self.lanes
        h = min(self.h, self.left)
        t, length = stepper.t1 - stepper.sign * self.left, stepper.sign * h
        k, divergences = [lanes.k], [lanes.k_div]
        x_new = lanes.x
        stages = zip(stepper.rows, self._times(t, length), stepper.counted[1:], strict=True)
        for row, time, counted in stages:
            x_new = _moved(lanes.x, k, row, length)
            velocity, divergence = stepper.velocity(x_new, time, lanes, counted)
            k.append(velocity)
            divergences.append(divergence)
        self.attempts += 1
        ratio, finite = self._ratio(x_new, k, h)
        accept = ratio <= 1
        self._set_step(h, ratio, accept, finite)
        if not accept:
            self.rejected += lanes.width
            return
        taken = self._take(finite)
        self.left -= h
        if leaves(stepper, lanes):
            begun, long, left = (stepper.time(value, 1) for value in (t, length, self.left))
            leave(stepper, lanes, k, divergences, Step(begun, long, left, taken))
        if self.whole:
            lanes.x, lanes.k = x_new, k[-1]
        else:
            column = taken.view(stepper.column)
            lanes.x = torch.where(column, x_new, lanes.x)
            lanes.k = torch.where(column, k[-1], lanes.k)

    def tell(self) -> None:
        """Give the problem's callback, if there is one, what is known."""
        callback = self.stepper.problem.callback
        if callback is None:
            return
        lanes = self.lanes
        running = 0
        if self.left > 0 and not self.stuck:
            running = lanes.width if self.whole else int(lanes.running.sum())
        progress = 1 - self.left / abs(self.stepper.t1 - self.stepper.t0)
        callback(SolverProgress(progress, self.attempts, running, lanes.x.clone))

    def give_up(self, out_of: Status) -> None:
        """Say how those ended that are not at t1."""
        running = self.lanes.running
        self.left_of = torch.where(running, self.left, self.left_of)
        if self.left > 0:
            ended = int(Status.DT_MIN if self.stuck else out_of)
            self.status = torch.where(running, ended, self.status)

    def _times(self, t: float, length: float) -> tuple[Tensor, ...]:
        stepper = self.stepper
        times = [min(max(t + c * length, stepper.low), stepper.high) for c in stepper.fractions]
        column = torch.tensor(times, dtype=stepper.dtype, device=stepper.device).unsqueeze(1)
        return column.expand(-1, self.lanes.width).unbind(0)

    def _ratio(self, x_new: Tensor, k: list[Tensor], h: float) -> tuple[float, Tensor | None]:
        """The error that decides, NaN if nobody is healthy; and who is finite, if not all are."""
        error = self.stepper.scaled_error(self.lanes.x, x_new, k)
        if self.whole and self.stepper.solver.step_control == "batch_rms":
            ratio = h * float(torch.linalg.vector_norm(error)) * self.lanes.width**-0.5
            if math.isfinite(ratio):
                return ratio, None
        rows: Tensor = torch.linalg.vector_norm(error.flatten(1), dim=1).mul_(h)
        if self.whole and self.stepper.solver.step_control == "batch_max":
            ratio = float(rows.amax())
            if math.isfinite(ratio):
                return ratio, None
        finite = rows.isfinite()
        healthy = rows[finite & self.lanes.running]
        return (self._reduced(healthy) if len(healthy) else math.nan), finite

    def _reduced(self, rows: Tensor) -> float:
        if self.stepper.solver.step_control == "batch_max":
            return float(rows.amax())
        norm = float(torch.linalg.vector_norm(rows))
        return norm / math.sqrt(len(rows))

    def _set_step(self, h: float, ratio: float, accept: bool, finite: Tensor | None) -> None:
        factor, self.log_ratio, self.limit = self.controller.next(
            ratio, self.log_ratio, self.limit, self.stepper.k_order
        )
        self.h = h * factor
        self.stuck = not accept and self.h < self.stepper.h_min
        if self.stuck and finite is not None:
            self._break(self.lanes.running & ~finite)

    def _take(self, finite: Tensor | None) -> Tensor:
        """Who takes the step: all that run, but for those whom it would carry to what is not
        finite.
        """
        if finite is not None:
            self._break(self.lanes.running & ~finite)
        return self.lanes.running

    def _break(self, lost: Tensor) -> None:
        self.whole = False
        self.status = torch.where(lost, int(Status.NONFINITE), self.status)
        self.left_of = torch.where(lost, self.left, self.left_of)
        self.lanes.running = self.lanes.running & ~lost


def _moved(x: Tensor, k: list[Tensor], row: Row, length: float) -> Tensor:
    """x + length * sum of weight * k."""
    (stage, weight), *rest = row
    out = torch.add(x, k[stage], alpha=length * weight)
    for stage, weight in rest:
        out.add_(k[stage], alpha=length * weight)
    return out
