"""Moment matching posterior sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor

from fmcore import GuidedCall
from fmcore_guidance.posterior import Linearization, Posterior, solve

__all__ = ["MMPS"]


@final
@dataclass(frozen=True)
class MMPS(Posterior):
    """The likelihood N(y; A D, noise^2 I + A V A^T), with V the covariance of x1 given xt.

    Exact for Gaussian data, if `iterations`, of conjugate gradients, are as many as measured
    numbers; each costs a backward pass of the network.  A few are enough in practice.
    Source: Rozet et al. 2024, arXiv 2405.13712, section 4 and algorithm 3.
    """

    iterations: Annotated[int, Gt(0)] = 3

    def change(self, call: GuidedCall, y: Tensor) -> tuple[Tensor, Tensor]:
        at, a = Linearization(call), self.operator

        def variance(u: Tensor) -> Tensor:
            return a.noise**2 * u + a.apply(at.covariance(a.adjoint(u)))

        u = solve(variance, y - a.apply(at.data), self.iterations)
        return at.data, at.covariance(a.adjoint(u))
