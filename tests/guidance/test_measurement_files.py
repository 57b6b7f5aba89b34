"""A user's own measurement in a file: what is read, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from fmcore import ComponentError, create
from fmcore_guidance.measurement import read_measurement

SHAPE = (3, 4, 6)


def test_transparent_pixels_are_white_as_in_datasets(tmp_path):
    picture = Image.new("RGBA", (6, 4), (255, 0, 0, 255))
    picture.putpixel((2, 1), (0, 0, 0, 0))
    picture.save(tmp_path / "a.png")
    found = read_measurement(tmp_path / "a.png", SHAPE)
    assert found.shape == SHAPE
    assert found[:, 1, 2].tolist() == [1, 1, 1]
    assert found[:, 0, 0].tolist() == [1, -1, -1]


def test_a_colour_picture_becomes_grey_by_the_weights_of_the_operator(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = read_measurement(tmp_path / "a.png", (1, 4, 6))
    x1 = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    wanted = create("operator", "grey").apply(x1)[0]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1 / 127.5)  # Pillow rounds to levels


def test_grey_is_the_weighted_sum_of_the_channels():
    x = torch.arange(24.0).reshape(1, 3, 4, 2)
    operator = create("operator", "grey", weights=[0.5, 0.25, 0.25])
    wanted = 0.5 * x[:, 0] + 0.25 * x[:, 1] + 0.25 * x[:, 2]
    torch.testing.assert_close(operator.apply(x), wanted[:, None])
    for shape in ((1, 4, 4), (3,)):
        with pytest.raises(ComponentError, match="operator 'grey' measures images of 3 channels"):
            operator.shape(shape)


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("small.png", lambda f: Image.new("RGB", (5, 4)).save(f), "is 5x4 pixels, and the operator "
         "measures 6x4: resize it"),
        ("deep.png", lambda f: Image.new("I;16", (6, 4)).save(f), "more than 8 bits a channel"),
        ("text.png", lambda f: f.write_text("no picture"), "is no picture of a known format"),
        ("cut.png", lambda f: f.write_bytes(_png()[:60]), "cannot be read"),
        ("folder.png", lambda f: f.mkdir(), "is a folder: give a picture or a file .npy"),
        ("numbers.npy", lambda f: np.save(f, np.zeros((4, 6))), "has the shape 4 x 6, and the "
         "operator measures 3 x 4 x 6: save an array of that shape"),
        ("words.npy", lambda f: np.save(f, np.array(["a"])), "is no array of numbers"),
        ("none.png", lambda f: None, "there is no file"),
    ],
)  # fmt: skip
def test_files_that_are_no_measurement_are_refused_with_the_reason(tmp_path, name, make, reason):
    make(tmp_path / name)
    with pytest.raises(ComponentError) as refused:
        read_measurement(tmp_path / name, SHAPE)
    assert reason in str(refused.value)


def _png() -> bytes:
    import io

    file = io.BytesIO()
    Image.effect_noise((6, 4), 50).save(file, format="PNG")
    return file.getvalue()
