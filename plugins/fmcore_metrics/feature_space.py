"""A network as the space in which pictures are compared: what a `Space` must tell, and how its
features are taken so that they depend on the picture alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from fmcore import Dataset, Evaluation

__all__ = ["Extractor", "Space", "in_chunks", "once"]

Extractor = Callable[[Tensor], Mapping[int, Tensor]]
"""From levels `(batch, *shape)`, uint8, to features `(batch, width)` by width, float32 on the
CPU."""


class Space(ABC):
    """Where pictures are compared."""

    @property
    @abstractmethod
    def layers(self) -> tuple[int, ...]:
        """The widths of the layers that must be kept of every picture."""

    @abstractmethod
    def layer(self, rows: int) -> int:
        """The layer in which that many samples are compared."""

    @abstractmethod
    def check(self, data: Dataset) -> None:
        """Refuse data that this network cannot see, and missing weights."""

    @abstractmethod
    def extractor(self, evaluation: Evaluation) -> Extractor:
        """The network, on the evaluation's device, for pictures of its data."""

    @abstractmethod
    def made(self, data: Dataset) -> dict[str, Any]:
        """What names this space: `extractor`, `extractor_sha256`, and how pictures enter it."""


def in_chunks(
    network: Callable[[Tensor], Mapping[int, Tensor]],
    ready: Callable[[Tensor], Tensor],
    device: torch.device,
    chunk: int,
) -> Extractor:
    """`network` of pictures made `ready`, `chunk` at a time and always padded to that many.

    So the features of a picture do not depend on how many stand beside it, not even by rounding.
    """

    def features(levels: Tensor) -> Mapping[int, Tensor]:
        parts = []
        for part in torch.split(levels, chunk):
            missing = part.new_zeros((chunk - len(part), *part.shape[1:]))
            with torch.no_grad():
                found = network(ready(torch.cat([part, missing]).to(device)))
            parts.append({width: f[: len(part)].float().cpu() for width, f in found.items()})
        return {width: torch.cat([part[width] for part in parts]) for width in parts[0]}

    return once(features)


def once(extractor: Extractor) -> Extractor:
    """The same, remembering the last batch: several metrics that see one batch run the network
    once.
    """
    return _Once(extractor)


@final
@dataclass
class _Once:
    extractor: Extractor
    seen: Tensor | None = None
    features: Mapping[int, Tensor] | None = None

    def __call__(self, levels: Tensor) -> Mapping[int, Tensor]:
        if self.features is None or self.seen is not levels:
            self.seen, self.features = levels, self.extractor(levels)
        return self.features
