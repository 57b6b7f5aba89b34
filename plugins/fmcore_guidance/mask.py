"""Measurement of some elements of a data point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from fmcore import ComponentError, Operator
from fmcore_guidance.measurement import read_measurement

__all__ = ["Mask"]


@final
@dataclass(frozen=True)
class Mask(Operator):
    """y = x1 at the measured elements and 0 at the others, in x1's shape.

    One of three options chooses the measured ones.  `box` hides the rectangle (top, left, height,
    width), fractions of an image's height and width.  `coordinates` are the measured indices of a
    point.  `file` is a picture of the image's size, white where it is measured.  By default a box
    hides the centre.
    """

    box: tuple[float, float, float, float] | None = None
    coordinates: tuple[int, ...] | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [n for n in ("box", "coordinates", "file") if getattr(self, n) is not None]
        if len(given) > 1:
            raise ComponentError(f"operator 'mask' takes one of {' and '.join(given)}")
        if not given:
            object.__setattr__(self, "box", (0.25, 0.25, 0.5, 0.5))
        if self.box is not None:
            top, left, height, width = self.box
            inside = min(self.box) >= 0 and top + height <= 1 and left + width <= 1
            if not inside:
                raise ComponentError(
                    "operator 'mask': box is (top, left, height, width), fractions of the image "
                    f"all inside it; got {list(self.box)}"
                )

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        self._mask(shape)
        return shape

    def apply(self, x: Tensor) -> Tensor:
        return x * self._mask(tuple(x.shape[1:])).to(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.apply(y)

    def project(self, y: Tensor) -> Tensor:
        return self.apply(y)

    def _mask(self, shape: tuple[int, ...]) -> Tensor:
        """Return 1 at the measured elements, else 0, broadcastable to `shape`."""
        if self.coordinates is not None:
            return self._of_coordinates(self.coordinates, shape)
        if len(shape) != 3:
            raise ComponentError(
                f"operator 'mask': a box or a file needs images, and a data point has the shape "
                f"{list(shape)}: give the measured coordinates"
            )
        if self.file is not None:
            return _read(self.file, shape[1:])
        top, left, height, width = self.box or (0.0, 0.0, 0.0, 0.0)
        mask = torch.ones(1, *shape[1:])
        rows, columns = shape[1:]
        vertical = slice(round(top * rows), round((top + height) * rows))
        horizontal = slice(round(left * columns), round((left + width) * columns))
        mask[:, vertical, horizontal] = 0
        return mask

    def _of_coordinates(self, measured: tuple[int, ...], shape: tuple[int, ...]) -> Tensor:
        if len(shape) != 1 or not all(0 <= i < shape[0] for i in measured):
            raise ComponentError(
                f"operator 'mask': coordinates {list(measured)} are those of a point, from 0 to "
                f"its dimension - 1; a data point has the shape {list(shape)}"
            )
        mask = torch.zeros(shape)
        mask[list(measured)] = 1
        return mask


@lru_cache(maxsize=8)  # every evaluation of a solve reads the mask
def _read(file: Path, size: tuple[int, ...]) -> Tensor:
    """Return 1 where the picture in `file` is brighter than gray, `(1, *size)`."""
    picture: Tensor = read_measurement(file, (1, *size))
    return (picture > 0).float()
