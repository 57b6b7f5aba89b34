"""One attempted step of every sample of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fmcore.interfaces.problem import Problem
from fmcore.solving.adaptive.batch_state import BatchState
from fmcore.solving.adaptive.controller import AdaptiveOptions
from fmcore.solving.adaptive.dense_output import dense_states
from fmcore.solving.adaptive.error_control import ErrorControl, Weights, mask_weights, nonzero
from fmcore.solving.adaptive.replay import AcceptedSteps
from fmcore.solving.divergence import draw_probes, velocity_and_divergence
from fmcore.solving.evaluation import check_velocity, constant, device_tensor, finite_rows
from fmcore.solving.interval import asked_times, float32_within
from fmcore.solving.tableau import Tableau

__all__ = ["Stepper"]

SHORT_ROW = 16
"""Up to this number of elements in a sample, operations with a length for each sample cost less
with a copy of it for each element."""

_COMPLETED_EULER = Tableau(a=[], b=[1], order=1).completed


class Step(NamedTuple):
    """An attempted step: its start, its signed length and the time left after it, each `(width,)`
    or `(1,)`, and the mask of the samples that accept it, `(width,)`.
    """

    t: Tensor
    length: Tensor
    left: Tensor
    accepted: Tensor


class Stepper:
    """Starts samples of `problem` at t0 and advances them towards t1, in place.

    `on_host` makes the host decide (see `ErrorControl`).  `calls`
    counts calls of the field, `evaluations` the rows that they computed.
    """

    def __init__(
        self,
        options: AdaptiveOptions,
        problem: Problem,
        x0: Tensor,
        t0: float,
        t1: float,
        *,
        on_host: bool,
    ) -> None:
        self.options, self.problem, self.augmentation = options, problem, problem.augmentation
        self.on_host = on_host
        self.by_number, self.by_array = on_host and options.is_shared, on_host > options.is_shared
        self.host_dtype = np.float32 if x0.dtype == torch.float32 else np.float64
        self.t0, self.t1, self.sign = t0, t1, 1.0 if t1 >= t0 else -1.0
        self.dtype, self.device = x0.dtype, x0.device
        self.column = (-1, *(1,) * (x0.ndim - 1))
        # A sum of thousands of small steps in float32 would miss t1; MPS has no float64.
        self.time_dtype = torch.float32 if x0.device.type == "mps" else torch.float64
        self.low, self.high = _bounds(min(t0, t1), max(t0, t1), x0.dtype)
        # Below this size, t + h rounds to t in the precision that the field sees.
        h_min = 4 * torch.finfo(x0.dtype).eps * max(abs(t0), abs(t1))
        self.control = ErrorControl(
            options, x0, self.augmentation, self.time_dtype, h_min, on_host=on_host
        )
        self.end = self.control.arithmetic.number(t1)
        # An Adams method has no stages; its stepper reads none of these.
        self.tableau = _COMPLETED_EULER if options.tableau is None else options.tableau.completed
        self.rows = _stage_weights(self.tableau)
        self.is_short = x0[:1].numel() <= SHORT_ROW
        self.fractions = [float(c) for c in self.tableau.c[1:]]
        self.nodes = _nodes(self.tableau, self.sign, self.time_dtype, x0.device)
        # Reading the tensor would count as waiting for the device.
        self.host_nodes = np.array([[self.sign * c] for c in self.fractions])
        self.divided = self._divided_stages()
        times = asked_times(problem)
        self.asked = device_tensor(times, self.time_dtype, x0.device) if times else None
        self.steps = AcceptedSteps() if problem.grad != "none" else None
        self.calls = self.evaluations = 0

    def start(self, ids: Tensor, x: Tensor) -> BatchState:
        """Return the state at t0 of the samples `ids` of the problem, with states `x`,
        `(width, *shape)`.
        """
        width, shared = len(ids), self.options.is_shared
        span = abs(self.t1 - self.t0)
        left, none, no = self._start_values(span, ids)
        memory, limit = self.options.controller.start(
            left.to(self.dtype) if isinstance(left, Tensor) else left
        )
        given = self.problem.condition
        state = BatchState(
            ids=ids,
            x=x,
            k=x,
            left=left,
            h=left,
            memory=memory,
            limit=limit,
            running=no,
            is_finished=no,
            broken=no,
            attempts=none,
            accepted=none,
            left_of=self._time(span, width) if shared else None,
            condition=given and {name: v.index_select(0, ids) for name, v in given.items()},
        )
        if state.condition is not None and "mask" in state.condition:
            state.element_weights = mask_weights(state.condition["mask"], x)
        if self.augmentation is not None:
            state.probes = draw_probes(self.augmentation, self.problem, ids, self.dtype)
            state.logdet = x.new_zeros(width, self.augmentation.columns)
        t = self._time(self.t0).to(self.dtype).clamp_(self.low, self.high)
        # Kept as the first stage of the first step, which then costs one evaluation less.
        state.k, state.k_div = self._velocity(x, t.expand(width), state, self.divided[0])
        state.running = finite_rows(state.k)
        state.h = self.control.first_step(state, span, lambda h: self._probe(state, h))
        if self.by_array:
            h = np.empty(width)
            # Into the array's memory; NaN marks the samples that do not run.
            nan = constant(math.nan, self.time_dtype, self.device)
            torch.where(state.running, state.h, nan, out=torch.from_numpy(h))
            state.h, state.running = h, h > 0
            state.all_running = bool(state.running.all())
        state.broken = ~state.running
        if self.asked is not None:
            # NaN marks times that a sample does not reach.
            unknown = x.new_full((width, len(self.asked), *x.shape[1:]), math.nan)
            at_start = (self.asked == self.t0).view(1, -1, *self.column[1:])
            state.trajectory = torch.where(at_start, x.unsqueeze(1), unknown)
        return state

    def _start_values(self, span: float, ids: Tensor) -> tuple[Any, Any, Any]:
        """Return the time left, the number 0 and False for each sample, as the host or the device
        stores them; of a shared step the time is one value.
        """
        width = len(ids)
        if self.by_array:
            return np.full(width, span), np.zeros(width, np.int64), np.zeros(width, np.bool_)
        no = torch.zeros(width, dtype=torch.bool, device=self.device)
        if self.by_number:
            return span, 0, no
        left = self._time(span, 1 if self.options.is_shared else width)
        return left, torch.zeros_like(ids), no

    def attempt(self, state: BatchState) -> bool:
        """Attempt one step of every running sample; return whether any may have ended."""
        of = self.control.arithmetic
        # The last step ends at t1 exactly: the time left becomes 0 without rounding.
        h = of.minimum(state.h, state.left)
        # From the end: time left, not time passed, is what must be exact at t1.
        t = of.add(self.end, state.left, -self.sign)
        length = h if self.sign > 0 else -h
        scale: Any = length if self.by_number else self._factor(length, state.x)
        k, divergences = [state.k], [state.k_div]
        x_new, add_stages = state.x, _stage_on_host if self.by_number else _stage
        times = self._stage_times(t, h, state.width)
        for row, time, divided in zip(self.rows, times, self.divided[1:], strict=True):
            x_new = add_stages(state.x, k, row, scale)
            velocity, divergence = self._velocity(x_new, time, state, divided)
            k.append(velocity)
            divergences.append(divergence)
        ratio, finite = self.control.ratio(state, x_new, k, divergences, h)
        accepted, all_accept, may_have_ended = self.control.decide(state, ratio, finite, h)
        if accepted is None:  # rejected on the host: no tensor of the state changes
            return may_have_ended
        if self._records_anything(state):
            values = (self._as_tensor(value) for value in (t, length, state.left, accepted))
            self._record_step(state, k, divergences, Step(*values))
        if all_accept:
            state.x, state.k = x_new, k[-1]
        else:
            accepted = self._as_tensor(accepted)
            column = accepted.view(self.column)
            state.x = torch.where(column, x_new, state.x)
            state.k = torch.where(column, k[-1], state.k)
        return may_have_ended

    def _divided_stages(self) -> list[bool]:
        """Return which stages need a divergence: those with a weight in the integral or in its
        error.
        """
        if self.augmentation is None:
            return [False] * self.tableau.stages
        weights = zip(self.tableau.b, self.tableau.embedded or self.tableau.b, strict=True)
        divided = [b != 0 or b != embedded for b, embedded in weights]
        # The last stage of a step is the first of the next.
        divided[0] = divided[-1] = divided[0] or divided[-1]
        return divided

    def _stage_times(self, t: Any, h: Any, width: int) -> tuple[Tensor, ...]:
        """Return the times of the stages after the first, each `(width,)`, inside the interval."""
        if self.by_array:
            values = np.maximum(t + self.host_nodes * h, self.low)
            np.minimum(values, self.high, out=values)
            return torch.from_numpy(values.astype(self.host_dtype)).unbind(0)
        if self.on_host:
            length = self.sign * h
            values = [min(max(t + c * length, self.low), self.high) for c in self.fractions]
            times = torch.tensor(values, dtype=self.dtype, device=self.device).unsqueeze(1)
        else:
            # Clamped: t + h may round out of the interval, where the field may not be defined.
            times = torch.addcmul(t, self.nodes, h).to(self.dtype).clamp_(self.low, self.high)
        return times.expand(-1, width).unbind(0)

    def _probe(self, state: BatchState, h: Tensor) -> Tensor:
        """Return the velocity after an Euler step of size `h`, `(width,)` or `(1,)`, from t0."""
        length = self.sign * h
        t = (self.t0 + length).to(self.dtype).clamp_(self.low, self.high)
        x = torch.addcmul(state.x, length.to(self.dtype).view(self.column), state.k)
        return self._velocity(x, t.expand(state.width), state, False)[0]

    def _velocity(
        self, x: Tensor, t: Tensor, state: BatchState, divided: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the velocity at x and t, `(width,)`, and if `divided` its divergence."""
        self.calls += 1
        self.evaluations += x.shape[0]
        divergence = None
        if divided and self.augmentation is not None:
            velocity, divergence = velocity_and_divergence(
                self.augmentation, self.problem.field, x, t, state.condition, state.probes
            )
        elif state.condition is None:
            velocity = self.problem.field(x, t)
        else:
            velocity = self.problem.field(x, t, state.condition)
        check_velocity(self.problem.field, velocity, x)
        return velocity, divergence

    def _records_anything(self, state: BatchState) -> bool:
        """Return whether an accepted step leaves more than the state."""
        return self.steps is not None or state.logdet is not None or state.trajectory is not None

    def _record_step(
        self,
        state: BatchState,
        k: Sequence[Tensor],
        divergences: Sequence[Tensor | None],
        step: Step,
    ) -> None:
        """Record the step, the integral of the divergence, and states at times that it passes;
        `state.x` is still the state at its start.
        """
        if self.steps is not None:
            # As `attempt` computes the start of the next step, so that the two are equal.
            end = torch.add(step.t.new_tensor(self.t1), step.left, alpha=-self.sign)
            self.steps.add(step.t, step.length, end, step.accepted)
        if state.logdet is not None:
            accepted = step.accepted.unsqueeze(1)
            change = step.length.to(self.dtype).unsqueeze(1) * self._slope(divergences)
            state.logdet = torch.where(accepted, state.logdet + change, state.logdet)
            if state.k_div is not None and divergences[-1] is not None:
                state.k_div = torch.where(accepted, divergences[-1], state.k_div)
        if state.trajectory is not None and self.asked is not None:
            passed, states = self._passed(self.asked, state, k, step)
            state.trajectory = torch.where(passed, states, state.trajectory)

    def _slope(self, divergences: Sequence[Tensor | None]) -> Any:
        """Return the mean divergence of the step, by the weights of the state."""
        pairs = zip(self.tableau.b, divergences, strict=True)
        return sum(float(b) * div for b, div in pairs if b != 0 and div is not None)

    def _passed(
        self, asked: Tensor, state: BatchState, k: Sequence[Tensor], step: Step
    ) -> tuple[Tensor, Tensor]:
        """Return the mask of `asked` times that the step passes, and the states there,
        `(width, times, *shape)`.
        """
        t, length, left = (v.unsqueeze(1) for v in (step.t, step.length, step.left))
        after_start = (asked - t) * self.sign > 0
        before_end = (asked - self.t1) * self.sign + left <= 0
        passed = after_start & before_end & step.accepted.unsqueeze(1)
        # In the time's precision: asked - t cancels.
        theta = ((asked - t) / length).to(self.dtype)
        states = dense_states(self.tableau, state.x, k, step.length.to(self.dtype), theta)
        return passed.view(state.width, -1, *self.column[1:]), states

    def _time(self, value: float, width: int = 1) -> Tensor:
        return torch.full((width,), value, dtype=self.time_dtype, device=self.device)

    def _as_tensor(self, value: Any) -> Tensor:
        if isinstance(value, np.ndarray):
            return torch.from_numpy(value)
        return value if isinstance(value, Tensor) else self._time(value)

    def _real(self, value: Any) -> Tensor:
        """Return an array or a tensor as a tensor in the state's dtype."""
        if isinstance(value, np.ndarray):
            return torch.from_numpy(value.astype(self.host_dtype))
        return torch.as_tensor(value, dtype=self.dtype, device=self.device)

    def _factor(self, length: Any, x: Tensor) -> Tensor:
        """Return an array or a tensor of lengths as a factor of velocities."""
        factor = self._real(length).view(self.column)
        return factor.expand_as(x).contiguous() if self.is_short else factor


def _stage(x: Tensor, k: Sequence[Tensor], row: Weights, length: Tensor) -> Tensor:
    """Return x + length * sum of weight * k, for lengths that broadcast against x."""
    (number, weight), *rest = row
    out = torch.addcmul(x, length, k[number], value=weight)
    for number, weight in rest:
        out.addcmul_(length, k[number], value=weight)
    return out


def _stage_on_host(x: Tensor, k: Sequence[Tensor], row: Weights, length: float) -> Tensor:
    """Return the same for a length that is a number: `torch.add` is faster than `addcmul`."""
    (number, weight), *rest = row
    out = torch.add(x, k[number], alpha=length * weight)
    for number, weight in rest:
        out.add_(k[number], alpha=length * weight)
    return out


@lru_cache(maxsize=32)
def _stage_weights(tableau: Tableau) -> tuple[Weights, ...]:
    """Return the weights of each stage after the first."""
    return tuple(nonzero(row) for row in tableau.a[1:])


@lru_cache(maxsize=64)
def _nodes(tableau: Tableau, sign: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the signed fractions of the step at which the stages after the first lie,
    `(stages - 1, 1)`.
    """
    return device_tensor([[sign * float(c)] for c in tableau.c[1:]], dtype, device)


def _bounds(low: float, high: float, dtype: torch.dtype) -> tuple[float, float]:
    if dtype == torch.float64:
        return low, high
    first, last = float32_within(low, high)
    return float(first), float(last)
