"""Adaptive integration of a batch: finished samples are removed, and their slots refilled.

Reading on a GPU which samples still run makes the host wait.  So their flags are copied to the host
asynchronously and read one look later (`_FlagReader`): what had finished then has finished now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from fmcore.interfaces.problem import Problem, Solution, SolverProgress, Stats, Status
from fmcore.solving.adaptive.batch_state import BatchState
from fmcore.solving.adaptive.controller import AdaptiveOptions
from fmcore.solving.adaptive.multistep import MultistepStepper
from fmcore.solving.adaptive.replay import TimeInterval, replay
from fmcore.solving.adaptive.step import Stepper
from fmcore.solving.evaluation import constant, finite_rows, state_of
from fmcore.solving.interval import asked_times, interval

__all__ = ["integrate_adaptive"]

SMALLEST_BUCKET = 8
"""The least width after compaction: below it, an evaluation costs the same."""

RESULTS = (
    "x",
    "left",
    "running",
    "is_finished",
    "broken",
    "attempts",
    "accepted",
    "logdet",
    "trajectory",
)
"""The fields of a BatchState that are copied to the results when a sample leaves the batch."""


def integrate_adaptive(options: AdaptiveOptions, problem: Problem) -> Solution:
    """Solve `problem` with the adaptive solver of these `options`."""
    x0, (t0, t1) = state_of(problem), interval(problem)
    if t0 == t1 or not x0.numel():
        return _unchanged(problem, x0)
    if problem.grad != "none":  # the replay finds a sample's steps by its row, which must not move
        options = replace(options, max_active=None, compact_finished=False)
    forwards = getattr(problem.field, "forwards", 0)
    with torch.no_grad():
        solve = _AdaptiveSolve(options, problem, x0)
        solve.run()
        solution = solve.solution(getattr(problem.field, "forwards", 0) - forwards)
    return solution if problem.grad == "none" else solve.with_graph(solution)


@final
class _AdaptiveSolve:
    """One solve: the active samples are in a BatchState, `finished` holds the results of others."""

    def __init__(self, options: AdaptiveOptions, problem: Problem, x0: Tensor) -> None:
        self.options, self.problem, self.x0 = options, problem, x0
        self.t0, self.t1 = interval(problem)
        self.flag_reader = _FlagReader(options.sync_every, self.x0.device)
        # Every attempt is looked at anyway: deciding on the host costs no further wait.
        on_host = self.flag_reader.every == 1 and not self.flag_reader.late
        # Arrays share the memory of tensors on the CPU.
        needs_arrays = options.history or not options.is_shared
        on_host = on_host and not (needs_arrays and self.x0.device.type != "cpu")
        kind = MultistepStepper if options.history else Stepper
        self.stepper = kind(options, problem, self.x0, self.t0, self.t1, on_host=on_host)
        self.limit, self.exhausted = _attempt_limit(options)
        self.steps = 0
        self.started = 0  # samples that are or were active
        self.ready: BatchState | None = None  # started samples that wait for a slot
        self.used = 0  # of `ready`, the first rows that have got a slot
        self.refilled: set[int] = set()  # slots whose late flags are those of the sample before
        self.finished: dict[str, Tensor] = {}
        self.rejected: int | None = None  # where the host has counted
        self.progress = 0.0

    def run(self) -> None:
        """Integrate until every sample has finished, failed or used up its attempts."""
        count = len(self.x0)
        state = self._start(min(self.options.max_active or count, count))
        has_refill = self._waiting
        while self.steps < self.limit or has_refill:
            may_have_ended = self.stepper.attempt(state)
            self.steps += 1
            # Without refill all samples have made the same number of attempts.
            if has_refill and self.steps >= self.limit:
                state.running = state.running & (state.attempts < self.limit)
                state.all_running, may_have_ended = False, True
            running = self._look(state, may_have_ended)
            if running is None:
                continue
            if self._waiting:
                self._refill(state, running)
            elif not any(running):
                break
            else:
                state = self._compact(state, running)
        self._keep(state)
        if self.stepper.by_array:
            self.rejected = self.stepper.control.rejected
        elif isinstance(state.attempts, int):
            self.rejected = (state.attempts - state.accepted) * state.width

    def solution(self, forwards: int) -> Solution:
        """Return the results in the order of the problem's rows; `forwards` goes to the stats."""
        end = self.finished
        start_cost = 1 + (self.options.first_step is None)
        logdet, error, trajectory = None, None, end.get("trajectory")
        if self.problem.augmentation is not None:
            logdet, error = self.problem.augmentation.summary(end["logdet"])
        if trajectory is not None:
            # Batch first while samples move between rows; times first in every solution.
            trajectory = trajectory.transpose(0, 1)
        x, left = end["x"], end["left"]
        extra = {"evaluations": self.stepper.evaluations} | (
            {"forwards": forwards} if forwards else {}
        )
        return Solution(
            x=x,
            status=self._status(),
            t_reached=(self.t1 - self.stepper.sign * left).to(x.dtype),
            stats=Stats(
                nfe=start_cost + end["attempts"] * self.options.nfe_per_attempt,
                calls=self.stepper.calls,
                steps=self.steps,
                rejected=self._rejected(),
                extra=extra,
            ),
            logdet=logdet,
            logdet_error=error,
            trajectory=trajectory,
        )

    def with_graph(self, solution: Solution) -> Solution:
        """Return the same solution with its graph, by computing the accepted steps again."""
        stepper = self.stepper
        if stepper.steps is None:
            return solution
        times = TimeInterval(self.t0, stepper.low, stepper.high)
        found = replay(stepper.tableau, self.problem, self.x0, stepper.steps, stepper.asked, times)
        logdet, error = found.logdet, None
        if logdet is not None and self.problem.augmentation is not None:
            logdet, error = self.problem.augmentation.summary(logdet)
        return replace(
            solution, x=found.x, logdet=logdet, logdet_error=error, trajectory=found.trajectory
        )

    def _look(self, state: BatchState, may_have_ended: bool) -> list[bool] | None:
        """Return which samples run, or None where it is not time to look; call the callback."""
        callback = self.problem.callback
        if callback is None:
            return self._running_flags(state) if may_have_ended else None
        seen = self._time_left(state, may_have_ended)
        if seen is None:
            return None
        left = [value for value in seen if value >= 0]
        waiting = len(self.x0) - self.started
        waiting += 0 if self.ready is None else self.ready.width - self.used
        # Late flags may be those of a sample that has left its slot: progress never falls.
        self.progress = max(self.progress, self._progress(waiting, left))
        callback(
            SolverProgress(
                self.progress, self.steps, len(left) + waiting, lambda: self._states(state)
            )
        )
        return [value >= 0 for value in seen]

    def _running_flags(self, state: BatchState) -> list[bool] | None:
        """Return which samples run, or None between looks."""
        return [False] * state.width if state.all_ended else self.flag_reader.read(state.running)

    def _time_left(self, state: BatchState, may_have_ended: bool) -> list[float] | None:
        """Return the time left of each running sample, -1 for others; None between looks.

        Costs no operation and no wait beyond those of a solve without a callback, except that on
        the device one more operation puts the time left into the copied flags.
        """
        if not self.stepper.on_host:
            return self.flag_reader.read(torch.where(state.running, state.left, -1.0))
        if self.stepper.by_array:
            return _listed(np.where(state.running, state.left, -1.0))
        running = self._running_flags(state) if may_have_ended else [True] * state.width
        return None if running is None else [state.left if runs else -1.0 for runs in running]

    def _progress(self, waiting: int, left: Sequence[float]) -> float:
        """Return the mean share of the interval that the samples have covered."""
        return 1 - (waiting + sum(left) / abs(self.t1 - self.t0)) / len(self.x0)

    def _states(self, state: BatchState) -> Tensor:
        """Return the states of all samples, in the problem's order."""
        x = self.x0.detach().clone()
        if "x" in self.finished:
            x[: self.started] = self.finished["x"][: self.started]
        x.index_copy_(0, state.ids, state.x)
        if self.ready is not None:
            x.index_copy_(0, self.ready.ids[self.used :], self.ready.x[self.used :])
        return x

    def _status(self) -> Tensor:
        end, device = self.finished, self.x0.device

        def code(status: Status) -> Tensor:
            return constant(int(status), torch.int64, device)

        # Later lines take precedence: a sample may be lost in its last attempt.
        exhausted = end["running"] | (end["attempts"] >= self.limit)
        failure = torch.where(exhausted, code(self.exhausted), code(Status.DT_MIN))
        failure = torch.where(end["broken"], code(Status.NONFINITE), failure)
        status = torch.where(end["is_finished"], code(Status.SUCCESS), failure)
        return torch.where(finite_rows(end["x"]), status, code(Status.NONFINITE))

    def _rejected(self) -> int:
        if self.rejected is not None:
            return self.rejected
        return int((self.finished["attempts"] - self.finished["accepted"]).sum())

    @property
    def _waiting(self) -> bool:
        return self.started < len(self.x0) or self.ready is not None

    def _start(self, count: int) -> BatchState:
        """Start the next `count` samples."""
        ids = torch.arange(self.started, self.started + count, device=self.x0.device)
        x = self.x0[self.started : self.started + count].detach()
        self.started += count
        return self.stepper.start(ids, x)

    def _refill(self, state: BatchState, running: list[bool]) -> None:
        """Put waiting samples into the slots of samples that have ended."""
        slots = [i for i, runs in enumerate(running) if not runs and i not in self.refilled]
        self.refilled = set()
        while slots and self._waiting:
            if self.ready is None:
                # As many as there are slots: a start costs two calls of the field for any width.
                self.ready = self._start(min(state.width, len(self.x0) - self.started))
                self.used = 0
            count = min(len(slots), self.ready.width - self.used)
            self._keep(state.take(slots[:count]))
            state.put(slots[:count], self.ready.take(range(self.used, self.used + count)))
            self.used += count
            if self.used == self.ready.width:
                self.ready = None
            self.refilled.update(slots[:count] if self.flag_reader.late else ())
            slots = slots[count:]

    def _compact(self, state: BatchState, running: list[bool]) -> BatchState:
        """Return the running samples in the next smaller bucket, a power of 2, if they fit one."""
        # Powers of 2, so that a compiled field meets few widths.
        bucket = max(SMALLEST_BUCKET, 1 << (sum(running) - 1).bit_length())
        can_shrink = self.options.compact_finished and not self.options.is_shared
        if bucket >= state.width or not can_shrink:
            return state
        self._keep(state)
        self.flag_reader.discard()
        # Stable: samples keep their order, and only a minimum of memory moves.
        first = np.argsort(np.logical_not(running), kind="stable")
        return state.take(first[:bucket])

    def _keep(self, state: BatchState) -> None:
        """Copy the results of these samples to their rows."""
        for name in RESULTS:
            value = getattr(state, name)
            if name == "left" and state.left_of is not None:
                value = torch.where(state.running, value, state.left_of)
            if isinstance(value, int):
                value = torch.full_like(state.ids, value)
            if value is None:
                continue
            value = torch.as_tensor(value)
            # No copy: BatchState never writes into its tensors.
            if state.width == len(self.x0):
                self.finished[name] = value
                continue
            if name not in self.finished:
                self.finished[name] = value.new_empty((len(self.x0), *value.shape[1:]))
            self.finished[name].index_copy_(0, state.ids, value)


@final
class _FlagReader:
    """Reads one value a sample from the device every `every` steps, on a GPU one look late."""

    def __init__(self, every: int | None, device: torch.device) -> None:
        self.late = device.type == "cuda"
        self.every = every or (2 if self.late else 1)
        self._steps = 0
        self._pending: tuple[Tensor, Any] | None = None

    def read(self, values: Tensor) -> list[Any] | None:
        """Return `values`, `(width,)`, as numbers, on a GPU those of the look before; None between
        looks.
        """
        self._steps += 1
        if self._steps % self.every:
            return None
        if not self.late:
            return _listed(values)
        answer = None
        if self._pending is not None:
            earlier, copied = self._pending
            copied.synchronize()
            answer = _listed(earlier)
        # New memory for each look: the earlier copy may still be in flight.
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        host.copy_(values, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._pending = (host, event)
        return answer

    def discard(self) -> None:
        """Drop the values on their way, after samples have changed rows."""
        self._pending = None


def _listed(values: Any) -> list[Any]:
    numbers: list[Any] = values.tolist()
    return numbers


def _unchanged(problem: Problem, x0: Tensor) -> Solution:
    """Return the solution over an interval of length 0, or of a state without elements."""
    asked = asked_times(problem)
    x = (x0.detach() if problem.grad == "none" else x0).clone()
    none = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    logdet, error = None, None
    if problem.augmentation is not None:
        columns = problem.augmentation.columns
        logdet, error = problem.augmentation.summary(x.new_zeros(len(x), columns))
    return Solution(
        x=x,
        status=none + int(Status.SUCCESS),
        t_reached=torch.full_like(none, interval(problem)[1], dtype=x.dtype),
        stats=Stats(nfe=none),
        logdet=logdet,
        logdet_error=error,
        trajectory=x.expand(len(asked), *x.shape).clone() if asked else None,
    )


def _attempt_limit(options: AdaptiveOptions) -> tuple[int, Status]:
    """Return the number of attempts of a sample, and the status of one that has used them up."""
    if options.max_nfe is None:
        return options.max_steps, Status.MAX_STEPS
    start = 1 + (options.first_step is None)
    # Whole attempts: a sample never exceeds the budget it was given.
    affordable = (options.max_nfe - start) // options.nfe_per_attempt
    if affordable < options.max_steps:
        return affordable, Status.MAX_NFE
    return options.max_steps, Status.MAX_STEPS
