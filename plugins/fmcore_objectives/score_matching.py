"""Denoising score matching, weighted by sigma^2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from fmcore import Path
from fmcore_objectives.score import ScoreRegression

__all__ = ["ScoreMatching"]


@final
@dataclass(frozen=True)
class ScoreMatching(ScoreRegression):
    """E sigma^2 |s_t(xt) - score|^2: the squared error of the noise -sigma s_t.

    Source: eq. 42-43 with lambda = sigma^2; Song and Ermon 2019 (arXiv 1907.05600), section 4.2.
    """

    def weight(self, path: Path, t: Tensor) -> Tensor:
        return self.schedule(path, t).sigma ** 2
