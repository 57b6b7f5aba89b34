"""The accepted steps of an adaptive solve, computed again with a graph.

The solve chooses its steps without a graph; then each sample repeats its own accepted steps.  The
gradient is that of this discrete solution: neither rejected steps nor the choice of step sizes
contribute to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from fmcore.interfaces.problem import Problem
from fmcore.interfaces.tensors import append_dims
from fmcore.solving.gradients import DifferentiableField, in_segments
from fmcore.solving.tableau import Tableau

__all__ = ["AcceptedSteps", "replay"]


@final
@dataclass
class AcceptedSteps:
    """One row for each attempted step: its start, its signed length, and which samples accepted it;
    each `(batch,)`.
    """

    t: list[Tensor] = field(default_factory=list)
    length: list[Tensor] = field(default_factory=list)
    accepted: list[Tensor] = field(default_factory=list)

    def add(self, t: Tensor, length: Tensor, accepted: Tensor) -> None:
        """Add an attempted step; the batch may share `t` and `length`, `(1,)`."""
        self.t.append(t.expand_as(accepted))
        self.length.append(length.expand_as(accepted))
        self.accepted.append(accepted)

    def by_sample(self) -> tuple[Tensor, Tensor]:
        """Return the start and the length of each sample's accepted steps, `(steps, batch)`; a
        sample with fewer steps than others gets steps of length 0 at its end.
        """
        t, length, accepted = (torch.stack(rows) for rows in (self.t, self.length, self.accepted))
        most = int(accepted.sum(0).max())
        order = torch.argsort(accepted.int(), dim=0, descending=True, stable=True)[:most]
        t, length, accepted = (rows.gather(0, order) for rows in (t, length, accepted))
        length = torch.where(accepted, length, 0.0)
        end = (t + length).gather(0, (accepted.sum(0, keepdim=True) - 1).clamp_min(0))
        return torch.where(accepted, t, end), length


def replay(
    tableau: Tableau,
    problem: Problem,
    x0: Tensor,
    steps: AcceptedSteps,
    low: float,
    high: float,
) -> tuple[Tensor, Tensor | None]:
    """Return the end states and the integral of the divergence, `(batch, columns)`, with their
    graph.  Times are clamped to [`low`, `high`].
    """
    velocity = DifferentiableField(problem, x0)
    augmented = velocity.augmentation is not None
    columns = velocity.augmentation.columns if velocity.augmentation else 0
    rows = list(zip(tableau.a, tableau.c, tableau.b, strict=True))

    def step_from(x: Tensor, logdet: Tensor, t: Tensor, step: Tensor) -> tuple[Tensor, ...]:
        h = append_dims(step.to(x.dtype), x)
        k: list[Tensor] = []
        for row, c, b in rows:
            at = (t + float(c) * step).to(x.dtype).clamp(low, high)
            stage = x + h * sum(
                (float(a) * v for a, v in zip(row, k, strict=True) if a != 0), torch.zeros_like(x)
            )
            if augmented and b != 0:
                u, divergence = velocity.with_divergence(stage, at)
                logdet = logdet + step.to(x.dtype)[:, None] * float(b) * divergence
            else:
                u = velocity.velocity(stage, at)
            k.append(u)
        return x + h * sum(
            (float(b) * v for (_, _, b), v in zip(rows, k, strict=True) if b != 0),
            torch.zeros_like(x),
        ), logdet

    x, logdet = x0, x0.new_zeros(len(x0), columns)
    for t, step in zip(*steps.by_sample(), strict=True):
        x, logdet = in_segments(problem.grad, step_from, (x, logdet, t, step))
    return x, logdet if augmented else None
