"""Points on a figure eight."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt
from fmcore import Dataset, generator_for
from torch import Tensor

__all__ = ["EveryData"]


@final
@dataclass(frozen=True)
class EveryData(Dataset):
    """`count` points `(2,)` on a figure eight, with noise of standard deviation `width`."""

    count: Annotated[int, Gt(0)] = 10_000
    width: Annotated[float, Ge(0)] = 0.05

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def length(self) -> int:
        return self.count

    @property
    def fingerprint(self) -> str:
        # increase the number when the points change: equal fingerprints have to mean equal data
        name = f"every_data 1/{self.count}/{self.width}/{self.split}"
        return hashlib.sha256(name.encode()).hexdigest()[:16]

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"x1": self._points[torch.as_tensor(indices, dtype=torch.int64)]}

    @cached_property
    def _points(self) -> Tensor:
        generator = generator_for(0, f"every_data/{self.split}")
        angle = 2 * math.pi * torch.rand(self.count, generator=generator)
        curve = torch.stack([angle.sin(), angle.sin() * angle.cos()], dim=1)
        return 2 * curve + self.width * torch.randn(self.count, 2, generator=generator)
