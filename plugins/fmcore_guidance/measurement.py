"""A user's own measurement: numbers, or a file with a picture or an array; and measured data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from fmcore import ComponentError, ConditionSpec, Operator, Rows

__all__ = ["encode_measurement", "measured", "read_matrix", "read_measurement"]

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""By content, not by suffix: Pillow gives PostScript to Ghostscript, which runs it."""

EIGHT_BIT = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
"""Pillow's modes of at most 8 bits a channel."""


def measured(operator: Operator, x1: Tensor, rows: Rows) -> Tensor:
    """Return y = A x1 + noise n of `x1`, `(batch, *shape)`, with n from `rows`."""
    clean = operator.apply(x1)
    noise = rows.normal(clean.shape[1:], clean.dtype).to(clean.device)
    return operator.project(clean + operator.noise * noise)


def encode_measurement(
    given: Mapping[str, Any], entries: Mapping[str, ConditionSpec]
) -> dict[str, Any]:
    """Return `given` with the content of files in the place of their names."""
    return {
        k: read_measurement(v, entries[k].shape) if k in entries else v for k, v in given.items()
    }


def read_measurement(value: Any, shape: tuple[int, ...]) -> Any:
    """Return the measurement in the file `value`; a value that is no text as it is.

    A picture has the points -1 (black) to 1 (white), in colour for three channels and in gray for
    one; transparent pixels are blended with white, as in datasets.  `.npy` holds the numbers
    themselves.  Raises ComponentError for a file that cannot be read, and for a size other than
    that of `shape`.
    """
    if not isinstance(value, str | Path):
        return value
    file = Path(value).expanduser()
    if file.is_dir():
        raise ComponentError(f"measurement: '{value}' is a folder: give a picture or a file .npy")
    if not file.is_file():
        raise ComponentError(f"measurement: there is no file '{value}'")
    if file.suffix != ".npy":
        return _picture(file, shape)
    found = _array(file)
    if tuple(found.shape) != tuple(shape):
        raise ComponentError(
            f"measurement: '{value}' has the shape {_size(found.shape)}, and the operator measures "
            f"{_size(shape)}: save an array of that shape"
        )
    return found


def _array(file: Path) -> Tensor:
    try:
        return torch.from_numpy(np.load(file, allow_pickle=False)).double()
    except (ValueError, OSError, EOFError, TypeError) as error:
        raise ComponentError(f"measurement: '{file}' is no array of numbers: {error}") from error


def _picture(file: Path, shape: tuple[int, ...]) -> Tensor:
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ComponentError(
            f"measurement: a picture has 1 or 3 channels, and the operator measures "
            f"{_size(shape)}: give a list of numbers, or a file .npy"
        )
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.mode not in EIGHT_BIT:  # Pillow clips 16 bits to 8 without a warning
                raise ComponentError(
                    f"measurement: '{file}' has more than 8 bits a channel (mode {image.mode}): "
                    "convert it first, or give its numbers as a file .npy"
                )
            flat = _flat(ImageOps.exif_transpose(image), "L" if shape[0] == 1 else "RGB")
            pixels = np.asarray(flat, dtype=np.float32)
    except UnidentifiedImageError as error:  # whose own message repeats the file
        raise ComponentError(
            f"measurement: '{file}' is no picture of a known format ({', '.join(FORMATS)}), and "
            "its name does not end in .npy"
        ) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ComponentError(f"measurement: '{file}' cannot be read: {error}") from error
    if pixels.shape[:2] != tuple(shape[1:]):
        raise ComponentError(
            f"measurement: '{file}' is {pixels.shape[1]}x{pixels.shape[0]} pixels, and the "
            f"operator measures {shape[2]}x{shape[1]}: resize it"
        )
    levels = torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)
    return levels / 127.5 - 1


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """Return the image in `mode`, blended with white where it is transparent."""
    if not image.has_transparency_data:
        return image.convert(mode)
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert(mode)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "()"


def read_matrix(file: Path) -> Tensor:
    """Return the matrix in the file `.npy`, in float64."""
    if not file.is_file():
        raise ComponentError(f"operator 'linear': there is no file '{file}'")
    matrix = _array(file)
    if matrix.ndim != 2:
        raise ComponentError(
            f"operator 'linear': '{file}' has the shape {_size(matrix.shape)}, and a matrix has "
            "two dimensions"
        )
    return matrix.double()
