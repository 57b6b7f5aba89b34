"""Images with a low-resolution condition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from fmcore import ComponentError, DataError, Rows, create, to_levels
from fmcore.testing import DatasetSuite


class TestSuperResolution(DatasetSuite):
    def component(self):
        return create("data", "super_resolution", of=create("data", "digits"), factor=2)


def data(factor=2, **options):
    return create("data", "super_resolution", of=create("data", "digits"), factor=factor, **options)


def test_low_is_the_rounded_mean_of_each_square():
    batch = data().batch([3, 5])
    k = batch["x1"].double().numpy()
    expected = np.zeros((2, 1, 4, 4))
    for row in range(4):
        for column in range(4):
            square = k[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected[:, :, row, column] = np.round(square.mean(axis=(2, 3)))
    torch.testing.assert_close(batch["low"].double(), torch.from_numpy(expected / 8 - 1))


def test_entries_name_the_condition_and_the_labels():
    entries = data().entries
    assert set(entries) == {"label", "low"}
    assert entries["low"].shape == (1, 4, 4)
    assert entries["low"].droppable


def test_the_test_split_is_that_of_the_images():
    of = create("data", "digits").with_split("test")
    assert data().with_split("test").length == of.length
    torch.testing.assert_close(data().with_split("test").batch([0])["x1"], of.batch([0])["x1"])


def test_an_image_file_becomes_the_condition(tmp_path):
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, 4:] = 255  # averaged down to 4x4: two columns of each value
    Image.fromarray(pixels).save(tmp_path / "low.png")
    low = data().encode({"low": str(tmp_path / "low.png"), "label": 3})
    expected = torch.tensor([-1.0, -1.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    torch.testing.assert_close(low["low"], expected)
    assert int(low["label"]) == 3


def test_files_that_cannot_be_the_condition_are_refused(tmp_path):
    with pytest.raises(ComponentError, match="there is no file"):
        data().encode({"low": str(tmp_path / "none.png")})
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read as an image"):
        data().encode({"low": str(tmp_path / "text.png")})
    Image.new("L", (2, 2)).save(tmp_path / "small.png")
    with pytest.raises(DataError, match="smaller"):
        data().encode({"low": str(tmp_path / "small.png")})


@pytest.mark.parametrize(
    ("of", "factor", "message"),
    [
        (("toy", {}), 2, "needs images"),
        (("digits", {"flip": True}), 2, "flips and dequantizes itself"),
        (("digits", {}), 3, "does not divide"),
    ],
)
def test_data_that_do_not_fit_are_refused(of, factor, message):
    name, options = of
    with pytest.raises(ComponentError, match=message):
        _ = create(
            "data", "super_resolution", of=create("data", name, **options), factor=factor
        ).entries


def test_the_low_image_is_mirrored_with_its_image():
    mirroring = data(flip=True, dequantize="none")
    batch = mirroring.batch(range(40))
    found = mirroring.augmented(batch, Rows(0, "data", 0, range(40)))
    k = to_levels(found["x1"], mirroring.levels, "none")
    same = (k == batch["x1"]).flatten(1).all(1)
    assert 5 < int(same.sum()) < 35
    assert torch.equal(found["low"], mirroring.reduced(k))
