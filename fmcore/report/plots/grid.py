"""A grid of images in one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from fmcore.runs.files import atomic

__all__ = ["grid", "save_grid"]

MIN_SIDE = 64
"""Images are enlarged by a whole factor until both sides have at least this many pixels."""


def save_grid(path: Path, levels: Tensor, most: int, columns: int) -> None:
    """Save uint8 `levels`, `(n, channels, height, width)` with values below `most`, as a grid of
    `columns`.
    """
    picture = grid(levels, most, columns)
    atomic(path, lambda part: Image.fromarray(picture).save(part, format="PNG"))


def grid(levels: Tensor, most: int, columns: int) -> npt.NDArray[np.uint8]:
    """Return the grid as an RGB image, `(height, width, 3)`."""
    images = _as_rgb(levels, most)
    factor = max(1, -(-MIN_SIDE // min(images.shape[1:3])))
    return _tile(images.repeat(factor, 1).repeat(factor, 2), columns)


def _as_rgb(levels: Tensor, most: int) -> npt.NDArray[np.uint8]:
    scaled = (levels.float() * (255 / (most - 1))).round().to(levels.dtype)
    images = scaled.permute(0, 2, 3, 1).cpu().numpy()
    return np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images[..., :3]


def _tile(images: npt.NDArray[np.uint8], columns: int, gap: int = 2) -> npt.NDArray[np.uint8]:
    n, height, width, _ = images.shape
    rows = -(-n // columns)
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, dtype=np.uint8
    )
    for i, image in enumerate(images):
        top = gap + (i // columns) * (height + gap)
        left = gap + (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
