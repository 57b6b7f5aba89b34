"""The variance-preserving path of a diffusion model trained at discrete times.

Notation: tau = 0 .. T - 1 counts diffusion steps from the data, as DDPM does; T t = T - 1 - tau
counts them from the noise; lam = log(alpha / sigma).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, final

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from scipy.interpolate import CubicSpline
from torch import Tensor

from fmcore import AffinePath, Coefficients, ComponentError
from fmcore_pretrained.betas import Array, BetaSchedule, betas_of, lam_of

__all__ = ["DiscreteVP"]


LEAST_LOG_ALPHA_BAR = -69.0
"""The smallest log alpha_bar: 1e-30, which float32 holds with its square root and derivative."""


@final
@dataclass(frozen=True)
class DiscreteVP(AffinePath):
    """alpha^2 = alpha_bar(tau), sigma^2 = 1 - alpha^2: exact at the T times of training, with lam a
    spline between them.

    tau = T (1 - t) - 1: t = 0 is the noisiest step, and t = 1 is one step beyond tau = 0, where
    sigma reaches 0 at a finite speed, as in the last step of DDIM.  The options are those of
    diffusers' scheduler_config.json; `trained_betas` gives the betas explicitly, and
    `rescale_betas_zero_snr` makes alpha 0 at t = 0.  The `linear` schedule approximates path `vp`.
    Raises ComponentError for betas outside (0, 1) and for a schedule with alpha_bar below 1e-30.
    Source: Ho et al. 2020 (arXiv 2006.11239), eq. 4; Nichol and Dhariwal 2021 (arXiv 2102.09672),
    eq. 17.
    """

    beta_schedule: BetaSchedule = "linear"
    beta_start: Annotated[float, Gt(0), Lt(1)] = 1e-4
    beta_end: Annotated[float, Gt(0), Lt(1)] = 0.02
    num_train_timesteps: Annotated[int, Ge(5)] = 1000
    trained_betas: tuple[float, ...] | None = None
    rescale_betas_zero_snr: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trained_betas is not None:
            object.__setattr__(self, "trained_betas", tuple(map(float, self.trained_betas)))
            if len(self.trained_betas) != self.num_train_timesteps:
                raise ComponentError(
                    f"DiscreteVP: trained_betas holds {len(self.trained_betas)} numbers; "
                    f"num_train_timesteps = {self.num_train_timesteps} requires as many"
                )
            if not all(0 < beta < 1 for beta in self.trained_betas):
                raise ComponentError("DiscreteVP: trained_betas must be between 0 and 1")
        if (log_alpha_bar := float(np.log1p(-self._betas()).sum())) < LEAST_LOG_ALPHA_BAR:
            raise ComponentError(
                f"DiscreteVP: log alpha_bar is {log_alpha_bar:.0f} at the noise, below "
                f"{LEAST_LOG_ALPHA_BAR:.0f}, so that alpha is 0 in float32: choose smaller betas, "
                "such as a smaller beta_end"
            )

    def coefficients(self, t: Tensor) -> Coefficients:
        steps = self.num_train_timesteps
        table = _table(self, t.dtype, t.device)
        lam, d_lam = table.between(steps * t)
        alpha, sigma = (2 * lam).sigmoid().sqrt(), (-2 * lam).sigmoid().sqrt()
        found = Coefficients(
            alpha=alpha,
            sigma=sigma,
            d_alpha=steps * d_lam * alpha * sigma * sigma,
            d_sigma=-steps * d_lam * sigma * alpha * alpha,
        )
        to_go = steps * (1 - t)  # in steps; steps - steps t cancels at t = 1
        sigma, d_sigma = _towards_zero(to_go, *table.last)
        alpha = (1 - sigma * sigma).sqrt()
        end = (alpha, sigma, steps * d_sigma * sigma / alpha, -steps * d_sigma)
        found = _replaced(found, to_go < 1, end)
        if self.rescale_betas_zero_snr:
            alpha, d_alpha = _towards_zero(steps * t, *table.first)
            sigma = (1 - alpha * alpha).sqrt()
            start = (alpha, sigma, steps * d_alpha, -steps * d_alpha * alpha / sigma)
            found = _replaced(found, steps * t < 1, start)
        return found

    def lam(self) -> Array:
        """Return log(alpha / sigma) at t = 0, 1/T .. 1 - 1/T."""
        return lam_of(self._betas(), self.rescale_betas_zero_snr)[::-1]

    def _betas(self) -> Array:
        if self.trained_betas is not None:
            return np.asarray(self.trained_betas)
        return betas_of(
            self.beta_schedule, self.beta_start, self.beta_end, self.num_train_timesteps
        )


@final
@dataclass(frozen=True)
class _Table:
    """lam between knots, as the coefficients of cubics `(4, T - 1)`, and the arguments of
    `_towards_zero` for alpha before the `first` knot and for sigma after the `last`.
    """

    cubics: Tensor
    first: tuple[float, float]
    last: tuple[float, float]

    def between(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return lam at `y` steps from the noise, and d lam / dy."""
        cell = y.detach().floor().clamp(0, self.cubics.shape[1] - 1)
        u = y - cell
        c0, c1, c2, c3 = self.cubics[:, cell.long()]
        return ((c3 * u + c2) * u + c1) * u + c0, (3 * c3 * u + 2 * c2) * u + c1


def _towards_zero(u: Tensor, at_one: float, bend: float) -> tuple[Tensor, Tensor]:
    """Return at_one u exp(bend (u - 1)), 0 at u = 0, and its derivative, for u in [0, 1]."""
    u = u.clamp(0, 1)
    scale = at_one * (bend * (u - 1)).exp()
    return scale * u, scale * (1 + bend * u)


def _replaced(
    c: Coefficients, where: Tensor, by: tuple[Tensor, Tensor, Tensor, Tensor]
) -> Coefficients:
    old = (c.alpha, c.sigma, c.d_alpha, c.d_sigma)
    return Coefficients(*(torch.where(where, new, was) for new, was in zip(by, old, strict=True)))


@lru_cache(maxsize=32)
def _table(path: DiscreteVP, dtype: torch.dtype, device: torch.device) -> _Table:
    lam = np.ascontiguousarray(path.lam())
    infinite = int(np.isinf(lam[0]))  # knots with infinite lam: one with rescale_betas_zero_snr
    slopes = _increasing_slopes(lam[infinite:])
    cubics = np.zeros((4, len(lam) - 1))
    cubics[:, infinite:] = _hermite(lam[infinite:], slopes)
    cubics[0, :infinite] = lam[infinite]
    # d log alpha / d lam = sigma^2, d log sigma / d lam = -alpha^2: the slope is continuous here
    alpha2, sigma2 = (
        1 / (1 + np.exp(-2 * lam[[infinite, -1]])),
        1 / (1 + np.exp(2 * lam[[infinite, -1]])),
    )
    return _Table(
        torch.tensor(cubics, dtype=dtype, device=device),
        first=(float(np.sqrt(alpha2[0])), float(sigma2[0] * slopes[0] - 1)),
        last=(float(np.sqrt(sigma2[1])), float(alpha2[1] * slopes[-1] - 1)),
    )


def _increasing_slopes(lam: Array) -> Array:
    """Return a slope per knot for which the cubics increase.

    This is the slope of the cubic spline, limited to at most 3 times the smaller neighbouring
    secant, which is sufficient for a monotone cubic (Fritsch and Carlson 1980).
    """
    slopes = CubicSpline(np.arange(len(lam)), lam)(np.arange(len(lam)), 1)
    secants = np.diff(lam)
    least = np.minimum(np.append(secants, np.inf), np.insert(secants, 0, np.inf))
    slopes_: Array = np.clip(slopes, 1e-3 * least, 3 * least)
    return slopes_


def _hermite(lam: Array, slopes: Array) -> Array:
    """Return the cubics `(4, cells)` through the knots with these slopes, lowest power first."""
    rise, left, right = np.diff(lam), slopes[:-1], slopes[1:]
    return np.stack([lam[:-1], left, 3 * rise - 2 * left - right, left + right - 2 * rise])
