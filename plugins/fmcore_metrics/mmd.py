"""The squared maximum mean discrepancy (MMD) from the means of a kernel.

Source: Gretton et al. 2012, "A kernel two-sample test", eq. 3 (unbiased) and 5 (biased).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

__all__ = ["KernelMeans", "squared_mmd_of"]

SPREADS = 10
"""How many times the spread of the data that of the samples must exceed to bound the estimate."""


@final
@dataclass(frozen=True)
class KernelMeans:
    """Means of a kernel within one set: `itself` of k(x, x), `pairs` of k(x, x') for x' != x."""

    itself: float
    pairs: float

    @property
    def spread(self) -> float:
        """The mean squared distance of two members in the kernel's space, halved."""
        return self.itself - self.pairs


def squared_mmd_of(fake: KernelMeans, real: KernelMeans, across: float, count: int) -> float:
    """Return the unbiased estimate for two sets of `count` rows; `across` is the mean of k(x, y).

    A single exploded sample cancels out of the unbiased estimate, which would then be as small as
    for good samples.  It does not cancel out of the biased estimate, which exceeds the unbiased one
    by (spread of the samples + spread of the data) / count.  The result is therefore at least
    (spread of the samples - 10 spread of the data) / count.  Since the biased estimate is never
    negative, this bound changes nothing unless the samples spread over 4.5 times as far as the
    data.  NaN where the means are not finite.
    """
    unbiased = fake.pairs + real.pairs - 2 * across
    bound = (fake.spread - SPREADS * real.spread) / count
    if not math.isfinite(unbiased) or math.isnan(bound):
        return math.nan
    return max(unbiased, bound)
