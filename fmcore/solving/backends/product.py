"""Run a plan on a state of several parts, each in buffers of its own: nothing is joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fmcore.interfaces.problem import Problem
from fmcore.solving.backends.combine import combine
from fmcore.solving.backends.registers import Allocation
from fmcore.solving.evaluation import check_velocity
from fmcore.solving.fixed.plan import Plan
from fmcore.solving.product import ProductField

__all__ = ["goes_in_parts", "run_in_parts"]


def goes_in_parts(plan: Plan, problem: Problem) -> bool:
    """Whether nothing but the parts is asked for; all else looks at the joined state."""
    return (
        isinstance(problem.field, ProductField)
        and not plan.draws
        and problem.augmentation is None
        and problem.callback is None
    )


def run_in_parts(
    allocation: Allocation, problem: Problem, x0: Tensor, times: Sequence[Tensor]
) -> list[Tensor]:
    """The plan's outputs, joined."""
    field: Any = problem.field
    parts = [_registers(allocation, part.contiguous()) for part in field.state.rows(x0)]
    for out, call, state, terms, free, _ in allocation.program:
        if call is None:
            for registers in parts:
                combine(terms, registers, registers[out], out)
        else:
            x = [registers[state] for registers in parts]
            velocity = field.parts(x, times[call], problem.condition)
            for registers, u in zip(parts, _own(field, velocity, x), strict=True):
                registers[out] = u
        for slot in free:
            for registers in parts:
                registers[slot] = None
    return [field.state.joined([r[slot] for r in parts]) for slot in allocation.outputs]


def _own(field: ProductField, velocity: Sequence[Tensor], x: Sequence[Tensor]) -> list[Tensor]:
    """The velocity checked, and copied where it is a piece of the state, soon overwritten: of any
    part, as in dx/dt = v.
    """
    taken = {part.untyped_storage().data_ptr() for part in x}
    for u, part in zip(velocity, x, strict=True):
        check_velocity(field, u, part)
    return [u.clone() if u.untyped_storage().data_ptr() in taken else u for u in velocity]


def _registers(allocation: Allocation, x0: Tensor) -> list[Any]:
    registers: list[Any] = [None] * allocation.slots
    registers[0] = x0
    for slot in range(1, allocation.buffers + 1):
        registers[slot] = torch.empty_like(x0)
    return registers
