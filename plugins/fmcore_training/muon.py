"""Muon for the inner matrices of a network, AdamW for its other parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import nn

from fmcore import OptimizerFactory
from fmcore_training.adam import Beta, can_fuse

__all__ = ["Muon"]


@final
@dataclass(frozen=True)
class Muon(OptimizerFactory):
    """Momentum, orthogonalised by `ns_steps` Newton-Schulz iterations in bfloat16, for weights of
    two dimensions.

    AdamW (`betas`, `eps`) updates the others: biases, norms and convolutions; the output layer,
    which is the last weight of two or more dimensions; and parameters whose name contains one of
    `adamw`, such as embeddings.  Updates of matrices are scaled to the size of AdamW's, so that one
    `train.lr` serves both.  `weight_decay` is decoupled, for all parameters of two or more
    dimensions.  An update needs the whole matrix: refused with `train.fsdp`.
    Source: Jordan et al. 2024 (kellerjordan.github.io/posts/muon); the scale 0.2 sqrt(max(rows,
    columns)) is that of Liu et al. 2025 (arXiv 2502.16982), section 2.2.
    """

    fsdp: ClassVar[bool] = False

    momentum: Annotated[float, Ge(0), Lt(1)] = 0.95
    nesterov: bool = True
    ns_steps: Annotated[int, Gt(0), Lt(100)] = 5
    weight_decay: Annotated[float, Ge(0)] = 0.0
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: Annotated[float, Gt(0)] = 1e-8
    adamw: tuple[str, ...] = ("embed",)

    def build(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]]
    ) -> Sequence[torch.optim.Optimizer]:
        named = list(named_parameters)
        output = next((name for name, p in reversed(named) if p.ndim >= 2), None)
        matrices, weights, vectors = [], [], []
        for name, parameter in named:
            if self._is_inner_matrix(name, parameter) and name != output:
                matrices.append(parameter)
            elif parameter.ndim >= 2:
                weights.append(parameter)
            else:
                vectors.append(parameter)
        return [*self._muon(matrices), *self._adamw(weights, vectors)]

    def _is_inner_matrix(self, name: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim == 2 and not any(part in name for part in self.adamw)

    def _muon(self, matrices: list[nn.Parameter]) -> list[torch.optim.Optimizer]:
        if not matrices:
            return []
        return [
            torch.optim.Muon(
                matrices,
                lr=1.0,
                weight_decay=self.weight_decay,
                momentum=self.momentum,
                nesterov=self.nesterov,
                ns_steps=self.ns_steps,
                adjust_lr_fn="match_rms_adamw",
            )
        ]

    def _adamw(
        self, weights: list[nn.Parameter], vectors: list[nn.Parameter]
    ) -> list[torch.optim.Optimizer]:
        # biases and norms are not decayed: that would move a function's scale, not its complexity
        groups = [
            {"params": weights, "weight_decay": self.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        if not groups:
            return []
        fused = can_fuse([*weights, *vectors])
        return [torch.optim.AdamW(groups, lr=1.0, betas=self.betas, eps=self.eps, fused=fused)]
