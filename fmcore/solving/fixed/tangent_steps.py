"""Steps of one-step plans on a manifold, in tangent coordinates at the start of each step.

A stage at the coordinates y is the point exp(y); its velocity is pulled back by the derivative of
log.  So each step is the same Runge-Kutta step of an ODE in R^n, which keeps the order of any
tableau; with one stage it is exp(x, h u).  States are always on the manifold.
Source: Munthe-Kaas 1999, "High order Runge-Kutta methods on manifolds", with log and exp as the
local coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.interfaces.derivative import jvp
from fmcore.interfaces.problem import Problem, Solution
from fmcore.interfaces.space import Manifold
from fmcore.solving.backends.eager import call_times, solution_of
from fmcore.solving.evaluation import bound_field, call_callback, check_velocity, state_of
from fmcore.solving.fixed.plan import START, Call, Combine, Plan

__all__ = ["execute_in_tangents", "is_one_step"]

Coordinates = dict[int, Tensor | None]
"""Registers of a step: coordinates and velocities in the tangent space, None for its start."""


def is_one_step(plan: Plan) -> bool:
    """Return whether no step reads a register of an earlier step but its state, and every state is
    the start plus velocities.
    """
    start = START
    for (first, end), node in zip(plan.spans, plan.nodes, strict=True):
        states = {start}
        known = {start}
        for row in plan.rows[first:end]:
            if not set(row.reads) <= known or not isinstance(row, Call | Combine):
                return False
            if isinstance(row, Combine):
                share = sum(w for register, w in row.weights.items() if register in states)
                if abs(share - 1) > 1e-12:
                    return False
                states.add(row.out)
            known.add(row.out)
        start = node
    return True


def execute_in_tangents(
    plan: Plan, problem: Problem, space: Manifold, asked: int | None
) -> Solution:
    """Solve `problem` on `space` by the rows of `plan`, a one-step plan without noise."""
    x = state_of(problem).detach()
    field, before = bound_field(problem), getattr(problem.field, "forwards", 0)
    times = iter(call_times(plan, x))
    states, start = {START: x}, START
    with torch.no_grad():
        for step, ((first, end), node) in enumerate(zip(plan.spans, plan.nodes, strict=True)):
            registers: Coordinates = {start: None}
            for row in plan.rows[first:end]:
                if isinstance(row, Call):
                    y = registers[row.state]
                    point = x if y is None else space.exp(x, y)
                    velocity = field(point, next(times))
                    check_velocity(field, velocity, point)
                    if y is not None:
                        velocity = _pulled(space, x, point, velocity)
                    registers[row.out] = velocity
                elif isinstance(row, Combine):
                    registers[row.out] = _sum(row, registers, x)
            moved = registers[node]
            x = x if moved is None else space.project(space.exp(x, moved))
            states[node], start = x, node
            call_callback(problem, step + 1, len(plan.spans), x)
    outputs = [states[register] for register in plan.outputs]
    forwards = getattr(problem.field, "forwards", 0) - before
    return solution_of(plan, problem, outputs, forwards=forwards, asked=asked)


def _sum(row: Combine, registers: Coordinates, x: Tensor) -> Tensor:
    total = torch.zeros_like(x)
    for register, weight in row.weights.items():
        value = registers[register]
        if value is not None:  # the start has the coordinates 0
            total.add_(value, alpha=weight)
    return total


def _pulled(space: Manifold, x: Tensor, point: Tensor, velocity: Tensor) -> Tensor:
    """Return the velocity of log(x, point) where `point` moves with `velocity`."""
    return jvp(lambda y: space.log(x, y), (point,), (velocity,))[1]
