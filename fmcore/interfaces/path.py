"""Probability paths from noise to data.

Notation: x0 noise, x1 data, t from 0 to 1, xt = alpha(t) x1 + sigma(t) x0, ut = d xt / dt; d_ is
d/dt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.gaussian import Gaussian, Scaled
from fmcore.interfaces.options import Options
from fmcore.interfaces.source import Source
from fmcore.interfaces.tensors import append_dims, at_least_float32

__all__ = ["AffinePath", "Coefficients", "Path", "PathSample", "Quantity"]

Quantity = Literal["velocity", "data", "noise", "score", "average_velocity"]
"""What a network may predict.  `AffinePath.convert` turns the first four into one another; the
average velocity from t to a later time is that of a flow map."""


@dataclass(frozen=True)
class PathSample:
    """One draw of a conditional path: everything a loss may need.  `t` is `(batch,)`, the rest
    `(batch, *shape)`.

    Raises ComponentError for integers, such as the levels of images.
    """

    x0: Tensor
    x1: Tensor
    t: Tensor
    xt: Tensor
    ut: Tensor

    def __post_init__(self) -> None:
        # here, for every path: xt has x1's dtype, and integers would silently round it
        for name, x in (("x0", self.x0), ("x1", self.x1)):
            if not x.is_floating_point():
                raise ComponentError(
                    f"a path connects points, floating-point numbers, and {name} is {x.dtype}: "
                    "turn the levels of images into points of [-1, 1] with fmcore.from_levels(k, "
                    "levels, dequantize, generator)"
                )


class Path(Options, ABC):
    """A conditional probability path p_t(x | x0, x1) and the velocity that generates it.

    Laws:
    * `ut` is d xt / dt at fixed (x0, x1, z), finite for t in the closed interval [t_min, t_max];
      trainers and solvers stay inside it.
    * Row i of a sample depends on row i of the arguments alone.
    * Coefficients are computed in t's dtype, at least float32; results have x1's dtype and device.
    * `prior()` is the distribution of x at t_min, as far as it does not depend on the data.
    """

    kind: ClassVar[str] = "path"

    @property
    def t_min(self) -> float:
        """The first time at which ut is finite."""
        return 0.0

    @property
    def t_max(self) -> float:
        """The last time at which ut is finite."""
        return 1.0

    @abstractmethod
    def sample(self, x0: Tensor, x1: Tensor, t: Tensor, z: Tensor | None = None) -> PathSample:
        """The point and the velocity at time `t`, `(batch,)`, of the path from `x0` to `x1`.

        `z`, `(batch, *shape)`, is a draw of `bridge`; it is given only where there is a bridge.
        """

    def bridge(self) -> Source | None:
        """Where the third random number of the path is drawn from, as in a Brownian bridge; None
        for a path that is determined by its ends.
        """
        return None

    def convert(
        self, value: Tensor, xt: Tensor, t: Tensor, *, source: Quantity, target: Quantity
    ) -> Tensor:
        """The quantity `target` that belongs to `value` of quantity `source` at (xt, t).

        Raises ComponentError where this path does not define it; by default, for every change.
        """
        if source == target:
            return value
        raise ComponentError(
            f"cannot turn a {source} prediction into {target}: {type(self).__name__} is not an "
            "affine path"
        )

    @abstractmethod
    def noise(self) -> Source:
        """Where the x0 of `sample` is drawn from."""

    @abstractmethod
    def prior(self) -> Source:
        """Where a flow along this path starts: the distribution of x at t_min."""


@dataclass(frozen=True)
class Coefficients:
    """alpha, sigma and their time derivatives, each of t's shape.

    `sigma_d_sigma` is the product sigma * d_sigma; give it where d_sigma is infinite and the
    product is not.
    """

    alpha: Tensor
    sigma: Tensor
    d_alpha: Tensor
    d_sigma: Tensor
    sigma_d_sigma: Tensor = None  # type: ignore[assignment]  # filled in below, never None once built

    def __post_init__(self) -> None:
        if self.sigma_d_sigma is None:
            object.__setattr__(self, "sigma_d_sigma", self.sigma * self.d_sigma)


@dataclass(frozen=True)
class AffinePath(Path):
    """xt = alpha(t) x1 + sigma(t) x0: an author writes `coefficients`, and nothing else.

    `source` is where x0 is drawn from.  Laws beside those of Path: log_snr is strictly increasing;
    d_alpha and d_sigma are the derivatives of alpha and sigma.
    """

    source: Source = field(default=Gaussian(), kw_only=True)

    @abstractmethod
    def coefficients(self, t: Tensor) -> Coefficients:
        """The schedule at times `t` of any shape, in t's dtype, on t's device."""

    @final
    def sample(self, x0: Tensor, x1: Tensor, t: Tensor, z: Tensor | None = None) -> PathSample:
        """The point and the velocity at time `t`, `(batch,)`.  Source: eq. 11 and 14."""
        c = self.coefficients(at_least_float32(t))
        alpha, sigma, d_alpha, d_sigma = (
            append_dims(v, x1) for v in (c.alpha, c.sigma, c.d_alpha, c.d_sigma)
        )
        xt = alpha * x1 + sigma * x0
        ut = d_alpha * x1 + d_sigma * x0
        return PathSample(x0=x0, x1=x1, t=t, xt=xt.to(x1.dtype), ut=ut.to(x1.dtype))

    @final
    def noise(self) -> Source:
        """`source`."""
        return self.source

    @final
    def prior(self) -> Source:
        """sigma(t_min) times a draw of `source`."""
        sigma = float(self.coefficients(torch.tensor(self.t_min, dtype=torch.float64)).sigma)
        return self.source if sigma == 1.0 else Scaled(self.source, sigma)

    @final
    def log_snr(self, t: Tensor) -> Tensor:
        """log(alpha^2 / sigma^2) at `t` of any shape: -inf where alpha is 0, inf where sigma is."""
        c = self.coefficients(at_least_float32(t))
        return 2 * (c.alpha.log() - c.sigma.log())

    @final
    def inverse_log_snr(self, log_snr: Tensor) -> Tensor:
        """The time in [t_min, t_max] at which `log_snr` is reached, in its shape and dtype.

        A value that the path does not reach gives the nearer end.  Found in float64 by bisection,
        which holds for any increasing schedule; relative precision lasts down to times of 1e-14.
        """
        wanted = log_snr.double()
        low = torch.full_like(wanted, self.t_min)
        high = torch.full_like(wanted, self.t_max)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = self.log_snr(middle) < wanted
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        at_the_end = self.log_snr(torch.full_like(wanted, self.t_min)) >= wanted
        return torch.where(at_the_end, self.t_min, high).to(log_snr.dtype)

    @final
    def convert(
        self, value: Tensor, xt: Tensor, t: Tensor, *, source: Quantity, target: Quantity
    ) -> Tensor:
        """The quantity `target` that goes with `value` of quantity `source` at (xt, t), in value's
        dtype: target = a(t) value + b(t) xt.

        `value` and `xt` are `(batch, *shape)`, t is `(batch,)`.  Linear, so it holds for one drawn
        pair and for conditional expectations given xt alike.  Where the value says no more than xt
        does, the other half of the pair is 0, its expectation: the noise at sigma = 0, where
        xt = alpha x1; the data, taken as centred, at alpha = 0, where xt = sigma x0.  The score at
        sigma = 0 is infinite.  Raises ComponentError for a score unless x0 is Gaussian.
        """
        if source == target:
            return value
        if "average_velocity" in (source, target):
            raise ComponentError(
                f"cannot turn {source} into {target}: an average velocity belongs to two times"
            )
        a, b = self._weights(at_least_float32(t), source, target)
        converted = append_dims(a, xt) * value + append_dims(b, xt) * xt
        return converted.to(value.dtype)

    def _weights(self, t: Tensor, source: Quantity, target: Quantity) -> tuple[Tensor, Tensor]:
        """a and b of `convert`, by Cramer's rule: every quantity is a row (of x1, of x0), as xt is
        the row (alpha, sigma).
        """
        c = self.coefficients(t)
        given, given_scale = self._row(source, c)
        wanted, wanted_scale = self._row(target, c)
        xt = (c.alpha, c.sigma)
        both = _det(given, xt)
        a, b = _det(wanted, xt) / both, _det(given, wanted) / both
        # Where both are the same multiple of x0 (alpha = 0) or of x1 (sigma = 0), xt is enough.
        lost = both == 0
        known = torch.where(c.sigma == 0, wanted[0], wanted[1])
        a = torch.where(lost, 0.0, a)
        b = torch.where(lost, known / (c.alpha + c.sigma), b)
        return wanted_scale * a / given_scale, wanted_scale * b

    def _row(self, quantity: Quantity, c: Coefficients) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """(of x1, of x0) and a factor: quantity = factor * (row . (x1, x0))."""
        one, zero = torch.ones_like(c.alpha), torch.zeros_like(c.alpha)
        if quantity == "data":
            return (one, zero), one
        if quantity == "noise":
            return (zero, one), one
        if quantity == "score":
            return (zero, one), -1 / (c.sigma * self._noise_variance())
        # sigma u, where d_sigma is infinite and sigma d_sigma is not
        infinite = c.d_sigma.isinf()
        row = (
            torch.where(infinite, c.sigma * c.d_alpha, c.d_alpha),
            torch.where(infinite, c.sigma_d_sigma, c.d_sigma),
        )
        return row, torch.where(infinite, 1 / c.sigma, one)

    def _noise_variance(self) -> float:
        if not isinstance(self.source, Gaussian):
            raise ComponentError(
                f"{type(self).__name__} starts from {type(self.source).__name__}: the score of its "
                "marginals is a multiple of the noise only if x0 is Gaussian; "
                "predict velocity, data or noise instead"
            )
        return self.source.temperature**2


BISECTIONS = 100
"""Halvings of [0, 1]: a bracket narrower than the spacing of float64 at any time above 1e-14."""


def _det(p: tuple[Tensor, Tensor], q: tuple[Tensor, Tensor]) -> Tensor:
    return p[0] * q[1] - p[1] * q[0]
