"""Diffusion posterior sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from fmcore import ComponentError, GuidedCall
from fmcore_guidance.posterior import Linearization, Posterior

__all__ = ["DPS"]


@final
@dataclass(frozen=True)
class DPS(Posterior):
    """The likelihood N(y; A D, noise^2 I), which takes x1 for known given xt.

    The samples have too little variance, the less the smaller the noise, and the velocity is stiff:
    take more steps, an operator with more noise, or a smaller `strength`: of images, a strength of
    1 diverges under few steps, and 0.1 does not.  The paper's own step size, which it tunes for
    each task, stands for `strength` / noise^2.
    Source: Chung et al. 2023, arXiv 2209.14687, eq. 11 and 16.
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
        residual = (y - a.apply(at.data)) / a.noise**2
        return at.data, at.covariance(a.adjoint(residual))
