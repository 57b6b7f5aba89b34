"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge, Lt
from torch import nn

from fmcore import ComponentError, OptimizerFactory
from fmcore_training.eager import EagerSGD

__all__ = ["SGD"]


@final
@dataclass(frozen=True)
class SGD(OptimizerFactory):
    """w <- w - lr m with m <- momentum m + g, and g the gradient plus `weight_decay` w.

    `nesterov` steps along g + momentum m instead.
    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep
    learning", as torch implements it.
    """

    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Ge(0)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise ComponentError("optimizer 'sgd': nesterov needs a momentum above 0")

    def build(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]]
    ) -> Sequence[torch.optim.Optimizer]:
        return [
            EagerSGD(
                [parameter for _, parameter in named_parameters],
                lr=1.0,
                momentum=self.momentum,
                nesterov=self.nesterov,
                weight_decay=self.weight_decay,
            )
        ]
