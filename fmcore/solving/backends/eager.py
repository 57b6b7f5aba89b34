"""Run a plan: calls of the field, and chains of `torch.add` into a few buffers.

Nothing here waits for the device: weights and times are known beforehand, and finiteness is tested
once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.problem import Problem, Solution, Stats, Status
from fmcore.solving.backends.combine import combine
from fmcore.solving.backends.product import goes_in_parts, run_in_parts
from fmcore.solving.backends.registers import Allocation, Instruction, allocate
from fmcore.solving.divergence import DivergenceField
from fmcore.solving.evaluation import (
    bound_field,
    check_velocity,
    constant,
    device_tensor,
    finite_rows,
    state_of,
)
from fmcore.solving.fixed.callback import tell
from fmcore.solving.fixed.canonical import canonical
from fmcore.solving.fixed.noise import Diffusion
from fmcore.solving.fixed.plan import Plan
from fmcore.solving.gradients import differentiable_rows
from fmcore.solving.interval import rounded_inside

__all__ = ["execute", "finished"]


def execute(plan: Plan, problem: Problem, asked: int | None = None) -> Solution:
    """Solve `problem` by the rows of `plan`; `asked` is the budget, reported beside its use.

    Raises ComponentError where the plan draws noise and the problem asks for a divergence.
    """
    x0 = state_of(problem)
    if plan.draws and problem.augmentation is not None:
        raise ComponentError(
            "the divergence along a stochastic solve says nothing about densities: use an ODE "
            "solver, or noise=0"
        )
    allocation = _allocation(plan)
    forwards = getattr(problem.field, "forwards", 0)
    if problem.grad != "none":
        outputs, logdet = differentiable_rows(plan, problem, call_times(plan, x0))
        forwards = getattr(problem.field, "forwards", 0) - forwards
        return _solution(plan, problem, outputs, logdet, forwards, asked)
    if goes_in_parts(plan, problem):
        with torch.no_grad():
            outputs = run_in_parts(allocation, problem, x0, call_times(plan, x0))
        forwards = getattr(problem.field, "forwards", 0) - forwards
        return _solution(plan, problem, outputs, None, forwards, asked)
    with torch.no_grad():
        registers = _registers(allocation, x0)
        field = bound_field(problem)
        measured = None
        if problem.augmentation is not None:
            field = measured = DivergenceField(
                problem, problem.augmentation, canonical(plan).weights, x0
            )
        noise = Diffusion(problem, x0) if plan.draws else None
        times = call_times(plan, x0)
        if problem.callback is None:
            run_rows(allocation.program, registers, field, times, noise)
        else:
            _run_telling(plan, problem, allocation, registers, field, times, noise)
    outputs = [registers[slot] for slot in allocation.outputs]
    forwards = getattr(problem.field, "forwards", 0) - forwards
    return _solution(plan, problem, outputs, measured and measured.logdet, forwards, asked)


def run_rows(
    program: Sequence[Instruction],
    registers: list[Any],
    field: Callable[[Tensor, Tensor], Tensor],
    times: Sequence[Tensor],
    noise: Callable[[int], Tensor] | None = None,
) -> None:
    """The inner loop: its cost is what a solve costs outside the model."""
    shape, dtype = registers[0].shape, registers[0].dtype
    for out, call, state, terms, free, draw in program:
        if call is None:
            if draw is None:
                combine(terms, registers, registers[out], out)
            elif noise is not None:
                registers[out] = noise(draw)
        else:
            x = registers[state]
            velocity = field(x, times[call])
            if getattr(velocity, "shape", None) != shape or velocity.dtype is not dtype:
                check_velocity(field, velocity, x)
            if velocity.data_ptr() == x.data_ptr():  # the field gave x itself, soon overwritten
                velocity = velocity.clone()
            registers[out] = velocity
        for slot in free:
            registers[slot] = None


def _run_telling(
    plan: Plan,
    problem: Problem,
    allocation: Allocation,
    registers: list[Any],
    field: Callable[[Tensor, Tensor], Tensor],
    times: Sequence[Tensor],
    noise: Callable[[int], Tensor] | None,
) -> None:
    """The same, step by step."""
    for step, (first, end) in enumerate(plan.spans):
        run_rows(allocation.program[first:end], registers, field, times, noise)
        node = allocation.nodes[step]
        tell(problem, plan, step, None if node is None else registers[node])


def call_times(plan: Plan, x0: Tensor) -> tuple[Tensor, ...]:
    """The time of each call as `(batch,)`, in the state's precision, on its device, never outside
    the interval.
    """
    return _call_times(plan, x0.shape[0], x0.dtype, x0.device)


@lru_cache(maxsize=256)
def _allocation(plan: Plan) -> Allocation:
    return allocate(plan)


@lru_cache(maxsize=128)
def _call_times(
    plan: Plan, batch: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    low, high = min(plan.grid), max(plan.grid)
    times = rounded_inside([call.t for call in plan.calls], low, high, dtype)
    with torch.inference_mode(False):
        return device_tensor(times, dtype, device).unsqueeze(1).expand(-1, batch).unbind(0)


def _registers(allocation: Allocation, x0: Tensor) -> list[Any]:
    """All slots: x0 and the buffers in place, the velocities' still empty."""
    registers: list[Any] = [None] * allocation.slots
    registers[0] = x0.detach()
    for slot in range(1, allocation.buffers + 1):
        registers[slot] = torch.empty_like(x0)
    return registers


def finished(
    plan: Plan,
    problem: Problem,
    outputs: Sequence[Tensor],
    *,
    logdet: Tensor | None = None,
    forwards: int = 0,
    asked: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Solution:
    """The solution whose `outputs` are the plan's, found by another backend; `extra` is added to
    its stats.
    """
    solution = _solution(plan, problem, outputs, logdet, forwards, asked)
    if not extra:
        return solution
    told = {**solution.stats.extra, **extra}
    return replace(solution, stats=replace(solution.stats, extra=told))


def _solution(
    plan: Plan,
    problem: Problem,
    outputs: Sequence[Tensor],
    logdet: Tensor | None,
    forwards: int,
    asked: int | None,
) -> Solution:
    extra = ({"forwards": forwards} if forwards else {}) | ({"nfe_asked": asked} if asked else {})
    error = None
    if logdet is not None and problem.augmentation is not None:
        logdet, error = problem.augmentation.summary(logdet)
    x = outputs[-1] if plan.rows else outputs[-1].clone()
    good = finite_rows(x)
    success = constant(int(Status.SUCCESS), torch.int64, x.device)
    nonfinite = constant(int(Status.NONFINITE), torch.int64, x.device)
    first, last = (constant(t, x.dtype, x.device) for t in (plan.grid[0], plan.grid[-1]))
    return Solution(
        x=x,
        status=torch.where(good, success, nonfinite),
        t_reached=torch.where(good, last, first),
        stats=Stats(
            nfe=torch.full((len(x),), plan.nfe, dtype=torch.int64, device=x.device),
            calls=plan.nfe,
            steps=len(plan.grid) - 1,
            extra=extra,
        ),
        logdet=logdet,
        logdet_error=error,
        trajectory=torch.stack(list(outputs[:-1])) if plan.times else None,
    )
