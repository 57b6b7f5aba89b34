"""EDM's log-normal noise levels as times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from fmcore import Time
from fmcore_times.logit_normal import logit_normal_density, logit_normal_times

__all__ = ["EDM"]


@final
@dataclass(frozen=True)
class EDM(Time):
    """ln sigma is N(log_mean, log_std^2), with t = 1 / (1 + sigma).

    On the path `linear`, xt / t = x1 + sigma x0 with sigma = (1 - t) / t, so that t has the noise
    level sigma in EDM's sense; the same holds for `ot` up to its sigma_min.  Along another path the
    distribution of t is the same, and sigma is not the noise level.
    Source: Karras et al. 2022 (arXiv 2206.00364), table 1 (P_mean, P_std).
    """

    log_mean: Annotated[float, Ge(-10), Le(10)] = -1.2
    log_std: Annotated[float, Gt(0), Le(10)] = 1.2

    def sample(self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
        # logit(t) = -ln sigma
        return logit_normal_times(n, generator, -self.log_mean, self.log_std)

    def density(self, t: Tensor) -> Tensor:
        return logit_normal_density(t, -self.log_mean, self.log_std)
