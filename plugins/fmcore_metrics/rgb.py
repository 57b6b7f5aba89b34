"""Conversion of images of any number of levels, gray or RGB, to the uint8 RGB that extractors
read.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fmcore import ComponentError, DataError, Dataset, MetricBatch, Status

__all__ = ["as_rgb", "levels_of", "require_finite", "require_pictures", "rgb_provenance"]


def as_rgb(levels: Tensor, most: int) -> Tensor:
    """Return uint8 RGB images `(batch, 3, height, width)` of levels in 0 .. `most` - 1, gray or
    RGB, `(batch, 1 or 3, height, width)`.

    Levels are stretched to 0 .. 255 and rounded, and gray is repeated.  Raises DataError for other
    shapes.
    """
    if levels.ndim != 4 or levels.shape[1] not in (1, 3):
        raise DataError(
            f"pictures must be (batch, 1 or 3, height, width), got {tuple(levels.shape)}"
        )
    if most != 256:
        levels = (levels.float() * (255 / (most - 1))).round().to(torch.uint8)
    return levels.expand(-1, 3, -1, -1).contiguous()


def rgb_provenance(shape: tuple[int, ...], most: int) -> dict[str, Any]:
    """Return how images of `shape` become RGB."""
    return {
        "channels": "gray repeated" if shape[0] == 1 else "RGB",
        "uint8": "exact" if most == 256 else "round(255 k / (levels - 1))",
    }


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
