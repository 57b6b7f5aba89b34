"""The path along geodesics of a manifold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, final

import torch
from torch import Tensor

from fmcore import (
    ComponentError,
    Euclidean,
    Gaussian,
    Manifold,
    PathSample,
    Quantity,
    Source,
    Space,
    append_dims,
)
from fmcore_spaces.kappa import Scheduled
from fmcore_spaces.uniform import Uniform

__all__ = ["GeodesicPath"]

FLAT = Euclidean()
"""The space before the data give one."""


@final
@dataclass(frozen=True)
class GeodesicPath(Scheduled):
    """xt is the fraction kappa(t) of the shortest geodesic from x0 to x1.

    ut has the constant length d(x0, x1) under the linear schedule.  `source` is uniform by default,
    and N(0, I) in R^n.  Source: Chen and Lipman 2024 (arXiv 2302.03660), eq. 13 and 14.
    """

    source: Source | None = None
    space: Space = FLAT

    def on(self, space: Space) -> Self:
        if not isinstance(space, Manifold):
            raise ComponentError(
                f"path 'geodesic' needs points of a manifold, and the data are points of "
                f"{type(space).__name__}: use path 'mixture' for tokens, 'product' for several "
                "parts"
            )
        source = None if self.source is None else self.source.on(space)
        return replace(self, source=source, space=space)

    def noise(self) -> Source:
        if self.source is not None:
            return self.source
        return Gaussian() if self.space.flat else Uniform(self.space)

    def prior(self) -> Source:
        return self.noise()

    def sample(self, x0: Tensor, x1: Tensor, t: Tensor, z: Tensor | None = None) -> PathSample:
        space = self._manifold()
        # in half precision, times near 1 are equal
        wide = torch.promote_types(torch.promote_types(x1.dtype, t.dtype), torch.float32)
        start, end = x0.to(wide), x1.to(wide)
        kappa, d_kappa = (append_dims(v, end) for v in self.kappa(t.to(wide)))
        xt, speed = space.geodesic(start, space.log(start, end), kappa)
        ut = d_kappa * speed
        return PathSample(x0=x0, x1=x1, t=t, xt=xt.to(x1.dtype), ut=ut.to(x1.dtype))

    def convert(
        self, value: Tensor, xt: Tensor, t: Tensor, *, source: Quantity, target: Quantity
    ) -> Tensor:
        """Return the velocity kappa' / (1 - kappa) log_xt(x1) that belongs to the data x1, and the
        reverse.  Raises ComponentError for other quantities.
        """
        space, rate = self._manifold(), append_dims(self.rate(t), xt).to(xt.dtype)
        if source == target:
            return value
        if (source, target) == ("data", "velocity"):
            return rate * space.log(xt, value)
        if (source, target) == ("velocity", "data"):
            return space.exp(xt, value / rate)
        raise ComponentError(
            f"cannot turn {source} into {target} along a geodesic: it has velocity and data"
        )

    def _manifold(self) -> Manifold:
        if not isinstance(self.space, Manifold):
            raise ComponentError("path 'geodesic' needs a manifold as its space")
        return self.space
