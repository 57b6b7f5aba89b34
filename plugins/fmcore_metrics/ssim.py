"""Structural similarity to the true image, by scikit-image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from fmcore import ComponentError, Dataset, Path
from fmcore_metrics.paired import PairedMetric
from fmcore_metrics.rgb import require_pictures

__all__ = ["SSIM"]

WINDOW = 11
"""The side of the Gaussian window in pixels: 3.5 standard deviations of 1.5 to either side."""


@final
@dataclass(frozen=True)
class SSIM(PairedMetric):
    """The mean over samples of the structural similarity to the true image; 1 for equal images.

    Means, variances and covariances have a Gaussian window of standard deviation 1.5 pixels and 11
    pixels width; the constants are (.01 L)^2 and (.03 L)^2 with L = levels - 1.  The similarity of
    an RGB image is the mean over its channels.  Images need sides of at least 11 pixels.
    `sample.condition` must be the evaluated split.
    Source: Wang et al. 2004, "Image quality assessment", section III.
    """

    name: ClassVar[str] = "ssim"

    def check(self, data: Dataset, path: Path) -> None:
        require_pictures(data, self.name)
        if min(data.shape[1:]) < WINDOW:
            height, width = data.shape[1:]
            raise ComponentError(
                f"ssim has a window of {WINDOW}x{WINDOW} pixels, and the images are "
                f"{height}x{width}: use metric 'psnr'"
            )

    def compare(self, fake: Tensor, real: Tensor, levels: int) -> Tensor:
        pairs = zip(fake.numpy(), real.numpy(), strict=True)
        similarity: Any = structural_similarity  # without types in some versions
        found = [
            similarity(
                a,
                b,
                data_range=levels - 1,
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,  # weighted by the window, as in the paper
            )
            for a, b in pairs
        ]
        return torch.tensor(found, dtype=torch.float64)
