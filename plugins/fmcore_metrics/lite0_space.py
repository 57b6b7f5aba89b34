"""EfficientNet-Lite0's features as the feature space of the `..._lite0` metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial
from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Ge

from fmcore import Dataset, Evaluation
from fmcore_metrics.feature_metric import FeatureMetric
from fmcore_metrics.feature_space import Extractor, Space, in_chunks
from fmcore_metrics.lite0 import LAYERS, WEIGHTS_SHA256, lite0_features, lite0_weights
from fmcore_metrics.rgb import Pictures, require_pictures

__all__ = ["Layer", "Lite0Metric", "Lite0Space"]

Layer = Literal["auto", 112, 192, 1280]

CHUNK = 16


@dataclass(frozen=True)
class Lite0Metric(FeatureMetric):
    """`layer: auto` chooses the number of features by that of samples: 112 up to 2,000, 192 below
    10,000, else 1280; wider layers capture more and are more biased for few samples.  `size`
    resizes images; by default only those below 32 pixels are enlarged.
    """

    layer: Layer = field(default="auto", kw_only=True)
    size: Annotated[int, Ge(32)] | None = field(default=None, kw_only=True)

    @property
    @final
    def space(self) -> Space:
        return Lite0Space(self.name, self.layer, self.size)


@final
@dataclass(frozen=True)
class Lite0Space(Space):
    """The layer of width `chosen`, or by the number of samples, of images resized to `size`."""

    metric: str
    chosen: Layer = "auto"
    size: int | None = None

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(LAYERS) if self.chosen == "auto" else (self.chosen,)

    def layer(self, rows: int) -> int:
        if self.chosen != "auto":
            return self.chosen
        return 112 if rows <= 2000 else 192 if rows < 10_000 else 1280

    def check(self, data: Dataset) -> None:
        require_pictures(data, self.metric)
        lite0_weights(torch.device("cpu"))

    def extractor(self, evaluation: Evaluation) -> Extractor:
        return _extractor(self._pictures(evaluation.data), evaluation.device)

    def provenance(self, data: Dataset) -> dict[str, Any]:
        return {
            "extractor": "efficientnet-lite0",
            "extractor_sha256": WEIGHTS_SHA256,
            **self._pictures(data).provenance(data.shape),
        }

    def _pictures(self, data: Dataset) -> Pictures:
        return Pictures(require_pictures(data, self.metric), self.size)


@cache
def _extractor(pictures: Pictures, device: torch.device) -> Extractor:
    network = partial(lite0_features, lite0_weights(device))
    return in_chunks(network, pictures.rgb, device, CHUNK)
