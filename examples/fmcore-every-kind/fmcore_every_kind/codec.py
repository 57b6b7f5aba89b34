"""Examples divided by a scale, as latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

from annotated_types import Gt
from fmcore import Codec, Condition, Decoded, Rows
from torch import Tensor

__all__ = ["EveryCodec"]


@final
@dataclass(frozen=True)
class EveryCodec(Codec):
    """Latents are (x1 - shift) / scale: of data with another mean and width than the noise."""

    tolerance: ClassVar[float] = 1e-5  # nothing is lost but rounding

    scale: Annotated[float, Gt(0)] = 2.0
    shift: float = 0.0

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def encode(self, x1: Tensor, rows: Rows) -> Tensor:
        return ((x1 - self.shift) / self.scale).detach()

    def decode(self, x: Tensor, condition: Condition | None = None) -> Decoded:
        return Decoded(x * self.scale + self.shift)
