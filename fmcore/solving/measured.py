"""The field with its divergence integrated on the side, for solvers whose weights are known
beforehand.

A method that gives x_end = a x_0 + sum_j b_j u_j gives, applied to the pair (x, log det), log det =
sum_j b_j div u_j: the divergence is needed where b_j is not zero, and nowhere else.
"""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmcore.solving.augmentation import Augmentation
from fmcore.solving.evaluation import field_name
from fmcore.solving.problem import Problem

__all__ = ["Measured"]


@final
class Measured:
    """A field that takes its calls in the plan's order; `weights` are those of the end state.

    `logdet` is the integral so far, `(batch, columns)`.
    """

    def __init__(
        self,
        problem: Problem,
        augmentation: Augmentation,
        weights: NDArray[np.float64],
        x0: Tensor,
    ) -> None:
        self._problem, self._augmentation = problem, augmentation
        self.__name__ = field_name(problem.field)  # whose mistakes are told
        self._weights = iter(weights.tolist())
        rows = torch.arange(len(x0), device=x0.device)
        self._probes = augmentation.probes(problem, rows, x0.dtype)
        self.logdet = x0.new_zeros(len(x0), augmentation.columns)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The velocity; its divergence is added with this call's weight."""
        weight, condition = next(self._weights), self._problem.condition
        field = self._problem.field
        if weight == 0:
            return field(x, t) if condition is None else field(x, t, condition)
        velocity, divergence = self._augmentation.evaluate(field, x, t, condition, self._probes)
        self.logdet.add_(divergence, alpha=weight)
        return velocity
