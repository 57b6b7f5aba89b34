"""Points in the plane whose distribution given a condition is known in closed form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import ConditionSpec, Dataset, generator_for

__all__ = ["ConditionalGaussian"]


@final
@dataclass(frozen=True)
class ConditionalGaussian(Dataset):
    """`count` points `(2,)`, float32: x1 ~ N(A c, spread^2 I), with the condition `c` ~ N(0, I) of
    shape `(2,)`.

    A is `ConditionalGaussian.MATRIX`: the conditional mean A c and the marginal covariance
    A A^T + spread^2 I are known.  A function of (spread, seed, split).
    """

    MATRIX: ClassVar[tuple[tuple[float, float], tuple[float, float]]] = ((1.0, 0.5), (-0.5, 1.0))

    spread: Annotated[float, Gt(0)] = 0.3
    count: Annotated[int, Gt(0)] = 20_000
    seed: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def entries(self) -> Mapping[str, ConditionSpec]:
        return {"c": ConditionSpec((2,), droppable=True)}

    @property
    def length(self) -> int:
        return self.count

    @property
    def fingerprint(self) -> str:
        # of the options, not of the points: the last bit differs between machines
        name = f"conditional_gaussian 1/{self.spread}/{self.count}/{self.seed}/{self.split}"
        return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        rows = torch.as_tensor(indices, dtype=torch.int64)
        x1, c = self._drawn
        return {"x1": x1[rows], "c": c[rows]}

    @cached_property
    def _drawn(self) -> tuple[Tensor, Tensor]:
        generator = generator_for(self.seed, f"conditional_gaussian/{self.split}")
        c, z = torch.randn(2, self.count, 2, generator=generator)
        return c @ torch.tensor(self.MATRIX).T + self.spread * z, c
