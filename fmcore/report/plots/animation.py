"""Animations of images, or of points in the plane, from noise to data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from torch import Tensor

from fmcore.interfaces.portrait import Portrait
from fmcore.report.plots.grid import grid
from fmcore.runs.files import atomic

__all__ = ["save_images_moving", "save_points_moving"]

SECONDS = 2.4
"""Duration from noise to data; then the last state is shown for REST seconds."""

REST = 1.6
SIDE = 360  # pixels: the width of a phone
RADIUS = 2
BLUE, GREY = (31, 119, 180), (120, 120, 120)

Frame = npt.NDArray[np.uint8]


def save_images_moving(path: Path, states: Sequence[Sequence[Portrait]], columns: int) -> None:
    """Save the pictures of each state as an animated WebP of grids."""
    _save(path, [Image.fromarray(grid(pictures, columns)) for pictures in states])


def save_points_moving(path: Path, states: Tensor) -> None:
    """Save `states`, `(times, n, 2)`, as an animated WebP; points change from
    grey to blue.
    """
    reach = float(states.abs().quantile(0.995)) * 1.1
    places = (states / reach).cpu().numpy()
    shares = np.linspace(0, 1, len(places))
    _save(path, [_plane(points, share) for points, share in zip(places, shares, strict=True)])


def _plane(points: npt.NDArray[Any], share: float) -> Image.Image:
    sheet = Image.new("RGB", (SIDE, SIDE), "white")
    pen = ImageDraw.Draw(sheet)
    color = tuple(round(a + share * (b - a)) for a, b in zip(GREY, BLUE, strict=True))
    for x, y in (points * (1, -1) + 1) * (SIDE / 2):
        pen.ellipse((x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS), fill=color)
    return sheet


def _save(path: Path, frames: Sequence[Image.Image]) -> None:
    step = max(20, round(1000 * SECONDS / len(frames)))
    durations = [step] * (len(frames) - 1) + [round(1000 * REST)]
    atomic(path, lambda part: _write(part, frames, durations))


def _write(part: Path, frames: Sequence[Image.Image], durations: list[int]) -> None:
    first, *others = frames
    first.save(
        part,
        format="WEBP",
        save_all=True,
        append_images=others,
        duration=durations,
        loop=0,
        lossless=True,
        quality=30,  # effort of the lossless compression, not fidelity
        method=0,
    )
