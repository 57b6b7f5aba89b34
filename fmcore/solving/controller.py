"""Step sizes from errors: r <= 1 accepts a step; the next follows from r and the r before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

__all__ = ["Controller", "Verdict"]

SMALLEST_RATIO = 1e-10  # keeps log(r) finite; far below anything that changes a factor
REMEMBERED_RATIO = 1e-4  # a step that was far too careful should not count for ever.  HNW I, II.4


class Verdict(NamedTuple):
    """`accept` and the `factor` for the step size; `log_ratio` is remembered where the step was
    accepted.
    """

    accept: Tensor
    factor: Tensor
    log_ratio: Tensor


@final
@dataclass(frozen=True)
class Controller:
    """factor = clip(safety r^(-(i + p)/k) r_prev^(p/k), shortest, longest), k = the error's order +
    1.

    i = 1, p = 0 is the classical I controller.  The default is PI: fewer rejections.  After a
    rejection the I factor applies, at most 1, and the step that follows it does not grow either.
    Source: Hairer, Norsett, Wanner I, II.4; Soderlind 2003.
    """

    i: float = 0.3
    p: float = 0.4
    safety: float = 0.9
    shortest: float = 0.2
    longest: float = 10.0

    def judge(self, ratio: Tensor, log_previous: Tensor, grow: Tensor, k: int) -> Verdict:
        """Judge steps by their error `ratio`; NaN rejects.  `grow` is 1 where the last step was
        accepted, else 0.
        """
        accept = ratio <= 1
        log_ratio = ratio.clamp_min(SMALLEST_RATIO).log_()
        careful = log_ratio * (-1 / k)
        pi = log_ratio * (-(self.i + self.p) / k) + log_previous * (self.p / k)
        factor = torch.where(accept, pi, careful).exp_().mul_(self.safety)
        longest = torch.where(accept & grow, self.longest, 1.0)
        factor = torch.minimum(factor, longest).clamp_min_(self.shortest)
        factor = factor.nan_to_num_(nan=self.shortest)
        return Verdict(accept, factor, log_ratio.clamp_min_(math.log(REMEMBERED_RATIO)))
