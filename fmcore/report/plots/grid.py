"""A grid of pictures in one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from fmcore.interfaces.portrait import Portrait
from fmcore.runs.files import atomic

__all__ = ["grid", "save_grid"]

LINE = 14
"""Pixels of the height of a caption."""

MIN_SIDE = 64
"""Images are enlarged by a whole factor until both sides have at least this many pixels."""


def save_grid(
    path: Path, pictures: Sequence[Portrait], columns: int, captions: bool = False
) -> None:
    """Save `pictures`, PNG portraits, as a grid of `columns`; with their captions if asked."""
    picture = grid(pictures, columns, captions)
    atomic(path, lambda part: Image.fromarray(picture).save(part, format="PNG"))


def grid(
    pictures: Sequence[Portrait], columns: int, captions: bool = False
) -> npt.NDArray[np.uint8]:
    """Return the grid of PNG portraits as an RGB image, `(height, width, 3)`.

    Pictures have their own pixels or a whole multiple of them; those smaller than the largest are
    padded with white.  With `captions`, the caption of each is below it, cut to its width.
    """
    images = _padded([_pixels(picture) for picture in pictures])
    factor = max(1, -(-MIN_SIDE // min(images.shape[1:3])))
    images = images.repeat(factor, 1).repeat(factor, 2)
    if captions and any(picture.caption for picture in pictures):
        lines = [_caption(picture.caption, images.shape[2]) for picture in pictures]
        images = np.concatenate([images, np.stack(lines)], axis=1)
    return _tile(images, columns)


def _caption(text: str, width: int) -> npt.NDArray[np.uint8]:
    """Return one line of text as an image, `(LINE, width, 3)`."""
    line = Image.new("RGB", (width, LINE), "white")
    pen = ImageDraw.Draw(line)
    font = ImageFont.load_default(LINE - 3)
    while text and pen.textlength(text, font) > width:
        text = text[:-1]
    pen.text((0, 0), text, fill="black", font=font)
    return np.asarray(line)


def _pixels(picture: Portrait) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(picture.content), formats=["PNG"]) as image:
        return np.asarray(image.convert("RGB"))


def _padded(images: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    stack = np.full((len(images), height, width, 3), 255, dtype=np.uint8)
    for own, image in zip(stack, images, strict=True):
        own[: image.shape[0], : image.shape[1]] = image
    return stack


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
