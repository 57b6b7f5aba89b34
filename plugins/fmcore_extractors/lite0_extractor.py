"""EfficientNet-Lite0 as a feature extractor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, final

import torch
from annotated_types import Ge
from torch import Tensor

from fmcore import Extractor
from fmcore_extractors.lite0 import LAYERS, WEIGHTS_SHA256, lite0_features, lite0_weights
from fmcore_extractors.resize import resized, size_for

__all__ = ["Lite0"]


@final
@dataclass(frozen=True)
class Lite0(Extractor):
    """EfficientNet-Lite0 on ImageNet, whose weights a package ships: no download.

    `layer: auto` chooses the number of features by that of samples: 112 up to 2,000, 192 below
    10,000, else 1280; wider layers capture more and are more biased for few samples.  `size`
    resizes images; by default only those below 32 pixels are enlarged.
    """

    title: ClassVar[str] = "efficientnet-lite0"

    layer: Literal["auto", 112, 192, 1280] = "auto"
    size: Annotated[int, Ge(32)] | None = None

    @property
    def dimensions(self) -> Mapping[str, int]:
        widths = LAYERS if self.layer == "auto" else (self.layer,)
        return {str(width): width for width in widths}

    @property
    def weights(self) -> str:
        return WEIGHTS_SHA256

    def check(self) -> None:
        lite0_weights(torch.device("cpu"))

    def features(self, images: Tensor) -> Mapping[str, Tensor]:
        x = resized(images, size_for(images.shape[2], images.shape[3], self.size))
        with torch.no_grad():
            found = lite0_features(lite0_weights(images.device), x)
        return {name: found[width] for name, width in self.dimensions.items()}

    def layer_for(self, rows: int) -> str:
        if self.layer != "auto":
            return str(self.layer)
        return "112" if rows <= 2000 else "192" if rows < 10_000 else "1280"

    def provenance(self, shape: tuple[int, ...]) -> dict[str, Any]:
        size = size_for(shape[1], shape[2], self.size)
        same = size == tuple(shape[1:])
        return {"resize": "none" if same else f"bilinear to {size[0]}x{size[1]}"}
