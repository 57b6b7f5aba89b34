"""Optimal transport between the noise and the data of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import ComponentError, Condition, Coupling, Dataset, Pairing, Path
from fmcore_couplings.assignment import cheapest, entropic

__all__ = ["MinibatchOT"]


@final
@dataclass(frozen=True)
class MinibatchOT(Coupling):
    """Permutes the noise so that the sum of |x0 - x1|^2 over the batch is least.

    Every row is kept, once; x1 stays in its order beside its condition.  `pool` batches are paired
    at once and then handed out one by one: a larger pool comes nearer to the transport of the whole
    distribution, at a cost that grows like its cube.  `method` `sinkhorn` draws from the entropic
    plan instead (needs POT), `regularization` in units of the mean cost.

    Pairing across classes tilts the noise that each class sees, so that sampling a class from plain
    noise is biased.  `condition` says what to do about `label`s and other conditions: `within`
    pairs only rows whose noise was drawn beside an equal condition, which leaves every class its
    noise; `weighted` adds `condition_weight` times the squared distance of conditions (1 between
    labels that differ) to the cost; `ignored` pairs across.

    Source: Tong et al. 2024 (arXiv 2302.00482), section 3.2; conditions: Cheng and Schwing 2025
    (arXiv 2503.10636), section 3.
    """

    method: Literal["exact", "sinkhorn"] = "exact"
    pool: Annotated[int, Ge(1)] = 1
    condition: Literal["within", "weighted", "ignored"] = "within"
    condition_weight: Annotated[float, Gt(0)] = 1.0
    regularization: Annotated[float, Gt(0)] = 0.05

    def check(self, path: Path, data: Dataset | None = None) -> None:
        if data is not None and data.pairs:
            raise ComponentError(
                f"data set {type(data).__name__} comes in pairs of x0 and x1, which coupling "
                "'minibatch_ot' would part: use coupling 'paired'"
            )
        if path.noise().conditional:
            raise ComponentError(
                f"source {type(path.noise()).__name__} draws x0 from the condition of its row, "
                "which coupling 'minibatch_ot' would part: use coupling 'independent'"
            )

    def pair(
        self, x0: Tensor, x1: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Pairing:
        if x0.shape != x1.shape:
            raise ComponentError(
                f"coupling 'minibatch_ot' pairs equal shapes; x0 is {tuple(x0.shape)}, "
                f"x1 {tuple(x1.shape)}"
            )
        given = self._flat(condition) if condition and self.condition != "ignored" else []
        order = torch.arange(len(x1))
        for group in self._groups(given, len(x1)):
            chosen = self._assign(self._cost(x0[group], x1[group], given, group), generator)
            order[group] = group[chosen]
        return Pairing(x0[order.to(x0.device)], x1, condition)

    def _groups(self, given: list[Tensor], n: int) -> list[Tensor]:
        """The rows among which pairs may be changed."""
        if self.condition != "within" or not given:
            return [torch.arange(n)]
        together = torch.cat([entry.double() for entry in given], 1)
        _, group = torch.unique(together, dim=0, return_inverse=True)
        return [(group == g).nonzero()[:, 0] for g in range(int(group.max()) + 1)]

    def _cost(self, x0: Tensor, x1: Tensor, given: list[Tensor], group: Tensor) -> Tensor:
        """|x0_i - x1_j|^2, `(group, group)`, plus what unequal conditions cost."""
        x0, x1 = x0.flatten(1).float(), x1.flatten(1).float()
        cost = x0.square().sum(1)[:, None] + x1.square().sum(1)[None] - 2 * x0 @ x1.T
        if self.condition == "weighted":
            for entry in given:
                cost = cost + self.condition_weight * _apart(entry[group]).to(cost.device)
        return cost

    def _assign(self, cost: Tensor, generator: torch.Generator) -> Tensor:
        if self.method == "exact":
            return cheapest(cost)
        return entropic(cost, self.regularization, generator)

    @staticmethod
    def _flat(condition: Condition) -> list[Tensor]:
        """Every entry as `(batch, features)` on the CPU, but for `mask`, which is no condition."""
        return [
            v.flatten(1).cpu() if v.ndim > 1 else v[:, None].cpu()
            for k, v in sorted(condition.items())
            if k != "mask"
        ]


def _apart(entry: Tensor) -> Tensor:
    """Squared distances between the rows of a condition; labels are equal (0) or not (1)."""
    if not entry.is_floating_point():
        return (entry[:, None] != entry[None]).any(-1).double()
    return torch.cdist(entry.double(), entry.double()).square()
