"""RMSprop, with a smaller learning rate for biases and norms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Le, Lt
from fmcore import OptimizerFactory
from torch import nn

__all__ = ["EveryOptimizer"]


@final
@dataclass(frozen=True)
class EveryOptimizer(OptimizerFactory):
    """RMSprop; parameters of fewer than two dimensions have `vectors` times the learning rate.

    The `lr` of a group is relative: `train.lr` and `train.lr_schedule` scale it.  The largest must
    be 1, and every parameter in exactly one group.
    """

    decay: Annotated[float, Ge(0), Lt(1)] = 0.99
    vectors: Annotated[float, Gt(0), Le(1)] = 0.5

    def build(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]]
    ) -> Sequence[torch.optim.Optimizer]:
        parameters = [parameter for _, parameter in named_parameters]
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "lr": 1.0},
            {"params": [p for p in parameters if p.ndim < 2], "lr": self.vectors},
        ]
        return [torch.optim.RMSprop(groups, lr=1.0, alpha=self.decay)]
