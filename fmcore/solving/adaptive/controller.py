"""Step sizes from errors: r <= 1 accepts a step; the next follows from r and the r before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from fmcore.solving.evaluation import constant

__all__ = ["Controller", "Verdict"]

LARGEST_RATIO = 1e10  # what an error that is not finite counts as
SMALLEST_RATIO = 1e-10  # far below anything that changes a factor
REMEMBERED_RATIO = 1e-4  # a step that was far too careful should not count for ever.  HNW I, II.4


class Verdict(NamedTuple):
    """Whether to `accept`, and the `factor` for the step size; `memory` and `limit` go into the
    next judgement.
    """

    accept: Tensor
    factor: Tensor
    memory: Tensor
    limit: Tensor


@final
@dataclass(frozen=True)
class Controller:
    """factor = clip(safety r^(-(i + p)/k) r_prev^(p/k), shortest, longest), k = the error's order +
    1.

    i = 1, p = 0 is the classical I controller.  The default is PI: fewer rejections.  After a
    rejection the I factor applies, at most 1, and the step that follows it does not grow either.
    Computed in logarithms. Source: Hairer, Norsett, Wanner I, II.4; Soderlind 2003.
    """

    i: float = 0.3
    p: float = 0.4
    safety: float = 0.9
    shortest: float = 0.2
    longest: float = 10.0

    def start(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Memory and limit before the first step: r_prev = 1, and any growth."""
        return (
            torch.full_like(like, math.log(self.safety)),
            torch.full_like(like, math.log(self.longest)),
        )

    def next(
        self, ratio: float, log_previous: float, limit: float, k: int
    ) -> tuple[float, float, float]:
        """The same for a number on the host: the factor; log r_prev and limit for the next."""
        if not ratio < LARGEST_RATIO:
            ratio = LARGEST_RATIO
        log_ratio = math.log(max(ratio, SMALLEST_RATIO))
        if ratio <= 1:
            exponent = (self.p * log_previous - (self.i + self.p) * log_ratio) / k
            log_previous, following = max(log_ratio, math.log(REMEMBERED_RATIO)), self.longest
        else:
            exponent, following = -log_ratio / k, 1.0
        factor = min(self.safety * math.exp(exponent), limit)
        return max(factor, self.shortest), log_previous, following

    def judge(self, ratio: Tensor, memory: Tensor, limit: Tensor, k: int) -> Verdict:
        """Judge steps by their error `ratio`; what is not finite rejects."""
        safety, none, growth = (
            constant(math.log(factor), ratio.dtype, ratio.device)
            for factor in (self.safety, 1.0, self.longest)
        )
        ratio = ratio.nan_to_num(nan=LARGEST_RATIO, posinf=LARGEST_RATIO)
        accept = ratio <= constant(1.0, ratio.dtype, ratio.device)
        log_ratio = ratio.clamp_min_(SMALLEST_RATIO).log_()
        pi = torch.add(memory, log_ratio, alpha=-(self.i + self.p) / k)
        careful = torch.add(safety, log_ratio, alpha=-1 / k)
        log_factor = torch.minimum(torch.where(accept, pi, careful), limit)
        remembered = log_ratio.clamp_min_(math.log(REMEMBERED_RATIO))
        return Verdict(
            accept=accept,
            factor=log_factor.clamp_min_(math.log(self.shortest)).exp_(),
            memory=torch.where(accept, torch.add(safety, remembered, alpha=self.p / k), memory),
            limit=torch.where(accept, growth, none),
        )
