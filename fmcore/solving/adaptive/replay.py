"""The accepted steps of an adaptive solve, computed again with a graph.

The solve chooses its steps without a graph; then each sample repeats its own accepted steps.  The
gradient is that of this discrete solution: neither rejected steps nor the choice of step sizes
contribute to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, final

import torch
from torch import Tensor

from fmcore.interfaces.problem import Problem
from fmcore.interfaces.tensors import append_dims
from fmcore.solving.adaptive.dense_output import dense_states
from fmcore.solving.gradients import DifferentiableField, in_segments
from fmcore.solving.tableau import Tableau

__all__ = ["AcceptedSteps", "Replayed", "TimeInterval", "replay"]


class TimeInterval(NamedTuple):
    """The start of a solve, and the bounds of the times at which it evaluates the field."""

    start: float
    lowest: float
    highest: float


@final
@dataclass
class AcceptedSteps:
    """One row for each attempted step: its start, signed length and end, and which samples accepted
    it; each `(batch,)`.
    """

    t: list[Tensor] = field(default_factory=list)
    length: list[Tensor] = field(default_factory=list)
    end: list[Tensor] = field(default_factory=list)
    accepted: list[Tensor] = field(default_factory=list)

    def add(self, t: Tensor, length: Tensor, end: Tensor, accepted: Tensor) -> None:
        """Add an attempted step; the batch may share its times, `(1,)`."""
        self.t.append(t.expand_as(accepted))
        self.length.append(length.expand_as(accepted))
        self.end.append(end.expand_as(accepted))
        self.accepted.append(accepted)

    def by_sample(self, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return start, length and end of each sample's accepted steps, each `(steps, batch)`; a
        sample with fewer steps than others gets steps of length 0 at its end.
        """
        if not self.accepted:  # the host records no rejected step
            none = torch.zeros(0, batch)
            return none, none, none
        accepted = torch.stack(self.accepted)
        most = int(accepted.sum(0).max())
        if most == 0:
            none = torch.stack(self.t)[:0]
            return none, none, none
        # Stable: the accepted steps of a sample stay in order of time.
        order = torch.argsort(accepted.int(), dim=0, descending=True, stable=True)[:most]
        t, length, end, accepted = (
            torch.stack(rows).gather(0, order)
            for rows in (self.t, self.length, self.end, self.accepted)
        )
        last = end.gather(0, (accepted.sum(0, keepdim=True) - 1).clamp_min(0))
        return (
            torch.where(accepted, t, last),
            torch.where(accepted, length, 0.0),
            torch.where(accepted, end, last),
        )


class Replayed(NamedTuple):
    """The end states, the integral of the divergence, `(batch, columns)`, and the states at the
    asked times, `(times, batch, *shape)`, with their graph; None without augmentation or times.
    """

    x: Tensor
    logdet: Tensor | None
    trajectory: Tensor | None


def replay(
    tableau: Tableau,
    problem: Problem,
    x0: Tensor,
    steps: AcceptedSteps,
    asked: Tensor | None,
    times: TimeInterval,
) -> Replayed:
    """Compute `steps` again from `x0`, with the states at times `asked`, `(times,)`.

    The last stage of `tableau` is the velocity at the end of the step (`fsal`).
    """
    field = DifferentiableField(problem, x0)
    t, length, end = (rows.to(x0.device) for rows in steps.by_sample(len(x0)))
    asked = t.new_empty(0) if asked is None else asked
    passed = _passed(asked, t, length, end)
    passed_by_any, all_move = passed.any(2).tolist(), (length != 0).all(1).tolist()
    unreached = torch.full_like(x0, math.nan)
    states = [x0 if time == times.start else unreached for time in asked.tolist()]
    columns = 0 if problem.augmentation is None else problem.augmentation.columns
    x, logdet = x0, x0.new_zeros(len(x0), columns)
    for n, passes in enumerate(passed_by_any):
        now = [j for j, passes_time in enumerate(passes) if passes_time]
        # Only samples that move: a finished one costs nothing, and where a failed one ended the
        # field may be NaN, which would spread to the gradient of every parameter.
        rows = None if all_move[n] else length[n].nonzero().squeeze(1)
        step = _DifferentiableStep(tableau, field if rows is None else field.of_rows(rows), times)
        theta = _fractions(asked[now], t[n], length[n], passed[n, now])
        inputs = [_chosen(value, rows) for value in (x, logdet, t[n], length[n], theta)]
        x_new, logdet_new, *inner = in_segments(problem.grad, step, inputs)
        x, logdet = _replaced(x, rows, x_new), _replaced(logdet, rows, logdet_new)
        for j, state in zip(now, inner, strict=True):
            here = append_dims(_chosen(passed[n, j], rows), state)
            state = torch.where(here, state, _chosen(states[j], rows))
            states[j] = _replaced(states[j], rows, state)
    return Replayed(
        x=x,
        logdet=logdet if problem.augmentation is not None else None,
        trajectory=torch.stack(states) if states else None,
    )


@final
class _DifferentiableStep:
    """One step with its graph."""

    def __init__(self, tableau: Tableau, field: DifferentiableField, times: TimeInterval) -> None:
        self._tableau, self._field, self._times = tableau, field, times
        # The last stage starts the next step, which computes it itself.
        self._stages = list(zip(tableau.a, tableau.c, tableau.b, strict=True))[:-1]

    def __call__(
        self, x: Tensor, logdet: Tensor, t: Tensor, length: Tensor, theta: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the state and the integral after the step, then the states at the fractions
        `theta`, `(batch, times)`.
        """
        h, k = length.to(x.dtype), list[Tensor]()
        column = append_dims(h, x)
        for row, c, b in self._stages:
            state, time = x + column * _weighted(row, k, x), self._clamped(t + float(c) * length, x)
            if self._field.augmentation is not None and b != 0:
                u, divergence = self._field.with_divergence(state, time)
                logdet = logdet + h[:, None] * float(b) * divergence
            else:
                u = self._field.velocity(state, time)
            k.append(u)
        x_new = x + column * _weighted(self._tableau.b, k, x)
        if not theta.shape[1]:
            return x_new, logdet
        k.append(self._field.velocity(x_new, self._clamped(t + length, x)))
        return x_new, logdet, *dense_states(self._tableau, x, k, h, theta.to(x.dtype)).unbind(1)

    def _clamped(self, t: Tensor, x: Tensor) -> Tensor:
        return t.to(x.dtype).clamp(self._times.lowest, self._times.highest)


def _chosen(value: Tensor, rows: Tensor | None) -> Tensor:
    return value if rows is None else value.index_select(0, rows)


def _replaced(value: Tensor, rows: Tensor | None, new: Tensor) -> Tensor:
    return new if rows is None else value.index_copy(0, rows, new)


def _weighted(weights: Sequence[Fraction], k: Sequence[Tensor], x: Tensor) -> Tensor:
    """Return the sum of weight * k; the weight of a stage that is not computed yet is 0."""
    terms = (float(w) * v for w, v in zip(weights, k, strict=False) if w != 0)
    return sum(terms, torch.zeros_like(x))


def _passed(asked: Tensor, t: Tensor, length: Tensor, end: Tensor) -> Tensor:
    """Return which step of a sample passes each time, `(steps, times, batch)`.

    The end of one step is the start of the next in every bit, so that exactly one passes a time.
    """
    time = asked[None, :, None]
    after_start = (time - t[:, None]) * length[:, None] > 0
    return after_start & ((time - end[:, None]) * length[:, None] <= 0)


def _fractions(asked: Tensor, t: Tensor, length: Tensor, passed: Tensor) -> Tensor:
    """Return where in the step the times are, `(batch, times)`, 0 where it does not pass them.

    Other fractions may be infinite, and their gradient NaN although `where` discards the state.
    """
    theta = (asked[:, None] - t) / torch.where(passed, length, 1.0)
    return torch.where(passed, theta, 0.0).T
