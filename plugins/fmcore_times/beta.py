"""Beta-distributed times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt, Le
from scipy.special import betaincinv
from torch import Tensor

from fmcore_times.inverse import InverseTime

__all__ = ["Beta"]


@final
@dataclass(frozen=True)
class Beta(InverseTime):
    """Density t^(alpha - 1) (1 - t)^(beta - 1) / B(alpha, beta).

    With `beta` above `alpha` more times are near the noise; values below 1 give an end an infinite
    density.  The default is the one of flow-matching policies.
    Source: Black et al. 2024 (arXiv 2410.24164), appendix B, with s = 1.
    """

    # above 100 nearly all draws are in one eighth of the interval
    alpha: Annotated[float, Gt(0), Le(100)] = 1.0
    beta: Annotated[float, Gt(0), Le(100)] = 1.5

    def quantile(self, u: Tensor) -> Tensor:
        return torch.from_numpy(betaincinv(self.alpha, self.beta, u.numpy()))

    def density(self, t: Tensor) -> Tensor:
        a, b = self.alpha, self.beta
        log_norm = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
        return t ** (a - 1) * (1 - t) ** (b - 1) * math.exp(-log_norm)
