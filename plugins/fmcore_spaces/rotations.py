"""Rotations drawn from a mixture with a known density."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, final

import torch
from annotated_types import Gt, Le
from torch import Tensor

from fmcore import Dataset, Space, generator_for
from fmcore_spaces.so3 import SO3, rotation_of_vector

__all__ = ["Rotations"]

CENTRES = ((0.0, 0.0, 0.0), (2.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 2.0))
"""The rotation vectors of the four centres, two radians or more from one another."""


@final
@dataclass(frozen=True)
class Rotations(Dataset):
    """`count` rotations `(3, 3)` of four wrapped normal distributions of width `scale`: centre
    times the rotation of a normal vector.

    `log_density` is the exact log-density.  The splits are independent draws.
    """

    count: Annotated[int, Gt(0)] = 20_000
    scale: Annotated[float, Gt(0), Le(5)] = 0.2
    seed: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, 3)

    @property
    def space(self) -> Space:
        return SO3()

    @property
    def length(self) -> int:
        return self.count

    @property
    def fingerprint(self) -> str:
        # of the options, not of the points: the last bit of a sine differs between machines
        name = f"rotations 1/{self.count}/{self.scale}/{self.seed}/{self.split}"
        return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"x1": self._points[torch.as_tensor(indices, dtype=torch.int64)]}

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-density of the mixture at rotations `(batch, 3, 3)`, `(batch,)`."""
        centres = self._centres.to(x)
        relative = centres.mT @ x.unsqueeze(1)
        found = SO3().log_wrapped(relative, self.scale)
        return found.logsumexp(1) - torch.log(torch.tensor(float(len(CENTRES))))

    @property
    def _centres(self) -> Tensor:
        return rotation_of_vector(torch.tensor(CENTRES, dtype=torch.float64))

    @cached_property
    def _points(self) -> Tensor:
        generator = generator_for(self.seed, f"rotations/{self.split}")
        chosen = torch.randint(len(CENTRES), (self.count,), generator=generator)
        drawn = torch.randn(self.count, 3, generator=generator, dtype=torch.float64)
        return (self._centres[chosen] @ rotation_of_vector(self.scale * drawn)).float()
