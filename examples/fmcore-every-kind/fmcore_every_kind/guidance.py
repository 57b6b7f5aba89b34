"""Guidance towards the origin, where the data are thought to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

from annotated_types import Ge
from fmcore import Guidance, GuidedCall, Quantity
from torch import Tensor

__all__ = ["EveryGuidance"]


@final
@dataclass(frozen=True)
class EveryGuidance(Guidance):
    """The data prediction over `scale` >= 1: samples are drawn towards the origin.

    A scale of 1 is no guidance; the option `interval` is that of every guidance.
    """

    quantity: ClassVar[Quantity | None] = "data"

    scale: Annotated[float, Ge(1)] = 1.5

    def guide(self, call: GuidedCall) -> Tensor:
        return call.predict() / self.scale
