"""Diffusion posterior sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import ComponentError, GuidedCall
from fmcore_guidance.geometry import dot
from fmcore_guidance.posterior import Linearization, Posterior

__all__ = ["DPS"]


@final
@dataclass(frozen=True)
class DPS(Posterior):
    """The likelihood N(y; A D, v I), which takes x1 for known given xt, with v = noise^2 or, where
    that is larger, the mean square of the residual y - A D.

    The samples have too little variance.  With noise^2 alone the velocity is so stiff that usual
    numbers of steps diverge; the paper divides by the residual's norm for this reason, and tunes
    the step size for each task, as `strength` does here.
    Source: Chung et al. 2023, arXiv 2209.14687, eq. 11 and 16, algorithm 1.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.operator.noise == 0:
            raise ComponentError(
                "guidance 'dps' divides by the noise of the measurement, which is 0: set "
                "operator.noise above 0, or use 'replacement'"
            )

    def change(self, call: GuidedCall, y: Tensor) -> tuple[Tensor, Tensor]:
        at, a = Linearization(call), self.operator
        residual = a.project(y - a.apply(at.data))
        measured = a.project(torch.ones_like(residual))
        variance = dot(residual, residual) / dot(measured, measured).clamp(min=1)
        weighted = residual / variance.clamp(min=a.noise**2)
        return at.data, at.covariance(a.adjoint(weighted))
