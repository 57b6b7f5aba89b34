"""Replacement of the measured part of the data prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor

from fmcore import GuidedCall
from fmcore_guidance.posterior import Posterior, solve

__all__ = ["Replacement"]


@final
@dataclass(frozen=True)
class Replacement(Posterior):
    """D + A^+ (y - A D): the data prediction with its measured part replaced by the measurement.

    It needs no gradient of the network.  The measured part is reproduced without regard to its
    noise, and the hidden part follows only through what the network makes of later states.
    `iterations` are those of conjugate gradients for the pseudoinverse A^+.
    Source: Song et al. 2021, arXiv 2011.13456, appendix I.2; for the data prediction, Wang et al.
    2023, arXiv 2212.00490, eq. 13.
    """

    iterations: Annotated[int, Gt(0)] = 20

    def change(self, call: GuidedCall, y: Tensor) -> tuple[Tensor, Tensor]:
        data, a = call.predict(), self.operator
        residual = a.adjoint(y - a.apply(data))
        return data, solve(lambda w: a.adjoint(a.apply(w)), residual, self.iterations)
