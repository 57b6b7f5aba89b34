"""Inception-v3's features as the feature space of `fid`, `kid`, `prc` and `isc`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, final

from fmcore import Dataset, Evaluation
from fmcore_metrics.feature_metric import FeatureMetric
from fmcore_metrics.feature_space import Extractor, Space
from fmcore_metrics.files import checked_bytes
from fmcore_metrics.inception import (
    FEATURES,
    WEIGHTS_SHA256,
    inception_extractor,
    inception_provenance,
    require_weights,
)
from fmcore_metrics.rgb import Pictures, require_pictures

__all__ = ["InceptionMetric", "InceptionSpace"]


@dataclass(frozen=True)
class InceptionMetric(FeatureMetric):
    """`weights` is the file of torch-fidelity's Inception weights (default: in torch.hub's cache),
    `weights_sha256` its SHA-256.
    """

    weights: FilePath | None = field(default=None, kw_only=True)
    weights_sha256: str = field(default=WEIGHTS_SHA256, kw_only=True)

    @property
    @final
    def space(self) -> Space:
        return InceptionSpace(self.name, self.weights, self.weights_sha256)


@final
@dataclass(frozen=True)
class InceptionSpace(Space):
    """The layer of width `chosen`, with weights from a file."""

    metric: str
    weights: FilePath | None
    sha256: str
    chosen: int = FEATURES

    @property
    def layers(self) -> tuple[int, ...]:
        return (self.chosen,)

    def layer(self, rows: int) -> int:
        return self.chosen

    def check(self, data: Dataset) -> None:
        require_pictures(data, self.metric)
        file = require_weights(self.weights, self.metric)
        checked_bytes(file, self.sha256, "the Inception weights")

    def extractor(self, evaluation: Evaluation) -> Extractor:
        file = require_weights(self.weights, self.metric)
        pictures = self._pictures(evaluation.data)
        return inception_extractor(file, self.sha256, pictures, evaluation.device)

    def provenance(self, data: Dataset) -> dict[str, Any]:
        return inception_provenance(self.sha256, self._pictures(data), data.shape)

    def _pictures(self, data: Dataset) -> Pictures:
        return Pictures(require_pictures(data, self.metric), at_least=1)
