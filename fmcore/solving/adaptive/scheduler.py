"""The way of many samples through an adaptive solve: in lanes, left behind on arrival, their places
taken by others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from fmcore.interfaces.problem import Problem, Solution, SolverProgress, Stats, Status
from fmcore.solving.adaptive.batch_state import BatchState
from fmcore.solving.adaptive.lockstep import integrate_lockstep
from fmcore.solving.adaptive.options import AdaptiveOptions
from fmcore.solving.adaptive.replay import replay
from fmcore.solving.adaptive.step import Stepper
from fmcore.solving.adaptive.sync import Poll
from fmcore.solving.evaluation import constant, device_tensor, finite_rows, state_of
from fmcore.solving.interval import interval

__all__ = ["integrate_adaptive"]

SMALLEST_BUCKET = 8

KEPT = (
    "x",
    "left",
    "running",
    "arrived",
    "broken",
    "attempts",
    "accepted",
    "logdet",
    "trajectory",
)
"""What of a lane outlives it."""


def integrate_adaptive(solver: AdaptiveOptions, problem: Problem) -> Solution:
    """Solve `problem` by `solver`."""
    t0, t1 = interval(problem)
    if t0 == t1 or not len(problem.x0):
        return _nothing_to_do(problem)
    if problem.grad != "none":  # steps are retraced by place: nobody may change it
        solver = replace(solver, max_active=None, compact_finished=False)
    forwards = getattr(problem.field, "forwards", 0)
    with torch.no_grad():
        journey = _AdaptiveSolve(solver, problem)
        journey.run()
        solution = journey.solution(getattr(problem.field, "forwards", 0) - forwards)
    return solution if problem.grad == "none" else journey.retraced(solution)


@final
class _AdaptiveSolve:
    def __init__(self, solver: AdaptiveOptions, problem: Problem) -> None:
        self.solver, self.problem = solver, problem
        self.x0 = state_of(problem)
        self.t0, self.t1 = interval(problem)
        self.stepper = Stepper(solver, problem, self.x0, self.t0, self.t1)
        self.poll = Poll(solver.sync_every, self.x0.device)
        self.limit, self.out_of = _attempts(solver)
        self.steps = 0
        self.rejected: int | None = None  # where the host has counted
        self.started = 0  # how many samples have a lane, or had one
        self.ready: BatchState | None = None  # started, waiting for a lane to become free
        self.fresh: set[int] = (
            set()
        )  # places whose flags on their way are those of an earlier sample
        self.arrivals: dict[str, Tensor] = {}
        self.progress = 0.0

    def run(self) -> None:
        """Until every sample has arrived, failed or run out."""
        count = len(self.x0)
        if self.stepper.shared and self.poll.every == 1 and not self.poll.late:
            self._run_together()
            return
        lanes = self._start(min(self.solver.max_active or count, count))
        with_refill = self._waiting
        while self.steps < self.limit or with_refill:
            self.stepper.attempt(lanes)
            self.steps += 1
            if with_refill:  # otherwise all lanes have as many attempts behind them
                lanes.running = lanes.running & (lanes.attempts < self.limit)
            flags = self._look(lanes)
            if flags is None:
                continue
            if self._waiting:
                self._refill(lanes, flags)
            elif not any(flags):
                break
            else:
                lanes = self._compacted(lanes, sum(flags))
        self._keep(lanes)

    def _look(self, lanes: BatchState) -> list[bool] | None:
        """Which lanes run, where it is time to look; a callback costs no other look."""
        if self.problem.callback is None:
            return self.poll.ask(lanes.running)
        seen = self.poll.ask(torch.where(lanes.running, lanes.left, -1.0))
        if seen is None:
            return None
        to_go = [left for left in seen if left >= 0]
        waiting = len(self.x0) - self.started + (0 if self.ready is None else self.ready.width)
        # On a GPU the flags are late, and may be those of a sample that has made way.
        self.progress = max(self.progress, self._progress(waiting, to_go))
        moment = SolverProgress(
            self.progress, self.steps, len(to_go) + waiting, lambda: self._states(lanes)
        )
        self.problem.callback(moment)
        return [left >= 0 for left in seen]

    def _progress(self, waiting: int, to_go: Sequence[float]) -> float:
        """The mean share of their way that the samples have behind them."""
        return 1 - (waiting + sum(to_go) / abs(self.t1 - self.t0)) / len(self.x0)

    def _states(self, lanes: BatchState) -> Tensor:
        """The states of all samples, in the problem's order."""
        x = self.x0.detach().clone()
        if "x" in self.arrivals:
            x[: self.started] = self.arrivals["x"][: self.started]
        for travelling in (lanes, self.ready):
            if travelling is not None:
                x.index_copy_(0, travelling.ids, travelling.x)
        return x

    def _run_together(self) -> None:
        """All by one step, decided on the host."""
        ids = torch.arange(len(self.x0), device=self.x0.device)
        end = integrate_lockstep(self.stepper, ids, self.x0.detach(), self.limit, self.out_of)
        self.steps, self.rejected = end.attempts, end.rejected
        self._keep(end.lanes)
        counts = torch.full_like(ids, end.attempts)
        self.arrivals |= {"left": end.left, "status": end.status, "attempts": counts}

    def solution(self, forwards: int) -> Solution:
        """What has arrived, in the order of the problem's rows."""
        end = self.arrivals
        start_cost = 1 + (self.solver.first_step is None)
        logdet, error, trajectory = None, None, end.get("trajectory")
        if self.problem.augmentation is not None:
            logdet, error = self.problem.augmentation.summary(end["logdet"])
        if trajectory is not None:
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
                nfe=start_cost + end["attempts"] * self.solver.nfe_per_attempt,
                calls=self.stepper.calls,
                steps=self.steps,
                rejected=self._rejected(),
                extra=extra,
            ),
            logdet=logdet,
            logdet_error=error,
            trajectory=trajectory,
        )

    def retraced(self, solution: Solution) -> Solution:
        """The same solution with a graph behind it."""
        stepper = self.stepper
        if stepper.footprints is None:
            return solution
        x, logdet = replay(
            self.solver.tableau,
            self.problem,
            self.x0,
            stepper.footprints,
            stepper.low,
            stepper.high,
        )
        error = None
        if logdet is not None and self.problem.augmentation is not None:
            logdet, error = self.problem.augmentation.summary(logdet)
        return replace(solution, x=x, logdet=logdet, logdet_error=error)

    def _rejected(self) -> int:
        if self.rejected is not None:
            return self.rejected
        return int((self.arrivals["attempts"] - self.arrivals["accepted"]).sum())

    def _status(self) -> Tensor:
        end, device = self.arrivals, self.x0.device

        def code(status: Status) -> Tensor:
            return constant(int(status), torch.int64, device)

        good = finite_rows(end["x"])
        if "status" in end:
            return torch.where(good, end["status"], code(Status.NONFINITE))
        exhausted = end["running"] | (end["attempts"] >= self.limit)
        failure = torch.where(exhausted, code(self.out_of), code(Status.DT_MIN))
        failure = torch.where(end["broken"], code(Status.NONFINITE), failure)
        status = torch.where(end["arrived"], code(Status.SUCCESS), failure)
        return torch.where(good, status, code(Status.NONFINITE))

    @property
    def _waiting(self) -> bool:
        return self.started < len(self.x0) or self.ready is not None

    def _start(self, count: int) -> BatchState:
        """Lanes for the next `count` samples."""
        ids = torch.arange(self.started, self.started + count, device=self.x0.device)
        x = self.x0[self.started : self.started + count].detach()
        self.started += count
        return self.stepper.start(ids, x)

    def _refill(self, lanes: BatchState, running: list[bool]) -> None:
        """Let those that have arrived make way for those that wait."""
        places = [i for i, still in enumerate(running) if not still and i not in self.fresh]
        self.fresh = set()
        while places and self._waiting:
            if self.ready is None:
                self.ready = self._start(min(lanes.width, len(self.x0) - self.started))
            count = min(len(places), self.ready.width)
            here = device_tensor(places[:count], torch.int64, self.x0.device)
            everyone = torch.arange(self.ready.width, device=self.x0.device)
            self._keep(lanes.take(here))
            lanes.put(here, self.ready.take(everyone[:count]))
            self.ready = self.ready.take(everyone[count:]) if count < self.ready.width else None
            self.fresh.update(places[:count] if self.poll.late else ())
            places = places[count:]

    def _compacted(self, lanes: BatchState, live: int) -> BatchState:
        """The live lanes in the next smaller bucket, where they fit into one."""
        bucket = max(SMALLEST_BUCKET, 1 << (live - 1).bit_length())
        if (
            bucket >= lanes.width
            or not self.solver.compact_finished
            or self.solver.step_control != "per_sample"
        ):
            return lanes
        self._keep(lanes)
        self.poll.forget()
        first = torch.argsort(lanes.running.int(), descending=True, stable=True)
        return lanes.take(first[:bucket])

    def _keep(self, lanes: BatchState) -> None:
        """Write the lanes to their samples' rows."""
        for name in KEPT:
            value = getattr(lanes, name)
            if name == "left" and lanes.left_of is not None:
                value = lanes.left_of
            if value is None:
                continue
            if lanes.width == len(self.x0):
                self.arrivals[name] = value
                continue
            if name not in self.arrivals:
                self.arrivals[name] = value.new_empty((len(self.x0), *value.shape[1:]))
            self.arrivals[name].index_copy_(0, lanes.ids, value)


def _nothing_to_do(problem: Problem) -> Solution:
    """The solution of an interval of no length, or of no samples."""
    x = state_of(problem).detach().clone()
    none = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    return Solution(
        x=x,
        status=none + int(Status.SUCCESS),
        t_reached=torch.full_like(none, interval(problem)[1], dtype=x.dtype),
        stats=Stats(nfe=none),
        logdet=None if problem.augmentation is None else torch.zeros_like(none, dtype=x.dtype),
        trajectory=None if not problem.times else x.expand(len(problem.times), *x.shape).clone(),
    )


def _attempts(solver: AdaptiveOptions) -> tuple[int, Status]:
    """How many attempts a sample has, and what it is called to have used them up."""
    if solver.max_nfe is None:
        return solver.max_steps, Status.MAX_STEPS
    start = 1 + (solver.first_step is None)
    affordable = (solver.max_nfe - start) // solver.nfe_per_attempt
    if affordable < solver.max_steps:
        return affordable, Status.MAX_NFE
    return solver.max_steps, Status.MAX_STEPS
