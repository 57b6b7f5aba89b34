"""Mean and spread of the colours in each part of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
from fmcore import Extractor
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

__all__ = ["EveryExtractor"]


@final
@dataclass(frozen=True)
class EveryExtractor(Extractor):
    """The mean of each colour, and of its square, in `parts` x `parts` parts of the image."""

    parts: Annotated[int, Gt(0)] = 2

    @property
    def dimensions(self) -> Mapping[str, int]:
        return {"colours": 6 * self.parts**2}

    @property
    def weights(self) -> str:
        # increase the number when the features change: equal texts have to mean equal features
        return f"every_extractor 1, {self.parts} parts"

    def features(self, images: Tensor) -> Mapping[str, Tensor]:
        x = images.float() / 255
        means = [adaptive_avg_pool2d(values, self.parts).flatten(1) for values in (x, x.square())]
        return {"colours": torch.cat(means, 1)}
