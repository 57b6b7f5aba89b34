"""The noise schedule of a diffusion model, from the betas of its discrete steps.

Notation: tau = 0 .. T - 1 counts steps from the data; alpha_bar(tau) is the product of 1 - beta up
to tau.  Computed in float64; diffusers computes in float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["BetaSchedule", "betas_of", "lam_of"]

Array = NDArray[np.float64]

BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]

MOST = 0.999
"""The largest beta of the cosine schedule.  Nichol and Dhariwal 2021, section 3.2."""

OFFSET = 0.008
"""s of the cosine schedule, eq. 17 there."""


def betas_of(schedule: BetaSchedule, start: float, end: float, steps: int) -> Array:
    """Return `(steps,)` betas: `linear` from `start` to `end`, `scaled_linear` with linear square
    roots, or the cosine schedule, which reads neither.
    """
    if schedule == "linear":
        return np.linspace(start, end, steps)
    if schedule == "scaled_linear":
        return np.square(np.linspace(math.sqrt(start), math.sqrt(end), steps))
    s = np.arange(steps + 1) / steps
    alpha_bar = np.square(np.cos((s + OFFSET) / (1 + OFFSET) * math.pi / 2))
    return np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], MOST)


def lam_of(betas: Sequence[float] | Array, zero_snr: bool) -> Array:
    """Return log(alpha / sigma) at every tau.

    `zero_snr` shifts and scales alpha to 0 at the last tau, where the result is -inf, and leaves it
    unchanged at the first (arXiv 2305.08891, algorithm 1).
    """
    log_alpha = np.log1p(-np.asarray(betas, np.float64)).cumsum() / 2
    if zero_snr:
        alpha = np.exp(log_alpha)
        alpha = (alpha - alpha[-1]) * (alpha[0] / (alpha[0] - alpha[-1]))
        with np.errstate(divide="ignore"):
            log_alpha = np.log(alpha)
    log_sigma = np.log(-np.expm1(2 * log_alpha)) / 2
    lam: Array = log_alpha - log_sigma
    return lam
