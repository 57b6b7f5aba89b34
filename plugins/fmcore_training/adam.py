"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import nn

from fmcore import OptimizerFactory
from fmcore_training.eager import EagerAdam, EagerAdamW

__all__ = ["Adam", "AdamW", "Beta", "can_fuse"]

# Adam divides by 1 - beta^step, which is 0 for a beta of 1.
Beta = Annotated[float, Ge(0), Lt(1)]


@final
@dataclass(frozen=True)
class Adam(OptimizerFactory):
    """Adam, fused on CPU and CUDA.

    `betas` are the decays of the moments, `eps` is added to the root of the second.
    Source: Kingma and Ba 2014 (arXiv 1412.6980), algorithm 1.
    """

    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: Annotated[float, Gt(0)] = 1e-8

    def build(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]]
    ) -> Sequence[torch.optim.Optimizer]:
        weights = [parameter for _, parameter in named_parameters]
        fused = can_fuse(weights)
        return [EagerAdam(weights, lr=1.0, betas=self.betas, eps=self.eps, fused=fused)]


@final
@dataclass(frozen=True)
class AdamW(OptimizerFactory):
    """Adam whose weight decay is a step of its own: each step multiplies the weights by
    1 - lr `weight_decay`.

    Source: Loshchilov and Hutter 2017 (arXiv 1711.05101), algorithm 2.
    """

    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: Annotated[float, Gt(0)] = 1e-8
    weight_decay: Annotated[float, Ge(0)] = 0.01

    def build(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]]
    ) -> Sequence[torch.optim.Optimizer]:
        weights = [parameter for _, parameter in named_parameters]
        return [
            EagerAdamW(
                weights,
                lr=1.0,
                betas=self.betas,
                eps=self.eps,
                weight_decay=self.weight_decay,
                fused=can_fuse(weights),
            )
        ]


def can_fuse(weights: Sequence[nn.Parameter]) -> bool:
    """Return whether torch has a fused Adam for the device of `weights`."""
    return all(weight.device.type in ("cpu", "cuda") for weight in weights)
