"""The steps that an adaptive solve took, taken again with a graph.

The steps are found without one; then each sample goes its own accepted steps once more.  The
gradient is that of this discrete solution: neither rejected attempts nor the choice of the steps
have a share in it.
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
    """One row an attempt: where it began, its length (with the sign of time) and who took it."""

    t: list[Tensor] = field(default_factory=list)
    step: list[Tensor] = field(default_factory=list)
    taken: list[Tensor] = field(default_factory=list)

    def add(self, t: Tensor, step: Tensor, taken: Tensor) -> None:
        """Note an attempt; `t` and `step` may be shared by the batch."""
        self.t.append(t.expand_as(taken))
        self.step.append(step.expand_as(taken))
        self.taken.append(taken)

    def accepted(self) -> tuple[Tensor, Tensor]:
        """Start and length of each sample's accepted steps, `(steps, batch)`, then steps of no
        length at its end.
        """
        t, step, taken = (torch.stack(rows) for rows in (self.t, self.step, self.taken))
        most = int(taken.sum(0).max())
        order = torch.argsort(taken.int(), dim=0, descending=True, stable=True)[:most]
        t, step, taken = (rows.gather(0, order) for rows in (t, step, taken))
        step = torch.where(taken, step, 0.0)
        end = (t + step).gather(0, (taken.sum(0, keepdim=True) - 1).clamp_min(0))
        return torch.where(taken, t, end), step


def replay(
    tableau: Tableau,
    problem: Problem,
    x0: Tensor,
    footprints: AcceptedSteps,
    low: float,
    high: float,
) -> tuple[Tensor, Tensor | None]:
    """The end states and the integral of the divergence, `(batch, columns)`, with their graph."""
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
                u, divergence = velocity.both(stage, at)
                logdet = logdet + step.to(x.dtype)[:, None] * float(b) * divergence
            else:
                u = velocity.velocity(stage, at)
            k.append(u)
        return x + h * sum(
            (float(b) * v for (_, _, b), v in zip(rows, k, strict=True) if b != 0),
            torch.zeros_like(x),
        ), logdet

    x, logdet = x0, x0.new_zeros(len(x0), columns)
    for t, step in zip(*footprints.accepted(), strict=True):
        x, logdet = in_segments(problem.grad, step_from, (x, logdet, t, step))
    return x, logdet if augmented else None
