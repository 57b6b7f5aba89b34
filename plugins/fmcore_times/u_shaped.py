"""Times with more density at both ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt, Le
from torch import Tensor

from fmcore_times.inverse import InverseTime

__all__ = ["UShaped"]


@final
@dataclass(frozen=True)
class UShaped(InverseTime):
    """Density proportional to exp(rate t) + exp(rate (1 - t)), that is to cosh(rate (t - 1/2)).

    For a second flow trained on the pairs of a first (`reflow`), whose error is largest at the
    ends.
    Source: Lee et al. 2024 (arXiv 2405.20320), section 4.1; its default rate is 4.
    """

    # beyond 15 less than a thousandth of the draws is in the middle quarter
    rate: Annotated[float, Gt(0), Le(15)] = 4.0

    def quantile(self, u: Tensor) -> Tensor:
        # the distribution function is 1/2 + sinh(rate (t - 1/2)) / (2 sinh(rate / 2))
        return 0.5 + torch.asinh((2 * u - 1) * math.sinh(self.rate / 2)) / self.rate

    def density(self, t: Tensor) -> Tensor:
        width = 2 * math.sinh(self.rate / 2) / self.rate
        return torch.cosh(self.rate * (t - 0.5)) / width
