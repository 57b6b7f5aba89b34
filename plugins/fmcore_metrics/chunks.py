"""Apply an extractor so that the features of an image depend on that image alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from fmcore import DataError, Extractor
from fmcore_metrics.rgb import as_rgb

__all__ = ["CHUNK", "Features", "features_of", "in_chunks"]

CHUNK = 16
"""Images given to an extractor at once."""

Features = Callable[[Tensor], Mapping[str, Tensor]]
"""A map from levels `(batch, *shape)`, uint8, to the features of each layer, float32 on the CPU."""


@lru_cache(maxsize=4)  # several metrics of one evaluation share an extractor, and its last batch
def features_of(extractor: Extractor, levels: int, device: torch.device) -> Features:
    """Return the features of images of `levels` levels, computed on `device`."""
    return in_chunks(lambda k: extractor.features(as_rgb(k, levels)), device, CHUNK)


def in_chunks(
    network: Callable[[Tensor], Mapping[str, Tensor]], device: torch.device, chunk: int
) -> Features:
    """Return a function that applies `network` to images, `chunk` at a time.

    Every chunk is padded to `chunk` images, so that the features of an image do not depend on the
    size of its batch, not even by rounding.  Several metrics that read one batch run the network
    once.  The function raises DataError for features that are not finite.
    """

    def features(levels: Tensor) -> Mapping[str, Tensor]:
        parts = []
        for part in torch.split(levels, chunk):
            missing = part.new_zeros((chunk - len(part), *part.shape[1:]))
            with torch.no_grad():
                found = network(torch.cat([part, missing]).to(device))
            parts.append({layer: f[: len(part)].float().cpu() for layer, f in found.items()})
        whole = {layer: torch.cat([part[layer] for part in parts]) for layer in parts[0]}
        if not all(feature.isfinite().all() for feature in whole.values()):
            raise DataError(
                "the feature extractor gave values that are not finite: its weights are corrupt"
            )
        return whole

    return _LastBatch(features)


@final
@dataclass
class _LastBatch:
    """Features that are kept for the latest batch."""

    compute: Features
    levels: Tensor | None = None
    features: Mapping[str, Tensor] | None = None

    def __call__(self, levels: Tensor) -> Mapping[str, Tensor]:
        if self.features is None or self.levels is not levels:
            self.levels, self.features = levels, self.compute(levels)
        return self.features
