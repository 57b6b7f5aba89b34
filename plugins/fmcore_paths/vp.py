"""The variance-preserving diffusion path of Lipman et al. 2023, section 4.1, example I."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt, Le
from torch import Tensor

from fmcore import AffinePath, Coefficients, ComponentError

__all__ = ["VPPath"]


@final
@dataclass(frozen=True)
class VPPath(AffinePath):
    """alpha = exp(-T/2), sigma^2 = 1 - exp(-T), with T the integral of beta over [0, 1 - t].

    beta increases linearly from `beta_min` at the data to `beta_max` at the noise.  The velocity is
    infinite at t = 1, so the interval ends at 1 - 1e-5, as in the paper's training, sampling and
    likelihoods.  alpha(0) is 6.6e-3 by default, so x at t = 0 is only nearly N(0, I).
    Source: eq. 18-19, App. E.1; Song et al. 2021 (arXiv 2011.13456), eq. 32-33.
    """

    beta_min: Annotated[float, Gt(0)] = 0.1
    beta_max: Annotated[float, Gt(0), Le(1000)] = 20.0  # above, alpha is 0 in float64 at the noise

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta_max < self.beta_min:
            raise ComponentError(
                f"VPPath: beta_max must be at least beta_min = {self.beta_min}, got {self.beta_max}"
            )

    @property
    def t_max(self) -> float:
        return 1 - 1e-5

    def coefficients(self, t: Tensor) -> Coefficients:
        s = 1 - t  # the time of diffusion papers
        beta = self.beta_min + s * (self.beta_max - self.beta_min)
        big_t = s * self.beta_min + s * s / 2 * (self.beta_max - self.beta_min)
        alpha = (-big_t / 2).exp()
        sigma = (-(-big_t).expm1()).sqrt()  # 1 - exp(-T) cancels near t = 1
        sigma_d_sigma = -beta / 2 * alpha * alpha  # from sigma^2 = 1 - alpha^2; finite at t = 1
        return Coefficients(
            alpha=alpha,
            sigma=sigma,
            d_alpha=beta / 2 * alpha,
            d_sigma=sigma_d_sigma / sigma,
            sigma_d_sigma=sigma_d_sigma,
        )
