"""A straight path with exponentially growing speed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
from fmcore import AffinePath, Coefficients
from torch import Tensor

__all__ = ["EveryPath"]


@final
@dataclass(frozen=True)
class EveryPath(AffinePath):
    """A straight line from noise to data, with speed proportional to exp(rate t).

    `coefficients` defines the path: alpha and sigma of xt = alpha(t) x1 + sigma(t) x0, and their
    derivatives with respect to t.
    """

    rate: Annotated[float, Gt(0)] = 1.0

    def coefficients(self, t: Tensor) -> Coefficients:
        whole = math.expm1(self.rate)  # expm1, because exp(rate) - 1 loses digits for small rates
        alpha = torch.expm1(self.rate * t) / whole
        sigma = -torch.expm1(self.rate * (t - 1)) * math.exp(self.rate) / whole  # 1 - alpha
        speed = self.rate * torch.exp(self.rate * t) / whole
        return Coefficients(alpha=alpha, sigma=sigma, d_alpha=speed, d_sigma=-speed)
