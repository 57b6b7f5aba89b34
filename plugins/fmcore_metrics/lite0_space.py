"""The features of EfficientNet-Lite0 as the space in which the `..._lite0` metrics compare
pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor

from fmcore import DataError, Dataset, Evaluation, Measured, Rows
from fmcore_metrics.lite0 import LAYERS, WEIGHTS_SHA256, Layer, lite0_features, lite0_weights
from fmcore_metrics.reference import Reference, ReferenceSplit
from fmcore_metrics.rgb import Pictures, levels_of, require_pictures

__all__ = ["LayerChoice", "Lite0Space"]

LayerChoice = Literal["auto", 112, 192, 1280]

CHUNK = 64
"""Pictures put through the network at once, always padded to this many, so that the features of one
do not depend on its neighbours, not even by rounding."""


@final
@dataclass(frozen=True)
class Lite0Space:
    """Which layer, of pictures made ready how, against which part of the data.

    `layer: auto` takes as many features as the number of samples bears: 112 up to 2,000, 192 below
    10,000, else 1280; wider ones see more and are more biased for few samples.
    """

    metric: str
    layer: LayerChoice
    size: int | None
    split: ReferenceSplit
    count: int | None
    file: str | None

    def check(self, data: Dataset) -> None:
        """Refuse data without pictures, a missing package, a damaged reference file."""
        require_pictures(data, self.metric)
        lite0_weights(torch.device("cpu"))

    def measure(self, batch: Measured, evaluation: Evaluation) -> Mapping[str, Tensor]:
        """The layers that may be asked for, `(batch, width)`, under their widths."""
        levels = levels_of(batch, self.metric)
        if tuple(levels.shape[1:]) != tuple(evaluation.data.shape):
            raise DataError(
                f"{self.metric}: samples of shape {tuple(levels.shape[1:])} cannot be compared "
                f"with data of shape {tuple(evaluation.data.shape)}"
            )
        found = self._features(levels, evaluation)
        wanted = LAYERS if self.layer == "auto" else (self.layer,)
        return {str(width): found[width] for width in wanted}

    def chosen(self, rows: Rows) -> Layer:
        """The layer to compare: what `auto` means for so many rows."""
        if self.layer != "auto":
            return self.layer
        return 112 if len(rows) <= 2000 else 192 if len(rows) < 10_000 else 1280

    def reference(self, layer: Layer, evaluation: Evaluation) -> Reference:
        """The part of the data that samples are compared with, in that layer."""
        return Reference(
            data=evaluation.data.with_split(self.split),
            features=lambda levels: self._features(levels, evaluation)[layer],
            made={
                "extractor": "efficientnet-lite0",
                "extractor_sha256": WEIGHTS_SHA256,
                "layer": layer,
                **self._pictures(evaluation).provenance(evaluation.data.shape),
            },
            count=self.count,
        )

    def provenance(self, rows: Rows, evaluation: Evaluation) -> dict[str, Any]:
        """Everything of the two sets of features that changes a distance between them."""
        reference = self.reference(self.chosen(rows), evaluation)
        made = {"count": len(rows), **reference.provenance}
        way = getattr(evaluation.data, "dequantize", None)
        return made | {"to_levels": "floor" if way == "uniform" else "round"}

    def details(self, rows: Rows, evaluation: Evaluation) -> dict[str, Any]:
        """A word where there are too few rows to trust the number."""
        layer = self.chosen(rows)
        fewest = min(len(rows), self.reference(layer, evaluation).length)
        if fewest >= layer:
            return {}
        return {"biased": f"only {fewest} rows for {layer} features: a covariance of lower rank"}

    def _pictures(self, evaluation: Evaluation) -> Pictures:
        if evaluation.data.levels is None:
            raise DataError(f"{self.metric}: the data has no levels")
        return Pictures(evaluation.data.levels, self.size)

    def _features(self, levels: Tensor, evaluation: Evaluation) -> dict[int, Tensor]:
        """Every layer of the pictures, float32 on the CPU."""
        pictures, device = self._pictures(evaluation), evaluation.device
        weights = lite0_weights(device)
        chunks = []
        with torch.no_grad():
            for part in torch.split(levels, CHUNK):
                missing = part.new_zeros((CHUNK - len(part), *part.shape[1:]))
                rgb = pictures.rgb(torch.cat([part, missing]).to(device))
                found = lite0_features(weights, rgb)
                chunks.append({width: f[: len(part)].cpu() for width, f in found.items()})
        return {width: torch.cat([c[width] for c in chunks]) for width in chunks[0]}
