"""torch-fidelity's Inception-v3 as a feature extractor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path as FilePath
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor

from fmcore import Extractor
from fmcore_extractors.files import checked_bytes
from fmcore_extractors.inception import NAME, WEIGHTS_SHA256, WHAT, inception, require_weights

__all__ = ["Inception"]

DIMENSIONS = {"pool": 2048, "logits": 1008}


@final
@dataclass(frozen=True)
class Inception(Extractor):
    """The Inception-v3 of FID, as torch-fidelity computes it; you download its weights once.

    `file` holds the weights (default: in torch.hub's cache), with the SHA-256 `sha256`.  `layer` is
    `pool`, the 2048 features of FID, or `logits`, the 1008 unbiased ones of the Inception score.
    """

    title: ClassVar[str] = NAME

    layer: Literal["pool", "logits"] = "pool"
    file: FilePath | None = None
    sha256: str = WEIGHTS_SHA256

    @property
    def dimensions(self) -> Mapping[str, int]:
        return {self.layer: DIMENSIONS[self.layer]}

    @property
    def weights(self) -> str:
        return self.sha256

    def check(self) -> None:
        checked_bytes(require_weights(self.file), self.sha256, WHAT)

    def features(self, images: Tensor) -> Mapping[str, Tensor]:
        network = inception(require_weights(self.file), self.sha256, images.device)
        with torch.no_grad():
            pool, logits = network(images)
        return {self.layer: (pool if self.layer == "pool" else logits).float()}

    def provenance(self, shape: tuple[int, ...]) -> dict[str, Any]:
        return {
            "extractor_package": f"torch-fidelity {version('torch-fidelity')}",
            "resize": "bilinear to 299x299, as TensorFlow 1 (torch-fidelity)",
        }
