"""Optimal transport between the noise and the data of a batch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import ComponentError, Condition, Coupling, Dataset, Euclidean, Pairing, Path, Space
from fmcore_couplings.assignment import cheapest, entropic

__all__ = ["MinibatchOT"]

FLAT = Euclidean()
"""The space where the data give none."""


@final
@dataclass(frozen=True)
class MinibatchOT(Coupling):
    """A permutation of the noise with the least sum of |x0 - x1|^2 over the batch; on other spaces
    than R^n, of the squared distance there.

    Every row occurs exactly once; x1 and its condition keep their order.  `pool` batches are paired
    at once and then trained on one by one: a larger pool approximates the transport of the whole
    distribution better, at a cost that grows with its cube.  `method: sinkhorn` draws from the
    entropic plan instead (needs POT), with `regularization` in units of the mean cost.

    Pairing across classes changes the distribution of the noise of each class, so that sampling a
    class from the plain prior is biased.  `condition` selects how `label`s and other conditions
    count: `within` pairs only rows whose noise was drawn with an equal condition, so that every
    class keeps its noise; `weighted` adds `condition_weight` times the squared distance of the
    conditions (1 between unequal labels) to the cost; `ignored` pairs across.

    Source: Tong et al. 2024 (arXiv 2302.00482), section 3.2; conditions: Cheng and Schwing 2025
    (arXiv 2503.10636), section 3.
    """

    method: Literal["exact", "sinkhorn"] = "exact"
    pool: Annotated[int, Ge(1)] = 1
    condition: Literal["within", "weighted", "ignored"] = "within"
    condition_weight: Annotated[float, Gt(0)] = 1.0
    regularization: Annotated[float, Gt(0)] = 0.05
    space: Space = FLAT

    def on(self, space: Space) -> Self:
        return replace(self, space=space)

    def check(self, path: Path, data: Dataset | None = None) -> None:
        if data is not None and data.pairs:
            raise ComponentError(
                f"dataset {type(data).__name__} comes in pairs of x0 and x1, which coupling "
                "'minibatch_ot' would separate: use coupling 'paired'"
            )
        if path.noise().conditional:
            raise ComponentError(
                f"source {type(path.noise()).__name__} draws x0 from the condition of its row, "
                "which coupling 'minibatch_ot' would separate: use coupling 'independent'"
            )

    def cost(self, x0: Tensor, x1: Tensor) -> Tensor:
        return (_float64(x0) - _float64(x1)).square().sum(1)

    def pair(
        self, x0: Tensor, x1: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Pairing:
        if x0.shape != x1.shape or x0.ndim < 2:
            raise ComponentError(
                "coupling 'minibatch_ot' pairs equal shapes (batch, *shape); x0 is "
                f"{tuple(x0.shape)}, x1 {tuple(x1.shape)}"
            )
        given = condition if condition and self.condition != "ignored" else {}
        entries = _entries(given, len(x1))
        order = torch.arange(len(x1))
        for group in self._groups(entries, len(x1)):
            chosen = self._assign(x0[group], x1[group], [e[group] for e in entries], generator)
            order[group] = group[chosen]
        return Pairing(x0[order.to(x0.device)], x1, condition)

    def _groups(self, entries: list[Tensor], n: int) -> list[Tensor]:
        """Return the groups of rows within which pairs may be changed."""
        if self.condition != "within" or not entries:
            return [torch.arange(n)]
        together = torch.cat([entry.double() for entry in entries], 1)
        _, group = torch.unique(together, dim=0, return_inverse=True)
        return [(group == g).nonzero()[:, 0] for g in range(int(group.max()) + 1)]

    def _assign(
        self, x0: Tensor, x1: Tensor, entries: list[Tensor], generator: torch.Generator
    ) -> Tensor:
        """Return the row of x0 for each row of x1."""
        if self.space.flat:
            cost, shift = _transport_cost(x0, x1)
        else:
            cost, shift = _distance_cost(self.space, x0, x1), 0.0
        if self.condition == "weighted":
            for entry in entries:
                cost = cost + self.condition_weight * _condition_cost(entry).to(cost.device)
        if not cost.isfinite().all():
            raise ComponentError(
                "coupling 'minibatch_ot': the costs of pairs are not finite, as x0, x1 or a "
                "condition holds NaN, infinity or numbers too large to square"
            )
        if self.method == "exact":
            return cheapest(cost)
        return entropic(cost, self.regularization * (float(cost.mean()) + shift), generator)


def _entries(condition: Condition, n: int) -> list[Tensor]:
    """Return every entry as `(n, features)` on the CPU, except `mask`, which is no condition."""
    entries = {name: v for name, v in sorted(condition.items()) if name != "mask"}
    wrong = [f"{name} {tuple(v.shape)}" for name, v in entries.items() if v.shape[:1] != (n,)]
    if wrong:
        raise ComponentError(
            f"coupling 'minibatch_ot': conditions need a row for each of the {n} pairs, got "
            + ", ".join(wrong)
        )
    return [v.flatten(1).cpu() if v.ndim > 1 else v[:, None].cpu() for v in entries.values()]


def _transport_cost(x0: Tensor, x1: Tensor) -> tuple[Tensor, float]:
    """Return |a - b|^2 of all pairs, `(n, n)` float64, and |E x0 - E x1|^2, for a = x0 - E x0 and
    b = x1 - E x1.

    The sum of the two is |x0 - x1|^2 but for terms of a row or a column, which every permutation
    contains.  Centred, the matrix product cancels no digits where the data are far from 0.
    """
    a, b = _float64(x0), _float64(x1)
    mean0, mean1 = a.mean(0), b.mean(0)
    return _squared_distances(a - mean0, b - mean1), float((mean0 - mean1).square().sum())


def _distance_cost(space: Space, x0: Tensor, x1: Tensor) -> Tensor:
    """Return the squared distances of all pairs on `space`, `(n, n)` float64."""
    n = len(x0)
    rows = x0.repeat_interleave(n, 0), x1.repeat(n, *(1 for _ in x1.shape[1:]))
    return space.squared_distance(*rows).view(n, n).double()


def _condition_cost(entry: Tensor) -> Tensor:
    """Return squared distances between the rows of a condition; of labels, 0 if equal, else 1."""
    if not entry.is_floating_point():
        return (entry[:, None] != entry[None]).any(-1).double()
    centred = entry.double() - entry.double().mean(0)
    return _squared_distances(centred, centred)


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    size = a.square().sum(1)[:, None] + b.square().sum(1)
    return torch.addmm(size, a, b.T, alpha=-2).clamp_min(0)


def _float64(x: Tensor) -> Tensor:
    x = x.flatten(1)
    return (x.cpu() if x.device.type == "mps" else x).double()  # MPS has no float64
