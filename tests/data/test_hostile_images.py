"""Untrusted image files: bombs, formats that are not read, wrong sizes."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmcore import DataError
from fmcore_data.decoding import Decoder
from fmcore_data.image_folder import ImageFolder

sys.path.insert(0, str(Path(__file__).parent))
import standins
from hostile import SIZE, png, refused


def bomb() -> bytes:
    """A PNG whose header claims 60000x60000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">2I5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no image", "cannot be read as an image"),
        (b"", "cannot be read as an image"),
        (png((64, 64))[:60], "cannot be read as an image"),
        (bomb(), "x.png"),
        (png((9000, 9000), "1"), "exhaust memory"),
        (png(mode="I;16"), "more than 8 bits a channel"),
    ],
)
def test_a_damaged_or_unsafe_image_is_refused_by_name(content, message):
    with pytest.raises(DataError, match=r"x\.png") as caught:
        Decoder()(content, "x.png")
    assert message in str(caught.value)


def test_an_image_of_another_size_is_named(tmp_path):
    standins.image_folder(tmp_path)
    place = tmp_path / "train" / standins.CLASSES[2]
    (place / "zz.png").write_bytes(png((SIZE + 1, SIZE)))
    message = refused(ImageFolder(root=str(tmp_path)))
    assert "zz.png is 9x8, but the first image is 8x8" in message
    assert "data.image_size=N" in message


def test_an_image_smaller_than_image_size_is_named():
    with pytest.raises(DataError, match=r"is 8x8, smaller than data\.image_size=16"):
        Decoder(image_size=16)(png(), "x.png")


def test_resizing_averages_the_middle_square():
    """Twice as large and cut: each pixel is the mean of a block, as the official set was made."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    found = Decoder(image_size=4)(stream.getvalue(), "x").astype(float)
    middle = pixels[:, 2:10].astype(float)
    expected = middle.reshape(4, 2, 4, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(found - expected).max() <= 1  # Pillow rounds after each direction


def test_transparent_pixels_are_blended_with_white():
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    stream = io.BytesIO()
    image.save(stream, "png")
    assert Decoder()(stream.getvalue(), "x")[:, 0].T.tolist() == [[255] * 3, [10, 20, 30]]


def test_postscript_named_png_is_never_given_to_an_interpreter():
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(pwned) (w) file closefile\n"
    with pytest.raises(DataError, match=r"x\.png cannot be read as an image: it is not BMP, JPEG"):
        Decoder()(content, "x.png")


def test_an_image_of_another_format_is_refused():
    stream = io.BytesIO()
    Image.new("P", (4, 4)).save(stream, "gif")
    with pytest.raises(DataError, match=r"x\.png cannot be read as an image: it is not BMP, JPEG"):
        Decoder()(stream.getvalue(), "x.png")
