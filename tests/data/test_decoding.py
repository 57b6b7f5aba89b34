"""What the decoder makes of orientation and of more than 8 bits, in every format that is read."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from fmcore import DataError
from fmcore_data.decoding import Decoder
from fmcore_data.image_folder import ImageFolder

sys.path.insert(0, str(Path(__file__).parent))
from hostile import refused

ORIENTATION = 0x0112
PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14
"""An image of 3x2 without symmetries."""


def stored(kind: str, orientation: int, mode: str = "RGB") -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stream = io.BytesIO()
    options = {"lossless": True} if kind == "webp" else {}
    Image.fromarray(PIXELS).convert(mode).save(stream, kind, exif=exif, **options)
    return stream.getvalue()


def turned(orientation: int) -> np.ndarray:
    """Orientation by its definition: where row 0 and column 0 of the file are in the scene."""
    rows, columns = PIXELS, None
    columns = rows.transpose(1, 0, 2)
    return {
        1: rows,  # top, left
        2: rows[:, ::-1],  # top, right
        3: rows[::-1, ::-1],  # bottom, right
        4: rows[::-1],  # bottom, left
        5: columns,  # left, top
        6: columns[:, ::-1],  # right, top
        7: columns[::-1, ::-1],  # right, bottom
        8: columns[::-1],  # left, bottom
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
def test_images_are_turned_upright(kind, orientation):
    content = stored(kind, orientation)
    found = np.moveaxis(Decoder()(content, "x"), 0, -1)
    assert np.array_equal(found, turned(orientation))
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert np.array_equal(found, np.asarray(shown.convert("RGB")))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_photographs_are_turned_upright(orientation):
    """JPEG loses digits, the same ones before and after it is turned."""
    content = stored("jpeg", orientation)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert np.array_equal(Decoder()(content, "x"), np.moveaxis(np.asarray(shown), -1, 0))


def test_an_image_with_a_palette_and_transparency_is_turned_upright():
    image = Image.new("P", (3, 2))
    image.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0])
    image.putdata([0, 1, 2, 2, 1, 1])
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    stream = io.BytesIO()
    image.save(stream, "png", exif=exif, transparency=0)
    colours = np.array([[255] * 3, [250, 0, 0], [0, 250, 0]])
    upright = np.array([[2, 0], [1, 1], [1, 2]])  # the first column from below is the first row
    found = np.moveaxis(Decoder()(stream.getvalue(), "x"), 0, -1)
    assert np.array_equal(found, colours[upright])


def test_an_unreadable_exif_block_turns_nothing():
    plain = io.BytesIO()
    Image.fromarray(PIXELS).save(plain, "webp", lossless=True)
    with_exif = stored("webp", 6)
    damaged = with_exif.replace(b"MM\x00*", b"ZZ\x00*").replace(b"II*\x00", b"ZZ*\x00")
    assert damaged != with_exif
    assert np.array_equal(Decoder()(damaged, "x"), Decoder()(plain.getvalue(), "x"))


def test_the_crop_is_that_of_the_upright_image():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png", exif=exif)
    found = Decoder(image_size=8)(stream.getvalue(), "x")
    assert np.array_equal(found, np.rot90(pixels[:, 2:10], -1).transpose(2, 0, 1))


def test_folders_decode_upright(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(stored("png", 6))
    folder = ImageFolder(root=str(tmp_path)).batch([0])["x1"][0]
    assert folder.shape == (3, 3, 2)
    square = Decoder(2)((tmp_path / "0.png").read_bytes(), "x")
    assert not np.array_equal(square, Decoder(2)(stored("png", 1), "x"))


def deep_png(channels: int, colour_type: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    rows = b"".join(b"\0" + bytes(2 * 4 * channels) for _ in range(4))
    header = struct.pack(">2I5B", 4, 4, 16, colour_type, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(bits: int, channels: int) -> bytes:
    """A TIFF of 2x2, one strip, written tag by tag."""
    data = bytes(4 * channels * bits // 8)
    end = 8 + 2 + 9 * 12 + 4
    widths = struct.pack(f"<{channels}H", *[bits] * channels)
    where = end if channels > 2 else bits if channels == 1 else bits << 16 | bits
    colours = 1 if channels == 1 else 2
    tags = [(256, 4, 1, 2), (257, 4, 1, 2), (258, 3, channels, where), (259, 3, 1, 1)]
    tags += [(262, 3, 1, colours), (273, 4, 1, end + len(widths)), (277, 3, 1, channels)]
    tags += [(278, 4, 1, 2), (279, 4, 1, len(data))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + entries + struct.pack("<I", 0) + widths + data


DEEP = {
    "gray.png": deep_png(1, 0),
    "colour.png": deep_png(3, 2),
    "gray_alpha.png": deep_png(2, 4),
    "colour_alpha.png": deep_png(4, 6),
    "colour.ppm": b"P6\n2 2\n65535\n" + bytes(24),
    "text.ppm": b"P3\n1 1\n1023\n1 2 3\n",
    "gray.ppm": b"P5\n2 2\n256\n" + bytes(8),
    "gray.tif": tiff(16, 1),
    "colour.tif": tiff(16, 3),
    "colour_alpha.tiff": tiff(16, 4),
}


@pytest.mark.parametrize("name", DEEP)
def test_more_than_eight_bits_a_channel_are_refused(name, tmp_path):
    (tmp_path / name).write_bytes(DEEP[name])
    message = refused(ImageFolder(root=str(tmp_path)))
    assert message.startswith(f"{tmp_path / name} has more than 8 bits a channel")


def test_the_same_files_of_eight_bits_are_read():
    files = [tiff(8, 1), tiff(8, 3), b"P6\n1 1\n255\nabc", b"P6\n1 1\n15\n\x0f\0\x0f"]
    assert [Decoder()(content, "x").ravel().tolist() for content in files] == [
        [0] * 12,
        [0] * 12,
        [97, 98, 99],
        [255, 0, 255],
    ]


@pytest.mark.parametrize("content", [b"", b"no image", b"GIF89a", DEEP["colour.png"][:40]])
def test_errors_name_the_file_and_no_buffer(content):
    with pytest.raises(DataError, match=r"^a/b\.png ") as caught:
        Decoder()(content, "a/b.png")
    assert "object at" not in str(caught.value)
