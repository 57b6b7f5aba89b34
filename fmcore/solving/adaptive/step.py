"""One attempted step of every lane at once: no branch depends on data, nothing waits for the
device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor

from fmcore.interfaces.problem import Problem
from fmcore.solving.adaptive.batch_state import BatchState
from fmcore.solving.adaptive.dense_output import dense_weights
from fmcore.solving.adaptive.options import AdaptiveOptions
from fmcore.solving.adaptive.replay import AcceptedSteps
from fmcore.solving.adaptive.stage_weights import combined, error_row, nodes, rows, stage
from fmcore.solving.divergence import draw_probes, velocity_and_divergence
from fmcore.solving.evaluation import check_velocity, constant, device_tensor
from fmcore.solving.interval import asked_times, float32_within

__all__ = ["Step", "Stepper", "first_step", "leave", "leaves"]


@final
class Stepper:
    """`solver` at work on `problem` between t0 and t1: starts lanes and moves them on, in place."""

    def __init__(
        self, solver: AdaptiveOptions, problem: Problem, x0: Tensor, t0: float, t1: float
    ) -> None:
        self.solver, self.problem, self.augmentation = solver, problem, problem.augmentation
        self.t0, self.t1, self.sign = t0, t1, 1.0 if t1 >= t0 else -1.0
        self.dtype, self.device = x0.dtype, x0.device
        self.column = (-1, *(1,) * (x0.ndim - 1))
        # float64 holds the time between steps; where a device has none, float32 must do
        self.time_dtype = torch.float32 if x0.device.type == "mps" else torch.float64
        self.low, self.high = _bounds(min(t0, t1), max(t0, t1), x0.dtype)
        self.h_min = 4 * torch.finfo(x0.dtype).eps * max(abs(t0), abs(t1))
        self.shared = solver.step_control != "per_sample"
        self.tableau = solver.tableau.completed
        self.rows = rows(self.tableau)
        self.error_row = error_row(self.tableau, x0[0].numel() if len(x0) else 1)
        self.fractions = [float(c) for c in self.tableau.c[1:]]
        self.c = nodes(self.tableau, self.sign, self.time_dtype, x0.device)
        self.end = constant(t1, self.time_dtype, x0.device)
        self.k_order = self.tableau.embedded_order + 1
        self.counted = [self.augmentation is not None and weight != 0 for weight in self.tableau.b]
        self.counted[-1] = self.counted[0]  # the next step's first stage
        times = asked_times(problem)
        self.asked = device_tensor(times, self.time_dtype, x0.device) if times else None
        self.footprints = AcceptedSteps() if problem.grad != "none" else None
        self.calls = self.evaluations = 0

    def start(self, ids: Tensor, x: Tensor, *, trusting: bool = False) -> BatchState:
        """Lanes at t0 for the samples `ids` of the problem with states `x`, `(width, *shape)`.

        `trusting` finds a shared first step as if no sample were broken; it is NaN if one is.
        """
        width = len(ids)
        left = self.time(abs(self.t1 - self.t0), 1 if self.shared else width)
        memory, limit = self.solver.controller.start(left.to(self.dtype))
        no = torch.zeros(width, dtype=torch.bool, device=self.device)
        given = self.problem.condition
        lanes = BatchState(
            ids=ids,
            x=x,
            k=x,
            left=left,
            h=left,
            memory=memory,
            limit=limit,
            running=~no,
            arrived=no,
            broken=no,
            attempts=torch.zeros_like(ids),
            accepted=torch.zeros_like(ids),
            left_of=left.expand(width) if self.shared else None,
            condition=given and {name: v.index_select(0, ids) for name, v in given.items()},
        )
        if self.augmentation is not None:
            lanes.probes = draw_probes(self.augmentation, self.problem, ids, self.dtype)
            lanes.logdet = x.new_zeros(width, self.augmentation.columns)
        t = self.time(self.t0, 1).to(self.dtype).clamp_(self.low, self.high)
        lanes.k, lanes.k_div = self.velocity(x, t.expand(width), lanes, self.counted[0])
        lanes.running = lanes.k.flatten(1).isfinite().all(1)
        lanes.broken = ~lanes.running
        lanes.h = first_step(self, lanes, None if trusting else lanes.running)
        if self.asked is not None:
            unknown = x.new_full((width, len(self.asked), *x.shape[1:]), math.nan)
            at_start = (self.asked == self.t0).view(1, -1, *self.column[1:])
            lanes.trajectory = torch.where(at_start, x.unsqueeze(1), unknown)
        return lanes

    def attempt(self, lanes: BatchState) -> None:
        """Try one step of every lane; those that have arrived or failed stay as they are."""
        h = torch.minimum(lanes.h, lanes.left)
        t = torch.add(self.end, lanes.left, alpha=-self.sign)
        step_x = (h if self.sign > 0 else -h).to(self.dtype).view(self.column)
        k, divergences = [lanes.k], [lanes.k_div]
        x_new = lanes.x
        times = torch.addcmul(t, self.c, h).to(self.dtype).clamp_(self.low, self.high)
        for row, time, counted in zip(
            self.rows, times.expand(-1, lanes.width).unbind(0), self.counted[1:], strict=True
        ):
            x_new = stage(lanes.x, k, row, step_x)
            velocity, divergence = self.velocity(x_new, time, lanes, counted)
            k.append(velocity)
            divergences.append(divergence)
        taken = self._judge(lanes, self.ratio(lanes.x, x_new, k, h), h)
        if leaves(self, lanes):
            leave(self, lanes, k, divergences, Step(t, self.sign * h, lanes.left, taken))
        column = taken.view(self.column)
        lanes.x = torch.where(column, x_new, lanes.x)
        lanes.k = torch.where(column, k[-1], lanes.k)

    def _judge(self, lanes: BatchState, ratio: Tensor, h: Tensor) -> Tensor:
        """Which lanes take the step, `(width,)`; sets the next step, who arrived and who failed."""
        running, finite = lanes.running, None
        judged = ratio
        if self.shared:
            finite = ratio.isfinite()
            judged = self.coupled(ratio, running & finite)
        accept, factor, lanes.memory, lanes.limit = self.solver.controller.judge(
            judged, lanes.memory, lanes.limit, self.k_order
        )
        taken = accept & running
        left = lanes.left - h
        lanes.left = torch.where(accept, left, lanes.left)
        lanes.h = h * factor
        stuck = lanes.h < constant(self.h_min, self.time_dtype, self.device)
        if finite is not None:
            taken = taken & finite
            stuck = (
                stuck | accept
            )  # shrinking the common step for a broken lane would change the others
            if lanes.left_of is not None:
                lanes.left_of = torch.where(taken, left, lanes.left_of)
        arrived = taken & (left <= constant(0.0, self.time_dtype, self.device))
        lost = (running & stuck) > taken
        lanes.arrived = lanes.arrived | arrived
        lanes.broken = lanes.broken | (lost > (ratio < constant(math.inf, self.dtype, self.device)))
        lanes.running = running > (arrived | lost)
        lanes.attempts = lanes.attempts + running
        lanes.accepted = lanes.accepted + taken
        return taken

    def coupled(self, ratio: Tensor, healthy: Tensor) -> Tensor:
        """One error for all live healthy lanes; NaN if there are none."""
        if self.solver.step_control == "per_sample":
            return ratio
        if self.solver.step_control == "batch_max":
            worst = torch.where(healthy, ratio, -1.0).amax(0, keepdim=True)
            return torch.where(worst < 0, math.nan, worst)
        squares = torch.where(healthy, ratio, 0.0).square_()
        return (squares.sum(0, keepdim=True) / healthy.sum(0, keepdim=True)).sqrt_()

    def velocity(
        self, x: Tensor, t: Tensor, lanes: BatchState, counted: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The field at x and t, `(width,)`, and its divergence where that is `counted`."""
        self.calls += 1
        self.evaluations += x.shape[0]
        divergence = None
        if counted and self.augmentation is not None:
            velocity, divergence = velocity_and_divergence(
                self.augmentation, self.problem.field, x, t, lanes.condition, lanes.probes
            )
        elif lanes.condition is None:
            velocity = self.problem.field(x, t)
        else:
            velocity = self.problem.field(x, t, lanes.condition)
        check_velocity(self.problem.field, velocity, x)
        return velocity, divergence

    def ratio(self, x: Tensor, x_new: Tensor, k: Sequence[Tensor], h: Tensor | float) -> Tensor:
        """Each lane's error over its tolerance, `(width,)`; NaN where anything is not finite."""
        norm: Tensor = torch.linalg.vector_norm(self.scaled_error(x, x_new, k).flatten(1), dim=1)
        return norm.mul_(h)

    def scaled_error(self, x: Tensor, x_new: Tensor, k: Sequence[Tensor]) -> Tensor:
        """The error over its tolerance and over the step; a lane's 2-norm is its RMS."""
        atol = constant(self.solver.atol, self.dtype, self.device)
        largest = torch.maximum(x.abs(), x_new.abs())
        scale = torch.add(atol, largest, alpha=self.solver.rtol)
        return combined(k, self.error_row).div_(scale)

    def time(self, value: float, width: int) -> Tensor:
        """A number of the host in the clock's precision, `(width,)`."""
        return torch.full((width,), value, dtype=self.time_dtype, device=self.device)


def _bounds(low: float, high: float, dtype: torch.dtype) -> tuple[float, float]:
    if dtype == torch.float64:
        return low, high
    first, last = float32_within(low, high)
    return float(first), float(last)


class Step(NamedTuple):
    """Where a step began, its length with the sign of time, what of the way is left after it, each
    `(lanes,)` or shared; and which lanes took it.
    """

    t: Tensor
    length: Tensor
    left: Tensor
    taken: Tensor


def leaves(stepper: Stepper, lanes: BatchState) -> bool:
    """Whether there is anything to leave."""
    return (
        stepper.footprints is not None or lanes.logdet is not None or lanes.trajectory is not None
    )


def leave(
    stepper: Stepper,
    lanes: BatchState,
    k: Sequence[Tensor],
    divergences: Sequence[Tensor | None],
    step: Step,
) -> None:
    """Note the step with its stages `k` and their `divergences`; `lanes.x` is still its start."""
    if stepper.footprints is not None:
        stepper.footprints.add(step.t, step.length, step.taken)
    if lanes.logdet is not None:
        lanes.logdet = _integrated(stepper, lanes.logdet, divergences, step)
        if lanes.k_div is not None and divergences[-1] is not None:
            lanes.k_div = torch.where(step.taken.unsqueeze(1), divergences[-1], lanes.k_div)
    if lanes.trajectory is not None and stepper.asked is not None:
        passed, between = _passed(stepper, stepper.asked, lanes, k, step)
        lanes.trajectory = torch.where(passed, between, lanes.trajectory)


def _integrated(
    stepper: Stepper, logdet: Tensor, divergences: Sequence[Tensor | None], step: Step
) -> Tensor:
    """The integral of the divergence after the step, by the solution's own weights."""
    pairs = zip(stepper.tableau.b, divergences, strict=True)
    total = sum(float(b) * div for b, div in pairs if b != 0 and div is not None)
    length = step.length.to(stepper.dtype).unsqueeze(1)
    return torch.where(step.taken.unsqueeze(1), logdet + length * total, logdet)


def _passed(
    stepper: Stepper, asked: Tensor, lanes: BatchState, k: Sequence[Tensor], step: Step
) -> tuple[Tensor, Tensor]:
    """Which of the `asked` times the step passes, and states there, `(lanes, times, *shape)`."""
    t, length, left = (v.unsqueeze(1) for v in (step.t, step.length, step.left))
    gone = (asked - t) * stepper.sign  # (lanes or 1, times)
    still = (asked - stepper.end) * stepper.sign + left
    passed = (gone > 0) & (still <= 0) & step.taken.unsqueeze(1)
    theta = ((asked - t) / length).to(stepper.dtype).unsqueeze(2)
    weights = device_tensor(dense_weights(stepper.tableau), stepper.dtype, stepper.device)
    powers = theta ** torch.arange(1, weights.shape[1] + 1, device=stepper.device)
    b = (powers @ weights.T).expand(lanes.width, -1, -1)  # (lanes, times, stages)
    moved = b @ torch.stack([v.flatten(1) for v in k], 1)
    moved = length.to(stepper.dtype).unsqueeze(2) * moved
    between = lanes.x.unsqueeze(1) + moved.view(lanes.width, -1, *lanes.x.shape[1:])
    return passed.view(lanes.width, -1, *stepper.column[1:]), between


def first_step(stepper: Stepper, lanes: BatchState, healthy: Tensor | None) -> Tensor:
    """The length of each lane's first step, or of the one that they share.

    A shared one heeds only `healthy` lanes; without them it trusts all, and is NaN if one is
    broken.
    """
    span = abs(stepper.t1 - stepper.t0)
    if stepper.solver.first_step is not None:
        return torch.full_like(lanes.h, min(stepper.solver.first_step, span))
    scale = lanes.x.abs().mul_(stepper.solver.rtol).add_(stepper.solver.atol)
    size, speed = _norm(stepper, lanes.x / scale, healthy), _norm(stepper, lanes.k / scale, healthy)
    still = (size < 1e-5) | (speed < 1e-5)
    probe = torch.where(still, 1e-6, 0.01 * size / speed).clamp_max_(span)
    h = stepper.sign * probe
    t = (stepper.t0 + h).to(stepper.dtype).clamp_(stepper.low, stepper.high).expand(lanes.width)
    ahead = torch.addcmul(lanes.x, h.to(stepper.dtype).view(stepper.column), lanes.k)
    velocity, _ = stepper.velocity(ahead, t, lanes, False)
    bend = _norm(stepper, (velocity - lanes.k) / scale, healthy) / probe
    steepest = torch.maximum(speed, bend)
    longer = (0.01 / steepest).pow_(1 / (stepper.k_order + 1))
    flat = torch.maximum(torch.full_like(probe, 1e-6), 1e-3 * probe)
    first = torch.where(steepest <= 1e-15, flat, longer)
    first = torch.minimum(100 * probe, first).clamp_max_(span).to(stepper.time_dtype)
    return first if healthy is None else first.nan_to_num_(nan=1e-6)


def _norm(stepper: Stepper, x: Tensor, healthy: Tensor | None) -> Tensor:
    if healthy is None and stepper.solver.step_control == "batch_rms":
        whole: Tensor = torch.linalg.vector_norm(x)
        return whole.mul_(x.numel() ** -0.5).view(1)
    flat = x.flatten(1)
    norms: Tensor = torch.linalg.vector_norm(flat, dim=1).mul_(flat.shape[1] ** -0.5)
    if healthy is None:
        return norms.amax(0, keepdim=True)
    return stepper.coupled(norms, healthy & norms.isfinite())
