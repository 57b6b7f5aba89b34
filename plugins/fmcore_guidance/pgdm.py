"""Pseudoinverse guidance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor

from fmcore import GuidedCall
from fmcore_guidance.posterior import Linearization, Posterior, solve

__all__ = ["PGDM"]


@final
@dataclass(frozen=True)
class PGDM(Posterior):
    """The likelihood N(y; A D, noise^2 I + r^2 A A^T), with the same variance r^2 in every
    direction.

    r^2 = s^2 sigma^2 / (s^2 alpha^2 + sigma^2) is the variance of x1 given xt for data of variance
    s^2 = `spread`^2 in every direction, for which the method is exact; the paper has a spread of 1.
    `iterations` are those of conjugate gradients, which need no network.
    Source: Song et al. 2023, "Pseudoinverse-guided diffusion models for inverse problems", eq. 7;
    for flows, Pokle et al. 2023, arXiv 2310.04432.
    """

    spread: Annotated[float, Gt(0)] = 1.0
    iterations: Annotated[int, Gt(0)] = 20

    def change(self, call: GuidedCall, y: Tensor) -> tuple[Tensor, Tensor]:
        at, a = Linearization(call), self.operator
        s2 = self.spread**2
        r2 = s2 * at.sigma2 / (s2 * at.alpha2 + at.sigma2)

        def variance(w: Tensor) -> Tensor:
            return a.noise**2 * w + r2 * a.adjoint(a.apply(w))

        # A^T (noise^2 + r^2 A A^T)^-1 = (noise^2 + r^2 A^T A)^-1 A^T
        w = solve(variance, a.adjoint(y - a.apply(at.data)), self.iterations)
        return at.data, at.covariance(w)
