"""Encoded image files as pixels: the decoder of every format that contains such files."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from fmcore import DataError
from fmcore_data.storage import Pixels

__all__ = ["SUFFIXES", "Background", "Channels", "Decoder"]

Channels = Literal[1, 3]
Background = Literal["white", "black", "gray"]

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The formats of SUFFIXES, by content, not by suffix: Pillow gives PostScript to Ghostscript,
which runs it."""

MAX_PIXELS = 1 << 26
"""67 megapixels, more than any photograph in these datasets: a file of a kilobyte can claim 4
billion."""

EIGHT_BIT = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK"})
EIGHT_BIT |= {"YCbCr", "LAB", "HSV"}

BITS_PER_SAMPLE = 258  # a tag of TIFF

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What each EXIF orientation but 1 needs; the same as in `PIL.ImageOps.exif_transpose`."""


@final
@dataclass(frozen=True)
class Decoder:
    """Pixels `(channels, height, width)`, uint8, of an encoded image, upright by its EXIF data.

    Colours become RGB, or gray for one channel; transparent images are blended with `background`.
    `image_size` crops the central square and averages it down to that size (a box filter, as the
    official downsampled ImageNet was made); an image of that size is unchanged.
    """

    image_size: int | None = None
    channels: Channels = 3
    background: Background = "white"

    def __call__(self, content: bytes, name: str) -> Pixels:
        """Decode `content`, a file that messages call `name`.

        Raises DataError if it is no image of FORMATS, damaged, of more than 8 bits a channel, or
        smaller than `image_size`.
        """
        try:
            image = self._flat(_turn_upright(_opened(content, name)))
        except DataError:
            raise
        except Exception as error:  # Pillow lets many kinds through on a damaged image
            raise DataError(f"{name} cannot be read as an image: {error}") from error
        pixels = np.asarray(self._sized(image, name), dtype=np.uint8)
        return pixels[None] if self.channels == 1 else np.moveaxis(pixels, -1, 0)

    def _flat(self, image: Image.Image) -> Image.Image:
        mode = "L" if self.channels == 1 else "RGB"
        if not image.has_transparency_data:
            return image.convert(mode)
        layer = image.convert("RGBA")
        plain = Image.new("RGBA", layer.size, self.background)
        return Image.alpha_composite(plain, layer).convert(mode)

    def _sized(self, image: Image.Image, name: str) -> Image.Image:
        size = self.image_size
        if size is None or image.size == (size, size):
            return image
        side = min(image.size)
        if side < size:
            raise DataError(
                f"{name} is {image.width}x{image.height}, smaller than data.image_size={size}"
            )
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        return image.resize((size, size), Image.Resampling.BOX, box=box)


def _opened(content: bytes, name: str) -> Image.Image:
    """The image in `content`, its header read and checked, its pixels not decoded yet."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:  # whose own message names the buffer, not the file
        raise DataError(
            f"{name} cannot be read as an image: it is not {', '.join(FORMATS[:-1])} or "
            f"{FORMATS[-1]}"
        ) from error
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"{name} claims to be {image.width}x{image.height}: refused, as a file made to "
            "exhaust memory would"
        )
    if image.mode not in EIGHT_BIT or _bits(image) > 8:
        raise DataError(
            f"{name} has more than 8 bits a channel (mode {image.mode}); only 8-bit images are "
            "read: convert it first"
        )
    return image


def _bits(image: Any) -> int:
    """The bits a channel in the file, which Pillow's mode does not tell for colours.

    Pillow opens colours of 16 bits in an 8-bit mode and keeps the high bytes.
    """
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(BITS_PER_SAMPLE, (1,))))
    arguments = image.tile[0][3] if image.tile else ""  # how the pixels are stored
    if image.format == "PPM":
        return 16 if isinstance(arguments, tuple) and arguments[-1] > 255 else 8
    return 16 if image.format == "PNG" and ";16" in str(arguments) else 8


def _turn_upright(image: Image.Image) -> Image.Image:
    """`image` turned and mirrored as its EXIF orientation demands."""
    image.load()  # which turns a TIFF file itself, and reads the EXIF block of a PNG file
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, LookupError, TypeError, struct.error):
        return image  # viewers show an image whose EXIF block is unreadable as it is stored
    method = UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)
