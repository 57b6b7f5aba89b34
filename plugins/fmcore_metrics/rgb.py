"""Conversion of images of any number of levels, gray or RGB, to the RGB that extractors read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

from fmcore import ComponentError, DataError, Dataset, MetricBatch, Status

__all__ = ["Pictures", "levels_of", "require_finite", "require_pictures"]


@final
@dataclass(frozen=True)
class Pictures:
    """The conversion of images of `levels` levels.

    `size` is what both sides are resized to; None keeps them, but enlarges images whose shorter
    side is below `at_least`.
    """

    levels: int
    size: int | None = None
    at_least: int = 32

    def rgb(self, levels: Tensor) -> Tensor:
        """Return float32 `(batch, 3, height, width)` in [0, 255] from `(batch, 1 or 3, ...)`.

        Levels are stretched to [0, 255], gray is repeated, and images are resized by bilinear
        interpolation (half-pixel centres, antialiased where smaller).  Raises DataError for other
        shapes.
        """
        if levels.ndim != 4 or levels.shape[1] not in (1, 3):
            raise DataError(
                f"pictures must be (batch, 1 or 3, height, width), got {tuple(levels.shape)}"
            )
        x = levels.float() * (255 / (self.levels - 1))
        size = self._size(x.shape[2], x.shape[3])
        if size != tuple(x.shape[2:]):
            x = F.interpolate(x, size, mode="bilinear", antialias=True)
        return x.expand(-1, 3, -1, -1).contiguous()

    def provenance(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return how images of `shape` are converted."""
        size = self._size(*shape[1:])
        resized = "none" if size == tuple(shape[1:]) else f"bilinear to {size[0]}x{size[1]}"
        return {
            "resize": resized,
            "channels": "gray repeated" if shape[0] == 1 else "RGB",
            "stretch": f"{self.levels} levels to 0..255" if self.levels != 256 else "none",
        }

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if self.size is not None:
            return self.size, self.size
        shorter = min(height, width)
        if shorter >= self.at_least:
            return height, width
        return round(height * self.at_least / shorter), round(width * self.at_least / shorter)


def require_pictures(data: Dataset, metric: str) -> int:
    """Return the number of levels of the images of `data`.

    Raises ComponentError unless it holds gray or RGB images of at most 256 levels.
    """
    if data.levels is None or len(data.shape) != 3:
        raise ComponentError(
            f"{metric} compares images; {type(data).__name__} gives points of shape "
            f"{tuple(data.shape)} without levels: for points use metric 'wasserstein2', "
            "'sliced_wasserstein' or 'energy_distance'"
        )
    if data.shape[0] not in (1, 3):
        raise ComponentError(
            f"{metric} reads gray or RGB images; {type(data).__name__} has {data.shape[0]} channels"
        )
    if data.levels > 256:
        raise ComponentError(f"{metric} reads images of at most 256 levels, not {data.levels}")
    return data.levels


def levels_of(batch: MetricBatch, data: Dataset, metric: str) -> Tensor:
    """Return the levels of a batch, uint8, of the shape of `data`.

    Raises DataError where there are none, where their shape is another, or where the points that
    they were computed from are not all finite.
    """
    if batch.levels is None:
        raise DataError(f"{metric}: the samples came without their levels")
    if batch.levels.dtype != torch.uint8:
        raise DataError(f"{metric}: levels must be uint8, got {batch.levels.dtype}")
    shape = tuple(batch.levels.shape[1:])
    if shape != tuple(data.shape):
        raise DataError(
            f"{metric}: samples of shape {shape} cannot be compared with data of shape "
            f"{tuple(data.shape)}"
        )
    require_finite(batch, metric)
    return batch.levels


def require_finite(batch: MetricBatch, metric: str) -> None:
    """Raise DataError, with the first such sample, where samples are not finite.

    A sample counts by its values or by the status of its solve: levels cannot hold NaN or infinity.
    """
    lost = torch.zeros(len(batch.indices), dtype=torch.bool)
    if batch.x is not None:
        lost |= ~batch.x.isfinite().flatten(1).all(1).cpu()
    if batch.status is not None:
        lost |= batch.status.cpu() == Status.NONFINITE
    if lost.any():
        raise DataError(
            f"{metric}: {int(lost.sum())} of {len(lost)} samples hold values that are not finite, "
            f"the first of them sample {int(batch.indices.cpu()[lost][0])}: the solve diverged"
        )
