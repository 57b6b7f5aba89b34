"""Peak signal-to-noise ratio to the true image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from fmcore_metrics.paired import PairedMetric

__all__ = ["PSNR"]


@final
@dataclass(frozen=True)
class PSNR(PairedMetric):
    """The mean over samples of 10 log10((levels - 1)^2 / MSE), in dB.

    MSE is the mean square difference of the levels to the true image, over all values of the image.
    It is infinite for a sample that equals its true image.  `sample.condition` must be the
    evaluated split.
    """

    name: ClassVar[str] = "psnr"

    def compare(self, fake: Tensor, real: Tensor, levels: int) -> Tensor:
        mse = (fake.double() - real.double()).square().flatten(1).mean(1)
        return 10 * ((levels - 1) ** 2 / mse).log10()
