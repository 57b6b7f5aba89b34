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

from fmcore.broadcast import from_the_left
from fmcore.interfaces.source import Source
from fmcore.sources import Gaussian, Scaled

__all__ = ["AffinePath", "Coefficients", "Path", "PathSample", "Quantity"]

Quantity = Literal["velocity", "data", "noise", "score"]
"""What a network may predict, and what `AffinePath.convert` turns into one another."""


@dataclass(frozen=True)
class PathSample:
    """One draw of a conditional path: everything a loss may need.  `t` is `(batch,)`, the rest
    `(batch, *shape)`.
    """

    x0: Tensor
    x1: Tensor
    t: Tensor
    xt: Tensor
    ut: Tensor


class Path(ABC):
    """A conditional probability path p_t(x | x0, x1) and the velocity that generates it.

    Laws:
    * `ut` is d xt / dt at fixed (x0, x1), finite for t in the closed interval [t_min, t_max];
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
    def sample(self, x0: Tensor, x1: Tensor, t: Tensor) -> PathSample:
        """The point and the velocity at time `t`, `(batch,)`, of the path from `x0` to `x1`."""

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

    `source` is where x0 is drawn from; the relations to noise and score hold for the standard
    normal only, and `convert` refuses them otherwise.  Laws beside those of Path: log_snr is
    strictly increasing; d_alpha and d_sigma are the derivatives of alpha and sigma.
    """

    source: Source = field(default=Gaussian(), kw_only=True)

    @abstractmethod
    def coefficients(self, t: Tensor) -> Coefficients:
        """The schedule at times `t` of any shape, in t's dtype, on t's device."""

    @final
    def sample(self, x0: Tensor, x1: Tensor, t: Tensor) -> PathSample:
        """The point and the velocity at time `t`, `(batch,)`.  Source: eq. 11 and 14."""
        c = self.coefficients(at_least_float32(t))
        alpha, sigma, d_alpha, d_sigma = (
            from_the_left(v, x1) for v in (c.alpha, c.sigma, c.d_alpha, c.d_sigma)
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


def at_least_float32(t: Tensor) -> Tensor:
    """Times in half precision would fall together; the network alone may be that narrow."""
    return t if t.dtype in (torch.float32, torch.float64) else t.float()
