"""An encoded image file as pixels: the one way in which every format that holds such files reads
them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from PIL import Image

from fmcore import DataError
from fmcore_data.storage import Pixels

__all__ = ["SUFFIXES", "Channels", "Decoder", "opened"]

Channels = Literal[1, 3]

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The formats of SUFFIXES and no others, whatever a file is called: Pillow would hand PostScript to
Ghostscript, which runs it."""

MOST_PIXELS = 1 << 26
"""67 megapixels, more than any photograph in these sets: a file of a kilobyte can claim 4 billion.
"""

EIGHT_BIT = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK"})
EIGHT_BIT |= {"YCbCr", "LAB", "HSV"}


@final
@dataclass(frozen=True)
class Decoder:
    """Pixels `(channels, height, width)` of an encoded image.

    Colours become RGB, or gray for one channel; transparency lies on white.  `image_size`, where
    given, cuts the middle square and averages it down to that size (a box filter, as the official
    downsampled ImageNet was made); an image of that size is left as it is.
    """

    image_size: int | None = None
    channels: Channels = 3

    def __call__(self, content: bytes, name: str) -> Pixels:
        """Decode `content`, which messages call `name`.  Raises DataError for what is no image."""
        try:
            image = self._flat(opened(content, name))
        except DataError:
            raise
        except Exception as error:  # a damaged image may raise anything
            raise DataError(f"{name} cannot be read as an image: {error}") from error
        pixels = np.asarray(self._sized(image, name), dtype=np.uint8)
        return pixels[None] if self.channels == 1 else np.moveaxis(pixels, -1, 0)

    def _flat(self, image: Image.Image) -> Image.Image:
        mode = "L" if self.channels == 1 else "RGB"
        if not image.has_transparency_data:
            return image.convert(mode)
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert(mode)

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


def opened(content: bytes, name: str) -> Image.Image:
    """The image in `content`, its header read, its pixels not yet.

    Raises DataError for a size that no photograph has and for pixels of more than 8 bits, and
    whatever Pillow raises for what is no image in FORMATS.
    """
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        raise DataError(
            f"{name} claims to be {image.width}x{image.height}: refused, as a file made to "
            "exhaust memory would"
        )
    if image.mode not in EIGHT_BIT:
        raise DataError(f"{name} has pixels of mode {image.mode}; only 8-bit images are read")
    return image
