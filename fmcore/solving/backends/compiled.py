"""The compiled backend: torch.compile of each kind of step, not of the loop.

Steps that differ only in numbers share one compiled function: weights and times are arguments,
tensors without dimensions, so that another grid, budget or interval compiles nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.problem import Problem, Solution
from fmcore.solving.backends.eager import call_times, solution_of
from fmcore.solving.backends.field_state import Counters, recognizer
from fmcore.solving.evaluation import (
    bound_field,
    call_callback,
    check_velocity,
    device_tensor,
    state_of,
)
from fmcore.solving.fixed.noise import Diffusion
from fmcore.solving.fixed.plan import START, Call, Noise, Plan

__all__ = ["CompiledSteps"]


class Shape(NamedTuple):
    """A step without its numbers.

    Places 0 .. `entering` - 1 are the registers at its start; its draws follow, then the result of
    each row.  `rows` holds whether a row is a call, and the places that it reads.  `leaving` are
    the places of the registers that later steps read.
    """

    entering: int
    rows: tuple[tuple[bool, tuple[int, ...]], ...]
    leaving: tuple[int, ...]


class Step(NamedTuple):
    """A step of a plan: its shape, the plan's registers at its start and end, and its numbers."""

    shape: Shape
    entering: tuple[int, ...]
    draws: tuple[int, ...]
    leaving: tuple[int, ...]
    weights: tuple[float, ...]
    calls: int


@final
class CompiledSteps:
    """Runs plans with `field`, compiling each shape of step once, with `fullgraph=True`.

    `backend` and `mode` are those of torch.compile.  Keep the object as long as the field is used:
    it holds the compiled steps.  It computes neither divergences nor gradients (see `execute`).
    """

    def __init__(
        self, field: Callable[..., Tensor], *, backend: str = "inductor", mode: str | None = None
    ) -> None:
        self._made_for = recognizer(field)
        self._backend, self._mode = backend, mode
        self._compiled: dict[Shape, Callable[..., list[Tensor]]] = {}

    def execute(
        self, plan: Plan, problem: Problem, asked: int | None = None, **extra: Any
    ) -> Solution:
        """Solve `problem` by the rows of `plan`; `extra` is added to the solution's stats.

        Raises ComponentError for a problem with another field, an augmentation or gradients.
        """
        if not self._made_for(problem.field):
            raise ComponentError("these steps were compiled for another field: make new ones")
        if problem.augmentation is not None or problem.grad != "none":
            raise ComponentError(
                "compiled steps compute neither divergences nor gradients: use execute"
            )
        x0, field = state_of(problem), bound_field(problem)
        counters, forwards = Counters(problem.field), getattr(problem.field, "forwards", 0)
        times = iter(call_times(plan, x0))
        noise = Diffusion(problem, x0) if plan.draws else None
        values = {START: x0}
        with torch.no_grad():
            for number, step in enumerate(_steps(plan)):
                weights = _numbers(step.weights, x0.dtype, x0.device)
                given = [values[register] for register in step.entering]
                given += [noise(draw) for draw in step.draws] if noise is not None else []
                at = [next(times) for _ in range(step.calls)]
                run = self._function(step.shape)
                # Without this, a change of `nfe` on the field would compile the step again.
                results = counters.apart(run, step.shape, field, given, weights, at)
                values = dict(zip(step.leaving, results, strict=True))
                if problem.callback is not None:
                    state = values.get(plan.nodes[number])
                    call_callback(problem, number + 1, len(plan.spans), state)
        return solution_of(
            plan,
            problem,
            [values[r] for r in plan.outputs],
            forwards=getattr(problem.field, "forwards", 0) - forwards,
            asked=asked,
            extra=extra,
        )

    def _function(self, shape: Shape) -> Callable[..., list[Tensor]]:
        """Return the compiled step of this shape.

        Each has its own code object: torch compiles one code object at most 8 times.
        """
        if shape not in self._compiled:
            # See the docstring: one code object for all shapes would soon reach torch's limit.
            own = FunctionType(_run.__code__.replace(), _run.__globals__, _run.__name__)
            self._compiled[shape] = torch.compile(
                own, backend=self._backend, mode=self._mode, fullgraph=True
            )
        return self._compiled[shape]


def _run(
    shape: Shape,
    field: Callable[[Tensor, Tensor], Tensor],
    given: Sequence[Tensor],
    weights: Sequence[Tensor],
    times: Sequence[Tensor],
) -> list[Tensor]:
    """Run one step: the function that torch compiles."""
    registers, weight, time = list(given), iter(weights), iter(times)
    for is_call, reads in shape.rows:
        if is_call:
            x = registers[reads[0]]
            registers.append(field(x, next(time)))
            check_velocity(field, registers[-1], x)
            continue
        # A sum whose terms all cancel still has to be a tensor.
        total = next(weight) * registers[reads[0]] if reads else torch.zeros_like(given[0])
        for register in reads[1:]:
            total = total + next(weight) * registers[register]
        registers.append(total)
    return [registers[register] for register in shape.leaving]


@lru_cache(maxsize=64)
def _steps(plan: Plan) -> tuple[Step, ...]:
    """Return the steps of the plan."""
    present: tuple[int, ...] = (START,)
    steps = []
    for first, last in plan.spans:
        steps.append(_step(plan, first, last, present))
        present = steps[-1].leaving
    return tuple(steps)


def _step(plan: Plan, first: int, last: int, entering: tuple[int, ...]) -> Step:
    rows = plan.rows[first:last]
    drawn = [row for row in rows if isinstance(row, Noise)]
    work = [row for row in rows if not isinstance(row, Noise)]
    order = [*entering, *(row.out for row in drawn), *(row.out for row in work)]
    place = {register: number for number, register in enumerate(order)}
    # Registers that no later step reads are freed at the end of this one.
    later = {r for row in plan.rows[last:] for r in row.reads} | set(plan.outputs)
    leaving = tuple(register for register in order if register in later)
    shape = Shape(
        entering=len(entering),
        rows=tuple((isinstance(r, Call), tuple(place[x] for x in r.reads)) for r in work),
        leaving=tuple(place[register] for register in leaving),
    )
    weights = tuple(w for r in work if not isinstance(r, Call) for w in r.weights.values())
    calls = sum(isinstance(row, Call) for row in work)
    return Step(shape, entering, tuple(row.draw for row in drawn), leaving, weights, calls)


@lru_cache(maxsize=1024)
def _numbers(
    weights: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """Return each weight as a tensor without dimensions: a float would be a compiled constant."""
    return device_tensor(weights, dtype, device).unbind(0) if weights else ()
