"""Norms of the gradients of a network's parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import Callback, TrainingView

__all__ = ["GradientNorms"]


@final
@dataclass(frozen=True)
class GradientNorms(Callback):
    """The Euclidean norm of the gradient of each part of the network, before clipping.

    A part is the parameters that share the first `depth` names: with 1, the direct children of the
    network.
    """

    depth: Annotated[int, Gt(0)] = 1

    def after_backward(self, view: TrainingView) -> Mapping[str, Tensor]:
        squares: dict[str, Tensor] = {}
        for name, gradient in view.gradients.items():
            part = ".".join(name.split(".")[: self.depth])
            # float32: squares of bfloat16 overflow early and have three digits
            square = torch.linalg.vector_norm(gradient, dtype=torch.float32) ** 2
            squares[part] = squares[part] + square if part in squares else square
        return {part: square.sqrt() for part, square in squares.items()}
