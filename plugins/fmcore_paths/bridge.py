"""Paths with a random bridge between their ends: xt = a(t) x0 + b(t) x1 + g(t) z."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple, final

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from fmcore import ComponentError, Gaussian, Path, PathSample, Source, append_dims
from fmcore_paths.sum import Sum

__all__ = ["BridgePath", "Weights"]


class Weights(NamedTuple):
    """The weights of x0, x1 and z at times of any shape, and their derivatives by t."""

    a: Tensor
    b: Tensor
    g: Tensor
    d_a: Tensor
    d_b: Tensor
    d_g: Tensor


@dataclass(frozen=True)
class BridgePath(Path, ABC):
    """xt = a(t) x0 + b(t) x1 + g(t) z with z ~ N(0, I): an author writes `weights`.

    `source` is where x0 is drawn from; any distribution, another dataset too.  Where g is a square
    root, ut is infinite at t = 0 and 1: `cut` > 0 keeps training and sampling that far from both.
    """

    source: Source = field(default=Gaussian(), kw_only=True)
    cut: Annotated[float, Gt(0), Lt(0.5)] = field(default=1e-3, kw_only=True)

    @abstractmethod
    def weights(self, t: Tensor) -> Weights:
        """The weights at times `t` of any shape, in t's dtype, on t's device."""

    @final
    @property
    def t_min(self) -> float:
        return self.cut

    @final
    @property
    def t_max(self) -> float:
        return 1 - self.cut

    @final
    def bridge(self) -> Source:
        return Gaussian()

    @final
    def sample(self, x0: Tensor, x1: Tensor, t: Tensor, z: Tensor | None = None) -> PathSample:
        if z is None:
            raise ComponentError(
                f"{type(self).__name__} is a random bridge: sample(x0, x1, t, z) needs z, a draw "
                "of path.bridge() in the shape of x1"
            )
        w = self.weights(t.to(torch.promote_types(t.dtype, torch.float32)))
        a, b, g, d_a, d_b, d_g = (append_dims(v, x1) for v in w)
        xt = a * x0 + b * x1 + g * z
        ut = d_a * x0 + d_b * x1 + d_g * z
        return PathSample(x0=x0, x1=x1, t=t, xt=xt.to(x1.dtype), ut=ut.to(x1.dtype))

    @final
    def noise(self) -> Source:
        return self.source

    @final
    def prior(self) -> Source:
        """The distribution of a(t_min) x0 + g(t_min) z: that of xt up to b(t_min) x1."""
        w = self.weights(torch.tensor(self.t_min, dtype=torch.float64))
        return Sum(self.source, scale=float(w.a), noise=float(w.g))
