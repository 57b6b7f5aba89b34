"""Solvers that add fresh noise on the way and keep the flow's marginals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from annotated_types import Ge

from fmcore.errors import ComponentError
from fmcore.solving.evaluation import label_of
from fmcore.solving.fixed.solver import FixedSolver

__all__ = ["StochasticSolver"]


@dataclass(frozen=True)
class StochasticSolver(FixedSolver):
    """A fixed solver of dx = [u + g^2 score / 2] dt + g dW, which for any g(t) >= 0 has the
    marginals of dx = u dt.

    `noise` >= 0 scales g; at 0 the solve is the ODE's.  g goes to 0 with sigma, and the last step
    is the ODE's.  The score is read off the velocity, which needs an affine path, a Gaussian x0
    independent of x1 (no optimal-transport pairing), and a solve from noise to data.  Draw k of
    sample i is a function of (seed, i, k) alone.

    An author's `trace` calls `plan.fresh()` for a new x0 and scales it.  Source: Song et al., arXiv
    2011.13456; Ma et al., arXiv 2401.08740.
    """

    needs_path: ClassVar[bool] = True
    needs_score: ClassVar[bool] = True
    stochastic: ClassVar[bool] = True
    most_noise: ClassVar[float] = math.inf

    noise: Annotated[float, Ge(0)] = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.noise <= self.most_noise and math.isfinite(self.noise)):
            most = "" if math.isinf(self.most_noise) else f" and at most {self.most_noise:g}"
            raise ComponentError(
                f"{label_of(self)}: noise must be at least 0{most}, got {self.noise}"
            )
