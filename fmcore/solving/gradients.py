"""Solves with a graph: every operation out of place, step by step.

`direct` lets autograd record every operation; `checkpoint` keeps the states between steps and
computes each step once more in the backward pass, so that memory does not hold the network's
activations of all steps.  Both give the gradient of the discrete solution.  Step sizes carry no
gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, final

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from fmcore.interfaces.problem import Gradients, Problem
from fmcore.solving.divergence import draw_probes, velocity_and_divergence
from fmcore.solving.evaluation import call_callback, check_velocity, state_of
from fmcore.solving.fixed.canonical import canonical
from fmcore.solving.fixed.noise import Diffusion
from fmcore.solving.fixed.plan import START, Call, Noise, Plan, Row

__all__ = ["DifferentiableField", "differentiable_rows", "in_segments"]

Values = dict[int, Tensor]
LOGDET = -1
"""The key of the integral of the divergence among the registers, whose numbers start at 0."""


@final
class DifferentiableField:
    """The problem's field and, with an augmentation, its divergence, with their graphs."""

    def __init__(self, problem: Problem, x0: Tensor) -> None:
        self._problem, self._condition = problem, problem.condition
        self.augmentation = problem.augmentation
        self._probes = None
        if self.augmentation is not None:
            rows = torch.arange(len(x0), device=x0.device)
            self._probes = draw_probes(self.augmentation, problem, rows, x0.dtype)

    def of_rows(self, rows: Tensor) -> DifferentiableField:
        """Return the same field for states of these rows of the problem."""
        chosen = copy(self)
        if self._condition is not None:
            chosen._condition = {k: v.index_select(0, rows) for k, v in self._condition.items()}
        if self._probes is not None:
            chosen._probes = self._probes.index_select(0, rows)
        return chosen

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """Return u at `x`, `(batch, *shape)`, and `t`, `(batch,)`."""
        field, condition = self._problem.field, self._condition
        velocity = field(x, t) if condition is None else field(x, t, condition)
        check_velocity(field, velocity, x)
        return velocity

    def with_divergence(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return u, `(batch, *shape)`, and div u, `(batch, columns)`."""
        if self.augmentation is None:
            raise ValueError("the problem does not ask for a divergence")
        field, condition = self._problem.field, self._condition
        velocity, divergence = velocity_and_divergence(
            self.augmentation, field, x, t, condition, self._probes, keep_graph=True
        )
        check_velocity(field, velocity, x)
        return velocity, divergence


def in_segments(
    how: Gradients, segment: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Return `segment(*inputs)`; with `checkpoint`, the backward pass computes it again."""
    if how == "direct":
        return segment(*inputs)
    # Non-reentrant: gradients also reach parameters that the segment closes over.
    result: tuple[Tensor, ...] = checkpoint(segment, *inputs, use_reentrant=False)
    return result


def differentiable_rows(
    plan: Plan, problem: Problem, times: Sequence[Tensor]
) -> tuple[list[Tensor], Tensor | None]:
    """Return the plan's outputs and the integral of the divergence, with their graph.

    `times` are the times of the calls, each `(batch,)`.
    """
    x0 = state_of(problem)
    field = DifferentiableField(problem, x0)
    values: Values = {START: x0}
    if field.augmentation is not None:
        values[LOGDET] = x0.new_zeros(len(x0), field.augmentation.columns)
    # The state's own quadrature, so that logdet has the order of the solver.
    weights = canonical(plan).weights.tolist()
    calls = {row.out: number for number, row in enumerate(plan.calls)}

    noise = Diffusion(problem, x0)

    def run(rows: Sequence[Row], values: Values) -> None:
        for row in rows:
            if isinstance(row, Noise):
                values[row.out] = noise(row.draw)
                continue
            if not isinstance(row, Call):
                values[row.out] = _sum(row.weights, values, x0)
                continue
            number = calls[row.out]
            if field.augmentation is not None and weights[number] != 0:
                u, divergence = field.with_divergence(values[row.state], times[number])
                values[LOGDET] = values[LOGDET] + weights[number] * divergence
            else:
                u = field.velocity(values[row.state], times[number])
            values[row.out] = u

    for step, (first, last) in enumerate(plan.spans):
        keys, needed = list(values), _needed_after(plan, last)

        # Defaults bind this step's values: a checkpoint calls the segment again after the loop.
        def segment(
            *inputs: Tensor,
            first: int = first,
            last: int = last,
            keys: Any = keys,
            needed: Any = needed,
        ) -> tuple[Tensor, ...]:
            inside = dict(zip(keys, inputs, strict=True))
            run(plan.rows[first:last], inside)
            return tuple(inside[key] for key in sorted(needed & inside.keys()))

        outputs = in_segments(problem.grad, segment, [values[key] for key in keys])
        made = set(keys) | {row.out for row in plan.rows[first:last]}
        values = dict(zip(sorted(needed & made), outputs, strict=True))
        if problem.callback is not None:
            call_callback(problem, step + 1, len(plan.spans), values.get(plan.nodes[step]))
    return [values[register] for register in plan.outputs], values.get(LOGDET)


def _needed_after(plan: Plan, row: int) -> set[int]:
    later = {register for each in plan.rows[row:] for register in each.reads}
    return later | set(plan.outputs) | {LOGDET}


def _sum(weights: Any, values: Values, x0: Tensor) -> Tensor:
    total = torch.zeros_like(x0) if not weights else None
    for register, weight in weights.items():
        total = (
            weight * values[register]
            if total is None
            else total.add(values[register], alpha=weight)
        )
    return torch.zeros_like(x0) if total is None else total
