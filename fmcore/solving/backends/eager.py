"""The eager backend: calls of the field, and chains of `torch.add` into a few buffers.

Nothing here waits for the device: weights and times are known in advance, and finiteness is tested
once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.problem import Problem, Solution, Stats, Status
from fmcore.solving.backends.registers import Allocation, Instruction, allocate
from fmcore.solving.divergence import DivergenceField
from fmcore.solving.evaluation import (
    bound_field,
    call_callback,
    check_velocity,
    constant,
    device_tensor,
    finite_rows,
    state_of,
)
from fmcore.solving.fixed.canonical import canonical
from fmcore.solving.fixed.noise import Diffusion
from fmcore.solving.fixed.plan import Plan
from fmcore.solving.gradients import differentiable_rows
from fmcore.solving.interval import rounded_inside
from fmcore.solving.product import ProductField

__all__ = ["call_times", "execute", "solution_of"]


def execute(plan: Plan, problem: Problem, asked: int | None = None) -> Solution:
    """Solve `problem` by the rows of `plan`; `asked` is the budget, reported with the NFE used.

    Raises ComponentError where the plan draws noise and the problem has an augmentation.
    """
    x0 = state_of(problem)
    if plan.draws and problem.augmentation is not None:
        raise ComponentError(
            "the divergence along a stochastic solve gives no density: use an ODE solver, or "
            "noise=0"
        )
    times, before = call_times(plan, x0), getattr(problem.field, "forwards", 0)
    if problem.grad != "none":
        outputs, logdet = differentiable_rows(plan, problem, times)
    elif _keeps_parts(plan, problem):
        outputs, logdet = _outputs_by_part(plan, problem, x0, times), None
    else:
        outputs, logdet = _outputs(plan, problem, x0, times)
    forwards = getattr(problem.field, "forwards", 0) - before
    return solution_of(plan, problem, outputs, logdet=logdet, forwards=forwards, asked=asked)


def call_times(plan: Plan, x0: Tensor) -> tuple[Tensor, ...]:
    """Return the time of each call as `(batch,)`, in x0's dtype and on its device, never rounded
    out of the interval.
    """
    return _call_times(plan, x0.shape[0], x0.dtype, x0.device)


def solution_of(
    plan: Plan,
    problem: Problem,
    outputs: Sequence[Tensor],
    *,
    logdet: Tensor | None = None,
    forwards: int = 0,
    asked: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Solution:
    """Return the solution with the plan's `outputs`; `extra` is added to its stats."""
    # Zero means that the field does not count, or that there was no budget.
    counted = {"forwards": forwards, "nfe_asked": asked}
    error = None
    if logdet is not None and problem.augmentation is not None:
        logdet, error = problem.augmentation.summary(logdet)
    # Without rows the output is x0 itself, which the caller may change later.
    x = outputs[-1] if plan.rows else outputs[-1].clone()
    finite = finite_rows(x)
    success = constant(int(Status.SUCCESS), torch.int64, x.device)
    nonfinite = constant(int(Status.NONFINITE), torch.int64, x.device)
    first, last = (constant(t, x.dtype, x.device) for t in (plan.grid[0], plan.grid[-1]))
    return Solution(
        x=x,
        status=torch.where(finite, success, nonfinite),
        t_reached=torch.where(finite, last, first),
        stats=Stats(
            nfe=torch.full((len(x),), plan.nfe, dtype=torch.int64, device=x.device),
            calls=plan.nfe,
            steps=len(plan.grid) - 1,
            extra={**{name: n for name, n in counted.items() if n}, **(extra or {})},
        ),
        logdet=logdet,
        logdet_error=error,
        trajectory=torch.stack(list(outputs[:-1])) if plan.times else None,
    )


@torch.no_grad()
def _outputs(
    plan: Plan, problem: Problem, x0: Tensor, times: Sequence[Tensor]
) -> tuple[list[Tensor], Tensor | None]:
    """Return the plan's outputs and the integral of the divergence, if any."""
    allocation = _allocation(plan)
    registers = _registers(allocation, x0.detach())
    field = bound_field(problem)
    divergence = None
    if problem.augmentation is not None:
        weights = canonical(plan).weights
        field = divergence = DivergenceField(problem, problem.augmentation, weights, x0)
    noise = Diffusion(problem, x0) if plan.draws else None
    if problem.callback is None:
        _run(allocation.program, registers, field, times, noise)
    else:
        for step, (first, end) in enumerate(plan.spans):
            _run(allocation.program[first:end], registers, field, times, noise)
            node = allocation.nodes[step]
            state = None if node is None else registers[node]
            call_callback(problem, step + 1, len(plan.spans), state)
    outputs = [registers[slot] for slot in allocation.outputs]
    return outputs, divergence and divergence.logdet


def _run(
    program: Sequence[Instruction],
    registers: list[Any],
    field: Callable[[Tensor, Tensor], Tensor],
    times: Sequence[Tensor],
    noise: Callable[[int], Tensor] | None,
) -> None:
    """Run the instructions: the inner loop, whose cost is a solve's overhead."""
    shape, dtype = registers[0].shape, registers[0].dtype
    for out, call, state, terms, free, draw in program:
        if call is None:
            if draw is None:
                _combine(terms, registers, registers[out], out)
            elif noise is not None:
                registers[out] = noise(draw)
        else:
            x = registers[state]
            velocity = field(x, times[call])
            # Compared here, since a call of check_velocity costs as much as an addition.
            if getattr(velocity, "shape", None) != shape or velocity.dtype is not dtype:
                check_velocity(field, velocity, x)
            if velocity.data_ptr() == x.data_ptr():  # x's buffer is overwritten later
                velocity = velocity.clone()
            registers[out] = velocity
        for slot in free:
            registers[slot] = None


def _combine(
    terms: Sequence[tuple[int, float]], registers: Sequence[Any], out: Tensor, slot_of_out: int
) -> None:
    """Write the sum of weight * register into `out`: one pass over memory for each term, and none
    for a first term of weight 1.
    """
    if not terms:
        out.zero_()
        return
    slot, weight = terms[0]
    if weight == 1.0 and slot == slot_of_out:
        rest = terms[1:]
    elif weight == 1.0 and len(terms) > 1:
        second, factor = terms[1]
        torch.add(registers[slot], registers[second], alpha=factor, out=out)
        rest = terms[2:]
    else:
        torch.mul(registers[slot], weight, out=out)
        rest = terms[1:]
    for slot, weight in rest:
        out.add_(registers[slot], alpha=weight)


def _keeps_parts(plan: Plan, problem: Problem) -> bool:
    """Return whether parts of the state stay apart: nothing reads the joined state on the way."""
    return (
        isinstance(problem.field, ProductField)
        and not plan.draws
        and problem.augmentation is None
        and problem.callback is None
    )


@torch.no_grad()
def _outputs_by_part(
    plan: Plan, problem: Problem, x0: Tensor, times: Sequence[Tensor]
) -> list[Tensor]:
    """Return the plan's outputs, joined at the end, with buffers for each part of the state."""
    allocation, field = _allocation(plan), problem.field
    if not isinstance(field, ProductField):
        raise TypeError("only the field of a ProductState has parts")
    parts = [_registers(allocation, part.contiguous()) for part in field.state.rows(x0)]
    for out, call, state, terms, free, _ in allocation.program:
        if call is None:
            for registers in parts:
                _combine(terms, registers, registers[out], out)
        else:
            x = [registers[state] for registers in parts]
            velocities = field.parts(x, times[call], problem.condition)
            for registers, u in zip(parts, _own_memory(field, velocities, x), strict=True):
                registers[out] = u
        for slot in free:
            for registers in parts:
                registers[slot] = None
    return [field.state.joined([r[slot] for r in parts]) for slot in allocation.outputs]


def _own_memory(
    field: ProductField, velocities: Sequence[Tensor], x: Sequence[Tensor]
) -> list[Tensor]:
    """Check the velocities, and copy those that share memory with any part of the state, as in
    dx/dt = v: its buffer is overwritten later.
    """
    of_state = {part.untyped_storage().data_ptr() for part in x}
    for u, part in zip(velocities, x, strict=True):
        check_velocity(field, u, part)
    return [u.clone() if u.untyped_storage().data_ptr() in of_state else u for u in velocities]


@lru_cache(maxsize=256)
def _allocation(plan: Plan) -> Allocation:
    return allocate(plan)


@lru_cache(maxsize=128)
def _call_times(
    plan: Plan, batch: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    low, high = min(plan.grid), max(plan.grid)
    times = rounded_inside([call.t for call in plan.calls], low, high, dtype)
    # Cached, and perhaps used later by a solve with gradients.
    with torch.inference_mode(False):
        return device_tensor(times, dtype, device).unsqueeze(1).expand(-1, batch).unbind(0)


def _registers(allocation: Allocation, x0: Tensor) -> list[Any]:
    """Return all slots: x0, the buffers, and empty slots for velocities and draws."""
    registers: list[Any] = [None] * allocation.slots
    registers[0] = x0
    for slot in range(1, allocation.buffers + 1):
        # Once for the solve: the steps allocate nothing but velocities.
        registers[slot] = torch.empty_like(x0)
    return registers
