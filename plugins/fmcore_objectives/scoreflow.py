"""ScoreFlow: score matching with the likelihood weighting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from fmcore import Path
from fmcore_objectives.score import ScoreRegression

__all__ = ["ScoreFlow"]


@final
@dataclass(frozen=True)
class ScoreFlow(ScoreRegression):
    """E g^2 |s_t(xt) - score|^2, where g is the diffusion coefficient of the path's forward SDE.

    g^2 = sigma^2 d/dt log(alpha^2 / sigma^2): beta(1 - t) on the VP path, -d(sigma^2)/dt on VE, as
    docs/maths.md derives.  It is infinite where alpha is 0, as at t = 0 of `ot`, so that such paths
    need a `time_min` > 0.
    Source: eq. 42-43 with lambda = beta; Song et al. 2021 (arXiv 2101.09258), Theorem 1.
    """

    def weight(self, path: Path, t: Tensor) -> Tensor:
        c = self.schedule(path, t)
        return 2 / c.alpha * (c.sigma**2 * c.d_alpha - c.sigma_d_sigma * c.alpha)
