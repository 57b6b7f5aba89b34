"""The schedule of an affine path as float64 numbers on the host, for plans and grids.

Notation: lam(t) = log(alpha/sigma), half the log-SNR; it increases with t, from -inf where
alpha = 0 to inf where sigma = 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from fmcore.errors import ComponentError
from fmcore.interfaces.gaussian import Gaussian
from fmcore.interfaces.path import AffinePath, Path

__all__ = ["MAX_ABS_LAMBDA", "Point", "Schedule"]

Array = NDArray[np.float64]

MAX_ABS_LAMBDA = 20.0
"""A larger |lam| counts as infinite.  A test of sigma == 0 would miss cos(pi/2), which is 6e-17 in
floating point, with lam = 37."""


@final
@dataclass(frozen=True)
class Point:
    """The schedule at one time, and the x1 and x0 predictions there as (weight of u, weight of x).

    They solve u = d_alpha x1 + d_sigma x0 and x = alpha x1 + sigma x0.
    """

    t: float
    alpha: float
    sigma: float
    d_alpha: float
    d_sigma: float
    sigma_d_sigma: float

    @property
    def lam(self) -> float:
        """log(alpha/sigma), infinite at the ends, even where rounding makes alpha or sigma differ
        from 0.
        """
        if self.sigma <= 0:
            return math.inf
        if self.alpha <= 0:
            return -math.inf
        # Not log(alpha / sigma), which overflows for tiny sigma.
        lam = math.log(self.alpha) - math.log(self.sigma)
        return lam if abs(lam) <= MAX_ABS_LAMBDA else math.copysign(math.inf, lam)

    @property
    def finite(self) -> bool:
        """Whether lam is finite: predictions are extrapolated only between such points."""
        return math.isfinite(self.lam)

    @property
    def data(self) -> tuple[float, float]:
        """x1 prediction = data[0] u + data[1] x."""
        if math.isfinite(self.d_sigma):
            w = self.sigma * self.d_alpha - self.d_sigma * self.alpha
            return self.sigma / w, -self.d_sigma / w
        # Expanded by sigma: the product sigma d_sigma is finite where d_sigma is not.
        w = self.sigma**2 * self.d_alpha - self.sigma_d_sigma * self.alpha
        return self.sigma**2 / w, -self.sigma_d_sigma / w

    @property
    def noise(self) -> tuple[float, float]:
        """x0 prediction = noise[0] u + noise[1] x."""
        if math.isfinite(self.d_sigma):
            w = self.sigma * self.d_alpha - self.d_sigma * self.alpha
            return -self.alpha / w, self.d_alpha / w
        w = self.sigma**2 * self.d_alpha - self.sigma_d_sigma * self.alpha
        return -self.sigma * self.alpha / w, self.sigma * self.d_alpha / w


@final
class Schedule:
    """The coefficients of `path`, evaluated in float64 on the CPU and cached."""

    def __init__(self, path: AffinePath) -> None:
        self.path = path
        self.t_min, self.t_max = path.t_min, path.t_max
        self._points: dict[float, Point] = {}

    @staticmethod
    def of(path: Path | None) -> Schedule | None:
        """Return the schedule of an affine path; None for any other."""
        if not isinstance(path, AffinePath):
            return None
        try:
            return _shared(path)
        except TypeError:  # a path that cannot be hashed
            return Schedule(path)

    def at(self, t: float) -> Point:
        """Return the point at time `t`."""
        t = float(t)
        if t not in self._points:
            alpha, sigma, d_alpha, d_sigma, product = (v.item() for v in self._columns([t]))
            self._points[t] = Point(t, alpha, sigma, d_alpha, d_sigma, product)
        return self._points[t]

    def lam(self, t: float) -> float:
        """Return log(alpha/sigma) at `t`."""
        return self.at(t).lam

    def inverse_lam(self, lam: Array) -> Array:
        """Return the times in [t_min, t_max] at which log(alpha/sigma) has these values."""
        times = self.path.inverse_log_snr(2 * torch.as_tensor(lam, dtype=torch.float64))
        return times.numpy().astype(np.float64)

    @property
    def temperature(self) -> float:
        """The standard deviation of x0.  Raises ComponentError unless the source is Gaussian."""
        if not isinstance(self.path.source, Gaussian):
            raise ComponentError(
                f"{type(self.path).__name__} starts from {type(self.path.source).__name__}: its "
                "score is a multiple of the x0 prediction only if x0 is Gaussian; use an ODE solver"
            )
        return self.path.source.temperature

    @property
    def straight(self) -> bool:
        """Whether alpha and sigma are affine in t, so that uniform times suit every solver."""
        d_alpha, d_sigma = self._speeds()
        return bool(np.ptp(d_alpha) < 1e-9 and np.ptp(d_sigma) < 1e-9)

    @property
    def even(self) -> bool:
        """Whether the speed of (alpha, sigma) varies by less than a factor of 2, as on `ot` and
        `cosine`.
        """
        speed = np.hypot(*self._speeds())
        return bool(speed.max() < 2 * speed.min())

    def _speeds(self) -> tuple[Array, Array]:
        inner = np.linspace(self.t_min, self.t_max, 67)[1:-1]  # the ends may be infinite
        _, _, d_alpha, d_sigma, _ = self._columns(inner)
        return d_alpha, d_sigma

    def _columns(self, t: Sequence[float] | Array) -> tuple[Array, ...]:
        with torch.no_grad():
            c = self.path.coefficients(torch.as_tensor(t, dtype=torch.float64))
        columns = (c.alpha, c.sigma, c.d_alpha, c.d_sigma, c.sigma_d_sigma)
        return tuple(column.detach().numpy().astype(np.float64) for column in columns)


@lru_cache(maxsize=64)
def _shared(path: AffinePath) -> Schedule:
    return Schedule(path)
