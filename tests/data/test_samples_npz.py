"""The `.npz` samples of guided-diffusion as a dataset: `arr_0`, NHWC, and labels in `arr_1`."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fmcore import MissingSplitError
from fmcore.cli.data.source import open_dataset
from fmcore_data.npz import Npz

sys.path.insert(0, str(Path(__file__).parent))
import standins
from hostile import refused

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 4, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_samples_are_read_with_channels_first(tmp_path, save):
    save(tmp_path / "s.npz", PIXELS)
    data = Npz(root=str(tmp_path / "s.npz"))
    assert (data.length, data.shape, data.classes, data.levels) == (7, (3, 4, 6), 0, 256)
    batch = data.batch([6, 0, 6])
    assert set(batch) == {"x1"}
    assert np.array_equal(batch["x1"].numpy(), PIXELS[[6, 0, 6]].transpose(0, 3, 1, 2))


def test_labels_are_class_numbers_as_they_are(tmp_path):
    """Labels {3, 7} make eight classes, of which six have no image."""
    np.savez(tmp_path / "s.npz", PIXELS, np.array([3, 7, 3, 3, 7, 7, 3]))
    data = Npz(root=str(tmp_path / "s.npz"))
    assert data.classes == 8
    assert data.batch([1, 0])["label"].tolist() == [7, 3]


def test_samples_have_one_channel_or_three(tmp_path):
    np.savez(tmp_path / "s.npz", PIXELS[..., :1])
    assert Npz(root=str(tmp_path / "s.npz")).shape == (1, 4, 6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": PIXELS.astype(np.float32)}, "is float32 (7, 4, 6, 3), not uint8"),
        ({"arr_0": PIXELS.transpose(0, 3, 1, 2).copy()}, "of 1 or 3 channels"),
        ({"arr_0": PIXELS[0]}, "not uint8 (count, height"),
        ({"arr_0": PIXELS, "arr_1": np.zeros(6, int)}, "has 7 images, but 6 labels"),
        ({"arr_0": PIXELS, "arr_1": np.zeros(7)}, "float64 labels"),
        ({"mu": np.zeros(3), "sigma": np.eye(3)}, "has no array 'arr_0'"),
    ],
)
def test_other_arrays_are_refused(arrays, message, tmp_path):
    np.savez(tmp_path / "s.npz", **arrays)
    assert message in refused(Npz(root=str(tmp_path / "s.npz")))


def test_image_size_is_checked(tmp_path):
    np.savez(tmp_path / "s.npz", PIXELS[:, :, :4])
    assert Npz(root=str(tmp_path / "s.npz"), image_size=4).shape == (3, 4, 4)
    message = refused(Npz(root=str(tmp_path / "s.npz"), image_size=8))
    assert "is data.image_size right?" in message


def test_samples_have_no_test_split(tmp_path):
    np.savez(tmp_path / "s.npz", PIXELS)
    with pytest.raises(MissingSplitError, match="one set of images: it has no test split"):
        Npz(root=str(tmp_path / "s.npz"), split="test").length  # noqa: B018


def test_the_size_of_the_official_images_is_read_from_the_files(tmp_path):
    standins.npz(tmp_path)
    assert Npz(root=str(tmp_path)).shape == (3, standins.SIZE, standins.SIZE)
    (tmp_path / "pickled").mkdir()
    standins.npz_pickled(tmp_path / "pickled")
    assert Npz(root=str(tmp_path / "pickled")).shape == (3, standins.SIZE, standins.SIZE)


def test_an_array_in_a_file_twice_is_refused(tmp_path):
    np.savez(tmp_path / "s.npz", PIXELS)
    content = zipfile.ZipFile(tmp_path / "s.npz").read("arr_0.npy")
    with zipfile.ZipFile(tmp_path / "s.npz", "a") as archive, pytest.warns(match="Duplicate"):
        archive.writestr("arr_0.npy", content)
    assert "two arrays named 'arr_0'" in refused(Npz(root=str(tmp_path / "s.npz")))


def test_a_file_of_samples_is_recognised_by_commands(tmp_path):
    """So that `fmcore measure samples.npz REFERENCE` reads it."""
    np.savez(tmp_path / "s.npz", PIXELS)
    name, data = open_dataset(str(tmp_path / "s.npz"), [])
    assert (name, data.length) == ("npz", 7)
