"""A network as a feature space for images, and how it is applied so that the features of an image
depend on that image alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from fmcore import DataError, Dataset, Evaluation

__all__ = ["Extractor", "Space", "in_chunks"]

Extractor = Callable[[Tensor], Mapping[int, Tensor]]
"""A map from levels `(batch, *shape)`, uint8, to features `(batch, width)` by width, float32 on the
CPU."""


class Space(ABC):
    """A feature space in which sets of images are compared."""

    @property
    @abstractmethod
    def layers(self) -> tuple[int, ...]:
        """The widths of the layers to keep of every image."""

    @abstractmethod
    def layer(self, rows: int) -> int:
        """Return the width of the layer in which `rows` samples are compared."""

    @abstractmethod
    def check(self, data: Dataset) -> None:
        """Raise ComponentError for data that the network cannot read, and DataError for missing
        weights.
        """

    @abstractmethod
    def extractor(self, evaluation: Evaluation) -> Extractor:
        """Return the network, on the evaluation's device, for images of its data."""

    @abstractmethod
    def provenance(self, data: Dataset) -> dict[str, Any]:
        """Return `extractor`, `extractor_sha256`, and the preprocessing of images of `data`."""


def in_chunks(
    network: Callable[[Tensor], Mapping[int, Tensor]],
    preprocess: Callable[[Tensor], Tensor],
    device: torch.device,
    chunk: int,
) -> Extractor:
    """Return an extractor that applies `network` to preprocessed images, `chunk` at a time.

    Every chunk is padded to `chunk` images, so that the features of an image do not depend on the
    size of its batch, not even by rounding.  Several metrics that read one batch run the network
    once.  The extractor raises DataError for features that are not finite.
    """

    def features(levels: Tensor) -> Mapping[int, Tensor]:
        parts = []
        for part in torch.split(levels, chunk):
            missing = part.new_zeros((chunk - len(part), *part.shape[1:]))
            with torch.no_grad():
                found = network(preprocess(torch.cat([part, missing]).to(device)))
            parts.append({width: f[: len(part)].float().cpu() for width, f in found.items()})
        whole = {width: torch.cat([part[width] for part in parts]) for width in parts[0]}
        if not all(feature.isfinite().all() for feature in whole.values()):
            raise DataError(
                "the feature extractor gave values that are not finite: its weights are corrupt"
            )
        return whole

    return _LastBatch(features)


@final
@dataclass
class _LastBatch:
    """An extractor that keeps the features of the latest batch."""

    extractor: Extractor
    levels: Tensor | None = None
    features: Mapping[int, Tensor] | None = None

    def __call__(self, levels: Tensor) -> Mapping[int, Tensor]:
        if self.features is None or self.levels is not levels:
            self.levels, self.features = levels, self.extractor(levels)
        return self.features
