"""Interface of probability paths from noise to data.

Notation: x0 noise, x1 data, t from 0 to 1, xt = alpha(t) x1 + sigma(t) x0, ut = d xt / dt; the
prefix d_ is d/dt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.gaussian import Gaussian, Scaled
from fmcore.interfaces.options import Options
from fmcore.interfaces.source import Source
from fmcore.interfaces.space import Euclidean, Space
from fmcore.interfaces.tensors import append_dims, at_least_float32

__all__ = ["AffinePath", "Coefficients", "Path", "PathSample", "Quantity"]

Quantity = Literal["velocity", "data", "noise", "score", "average_velocity", "posterior", "parts"]
"""What a network may predict.  `AffinePath.convert` turns the first four into one another; the
average velocity from t to a later time is that of a flow map.  The posterior of tokens is given as
logits, `(batch, *shape, classes)`.  `parts` are the velocities and posteriors of a product space,
flattened into one row."""


@dataclass(frozen=True)
class PathSample:
    """A point of a conditional path, with its velocity: `t` is `(batch,)`, the other tensors
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


PATHS_OF_SPACES = "'geodesic' (manifolds), 'mixture' (tokens) or 'product' (several parts)"
"""The built-in paths of points that are not in R^n, for messages."""


class Path(Options, ABC):
    """A conditional probability path p_t(x | x0, x1) and its velocity.

    Laws:
    * `ut` is d xt / dt at fixed (x0, x1, z), finite for t in the closed interval [t_min, t_max];
      trainers and solvers stay inside it.
    * Row i of a sample depends on row i of the arguments alone.
    * Coefficients are computed in t's dtype, at least float32; results have x1's dtype and device.
    * `prior()` is the distribution of x at t_min, without the part that depends on the data.
    """

    kind: ClassVar[str] = "path"

    leaps: ClassVar[bool] = False
    """Whether points jump instead of moving, as tokens do: the laws above on ut do not hold."""

    space: Space = Euclidean()
    """Where the points are."""

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
        """Return the point and the velocity at time `t`, `(batch,)`, of the path from `x0` to `x1`.

        `z`, `(batch, *shape)`, is a draw of `bridge`; it is given only where there is a bridge.
        """

    def on(self, space: Space) -> Self:
        """Return this path for data of `space`: by default itself, in its own space.

        Raises ComponentError where it has no points of `space`.
        """
        if space == self.space:
            return self
        raise ComponentError(
            f"path {type(self).__name__} has points of {type(self.space).__name__}, and the data "
            f"are points of {type(space).__name__}: use path {PATHS_OF_SPACES}"
        )

    def constrain(self, value: Tensor, xt: Tensor, quantity: Quantity) -> Tensor:
        """Return the value of `quantity` at `xt` that this path allows and that is nearest to
        `value`: a tangent vector, a point of the space.
        """
        if self.space.flat or not self.space.continuous:
            return value
        if quantity == "velocity":
            return self.space.tangent(xt, value)
        return self.space.project(value) if quantity == "data" else value

    def bridge(self) -> Source | None:
        """Where the third random number of the path is drawn from, as in a Brownian bridge; None
        for a path that is determined by its ends.
        """
        return None

    def convert(
        self, value: Tensor, xt: Tensor, t: Tensor, *, source: Quantity, target: Quantity
    ) -> Tensor:
        """Return the quantity `target` that belongs to `value` of quantity `source` at (xt, t).

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
        """Return the distribution of the x0 of `sample`."""

    @abstractmethod
    def prior(self) -> Source:
        """Return the distribution at the start of a flow along this path: that of x at t_min."""


@dataclass(frozen=True)
class Coefficients:
    """alpha, sigma and their time derivatives, each of t's shape.

    `sigma_d_sigma` is the product sigma * d_sigma, by default computed; set it where d_sigma is
    infinite and the product is not.
    """

    alpha: Tensor
    sigma: Tensor
    d_alpha: Tensor
    d_sigma: Tensor
    sigma_d_sigma: Tensor = None  # type: ignore[assignment]  # set by __post_init__

    def __post_init__(self) -> None:
        if self.sigma_d_sigma is None:
            object.__setattr__(self, "sigma_d_sigma", self.sigma * self.d_sigma)


@dataclass(frozen=True)
class AffinePath(Path):
    """A path xt = alpha(t) x1 + sigma(t) x0; an author writes only `coefficients`.

    `source` is the distribution of x0.  Further laws: log_snr is strictly increasing; d_alpha and
    d_sigma are the derivatives of alpha and sigma.
    """

    source: Source = field(default=Gaussian(), kw_only=True)

    @abstractmethod
    def coefficients(self, t: Tensor) -> Coefficients:
        """Return the schedule at times `t` of any shape, in t's dtype and on its device."""

    @final
    def sample(self, x0: Tensor, x1: Tensor, t: Tensor, z: Tensor | None = None) -> PathSample:
        """Return the point and the velocity at time `t`, `(batch,)`.  Source: eq. 11 and 14."""
        c = self.coefficients(at_least_float32(t))
        alpha, sigma, d_alpha, d_sigma = (
            append_dims(v, x1) for v in (c.alpha, c.sigma, c.d_alpha, c.d_sigma)
        )
        xt = alpha * x1 + sigma * x0
        ut = d_alpha * x1 + d_sigma * x0
        return PathSample(x0=x0, x1=x1, t=t, xt=xt.to(x1.dtype), ut=ut.to(x1.dtype))

    @final
    def noise(self) -> Source:
        """Return `source`."""
        return self.source

    @final
    def prior(self) -> Source:
        """Return the distribution of sigma(t_min) x0."""
        sigma = float(self.coefficients(torch.tensor(self.t_min, dtype=torch.float64)).sigma)
        return self.source if sigma == 1.0 else Scaled(self.source, sigma)

    @final
    def log_snr(self, t: Tensor) -> Tensor:
        """Return log(alpha^2 / sigma^2) at `t` of any shape: -inf where alpha is 0, inf where sigma
        is.
        """
        c = self.coefficients(at_least_float32(t))
        return 2 * (c.alpha.log() - c.sigma.log())

    @final
    def inverse_log_snr(self, log_snr: Tensor) -> Tensor:
        """Return the time in [t_min, t_max] with this `log_snr`, in its shape and dtype.

        A value beyond the path's range gives the nearer end.  Computed in float64 by bisection,
        which needs only an increasing schedule, with full relative precision above 1e-14.
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
        """Return the quantity `target` from the quantity `source` at (xt, t), in the dtype of
        `value`: target = a(t) value + b(t) xt.

        `value` and `xt` are `(batch, *shape)`, t is `(batch,)`.  The map is affine, so it holds for
        a pair (x0, x1) and for conditional expectations given xt.  Where `value` is a multiple of
        xt, the unknown half of the pair is replaced by 0: the noise at sigma = 0, where
        xt = alpha x1, and the data, assumed centred, at alpha = 0, where xt = sigma x0.  The score
        at sigma = 0 is infinite.  Raises ComponentError for a score unless x0 is Gaussian.
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
        """Return a and b of `convert`, by Cramer's rule: each quantity is a row of weights of
        (x1, x0), and xt is the row (alpha, sigma).
        """
        c = self.coefficients(t)
        given, given_scale = self._row(source, c)
        wanted, wanted_scale = self._row(target, c)
        xt = (c.alpha, c.sigma)
        both = _det(given, xt)
        a, b = _det(wanted, xt) / both, _det(given, wanted) / both
        # Both may be the same multiple of x0 (at alpha = 0) or of x1 (at sigma = 0).
        lost = both == 0
        known = torch.where(c.sigma == 0, wanted[0], wanted[1])
        a = torch.where(lost, 0.0, a)
        b = torch.where(lost, known / (c.alpha + c.sigma), b)
        return wanted_scale * a / given_scale, wanted_scale * b

    def _row(self, quantity: Quantity, c: Coefficients) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Return weights of (x1, x0) and a factor: quantity = factor * (row . (x1, x0))."""
        one, zero = torch.ones_like(c.alpha), torch.zeros_like(c.alpha)
        if quantity == "data":
            return (one, zero), one
        if quantity == "noise":
            return (zero, one), one
        if quantity == "score":
            return (zero, one), -1 / (c.sigma * self._noise_variance())
        # Where d_sigma is infinite, the row is that of sigma u, since sigma d_sigma is finite.
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
"""Halvings of [0, 1]: the last bracket is below the spacing of float64 at times above 1e-14."""


def _det(p: tuple[Tensor, Tensor], q: tuple[Tensor, Tensor]) -> Tensor:
    return p[0] * q[1] - p[1] * q[0]
