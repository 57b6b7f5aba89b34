"""The fused backend: all sums between two calls of the field in one pass over memory.

The kernel reads its weights from a table on the device, so that the host passes only addresses and
an offset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from fmcore.interfaces.problem import Problem, Solution
from fmcore.solving.backends.eager import call_times, solution_of
from fmcore.solving.backends.fusion import Program, program_of
from fmcore.solving.backends.kernels import Kernel
from fmcore.solving.divergence import DivergenceField
from fmcore.solving.evaluation import bound_field, check_velocity, device_tensor, state_of
from fmcore.solving.fixed.canonical import canonical
from fmcore.solving.fixed.noise import Diffusion
from fmcore.solving.fixed.plan import Plan

__all__ = ["execute_fused", "laid_out", "on_device_of", "velocity_at"]


def execute_fused(
    plan: Plan, problem: Problem, kernel: Kernel, asked: int | None = None, **extra: Any
) -> Solution:
    """Solve `problem` by the fused sums of `plan`, each one launch of `kernel`; `extra` is added to
    the solution's stats.
    """
    x0, program = state_of(problem), program_of(plan)
    forwards = getattr(problem.field, "forwards", 0)
    divergence = None
    with torch.no_grad(), on_device_of(x0):
        field = bound_field(problem)
        if problem.augmentation is not None:
            field = divergence = DivergenceField(
                problem, problem.augmentation, canonical(plan).weights, x0
            )
        noise = Diffusion(problem, x0) if plan.draws else None
        registers = _registers(program, x0)
        table = _table(program, x0.dtype, x0.device)
        _run(program, registers, field, call_times(plan, x0), noise, table, kernel)
    return solution_of(
        plan,
        problem,
        [registers[slot] for slot in program.outputs],
        logdet=divergence and divergence.logdet,
        forwards=getattr(problem.field, "forwards", 0) - forwards,
        asked=asked,
        extra=extra,
    )


def on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which x's GPU is current: Triton launches kernels on the current one."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def velocity_at(field: Callable[[Tensor, Tensor], Tensor], x: Tensor, t: Tensor) -> Tensor:
    """Return the field's velocity, checked, in x's layout and in memory that is not x's."""
    velocity = field(x, t)
    if velocity.shape != x.shape or velocity.dtype is not x.dtype:
        check_velocity(field, velocity, x)
    # The kernel indexes memory linearly, without strides.
    velocity = laid_out(velocity, x)
    # A field may return x itself, whose buffer is written to later.
    return velocity.clone() if velocity.data_ptr() == x.data_ptr() else velocity


def laid_out(value: Tensor, like: Tensor) -> Tensor:
    """Return `value` in the memory layout of `like`, which is dense."""
    if value.stride() == like.stride() or (value.is_contiguous() and like.is_contiguous()):
        return value
    return torch.empty_like(like).copy_(value)


def _run(
    program: Program,
    registers: list[Any],
    field: Callable[[Tensor, Tensor], Tensor],
    times: Sequence[Tensor],
    noise: Callable[[int], Tensor] | None,
    table: Tensor,
    kernel: Kernel,
) -> None:
    for outs, reads, free, call, draw, offset, mask in program.items:
        if call is not None:
            registers[outs[0]] = velocity_at(field, registers[reads[0]], times[call])
        elif draw is None:
            kernel([registers[r] for r in outs], [registers[r] for r in reads], table, offset, mask)
        elif noise is not None:
            registers[outs[0]] = laid_out(noise(draw), registers[0])
        for slot in free:
            registers[slot] = None


def _registers(program: Program, x0: Tensor) -> list[Any]:
    """Return all slots: x0, dense, the buffers, and empty slots for velocities and draws."""
    dense = torch.empty_like(x0)
    registers: list[Any] = [None] * program.slots
    registers[0] = laid_out(x0.detach(), dense)
    for slot in range(1, program.buffers + 1):
        registers[slot] = torch.empty_like(dense) if slot > 1 else dense
    return registers


@lru_cache(maxsize=256)
def _table(program: Program, dtype: torch.dtype, device: torch.device) -> Tensor:
    return device_tensor(program.table, dtype, device)
