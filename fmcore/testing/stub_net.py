"""A network given as a function, for checks on objectives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.derivative import jvp
from fmcore.interfaces.field import Predictor
from fmcore.interfaces.net import Net
from fmcore.interfaces.tensors import append_dims

__all__ = ["FunctionNet"]


@final
@dataclass(frozen=True)
class FunctionNet:
    """`function(x, t, until)` as what an objective sees; `until` is t where it is not given."""

    function: Callable[[Tensor, Tensor, Tensor], Tensor]

    def __call__(self, x: Tensor, t: Tensor, *, until: Tensor | None = None) -> Tensor:
        return self.function(x, t, t if until is None else until)

    def jvp(
        self,
        x: Tensor,
        t: Tensor,
        until: Tensor | None = None,
        *,
        dx: Tensor,
        dt: Tensor,
        duntil: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        end = t if until is None else until
        if duntil is None:
            duntil = dt if until is None else torch.zeros_like(end)
        value = self.function(x, t, end)
        _, derivative = jvp(self.function, (x, t, end), (dx, dt, duntil))
        if rows is not None:
            derivative = derivative.masked_fill(~append_dims(rows, derivative), 0)
        return value, derivative.detach()

    def without(self, *names: str) -> Net:
        return self

    def averaged(self) -> Net:
        return self

    def teacher(self, name: str) -> Predictor:
        raise ComponentError(f"no teacher '{name}' in a check")
