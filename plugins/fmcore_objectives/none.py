"""No objective of its own: train what the network brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from fmcore import Batch, Net, Objective, Path, Quantity

__all__ = ["NoObjective"]


@final
@dataclass(frozen=True)
class NoObjective(Objective):
    """Only the losses that the network's `prepare` gives, as for an autoencoder.

    A network trained so predicts nothing along a path: sampling is refused.
    """

    loss_names: ClassVar[tuple[str, ...]] = ()
    times: ClassVar[tuple[str, ...]] = ()

    @property
    def prediction(self) -> Quantity:
        return "data"

    def draw(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Mapping[str, Tensor]:
        return {}

    def losses(self, net: Net, path: Path, batch: Batch) -> Mapping[str, Tensor]:
        return {}
