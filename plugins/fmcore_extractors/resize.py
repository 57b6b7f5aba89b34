"""Resizing of images before a network reads them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["resized", "size_for"]


def size_for(
    height: int, width: int, size: int | None = None, at_least: int = 32
) -> tuple[int, int]:
    """Return the size that images are resized to: `size` on both sides; without it their own, but
    enlarged where the shorter side is below `at_least`.
    """
    if size is not None:
        return size, size
    shorter = min(height, width)
    if shorter >= at_least:
        return height, width
    return round(height * at_least / shorter), round(width * at_least / shorter)


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return uint8 images `(batch, 3, height, width)` as float32 in [0, 255], of `size`.

    Bilinear interpolation with half-pixel centres, antialiased where smaller.
    """
    x = images.float()
    if size != tuple(x.shape[2:]):
        x = F.interpolate(x, size, mode="bilinear", antialias=True)
    return x
