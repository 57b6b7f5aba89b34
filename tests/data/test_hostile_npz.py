"""Untrusted npz files of ImageNet: damaged, made to expand, or of something else."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fmcore_data.npz import Npz

sys.path.insert(0, str(Path(__file__).parent))
import standins
from hostile import ROWS, SIZE, Evil, refused


def npz_with(tmp_path, **arrays):
    np.savez(tmp_path / "val_data.npz", **arrays)
    return refused(Npz(root=str(tmp_path), split="test", image_size=SIZE))


def test_an_npz_of_objects_is_refused(tmp_path):
    objects = np.array([Evil(), Evil()], dtype=object)
    assert "contains Python objects" in npz_with(tmp_path, data=objects, labels=[1, 2])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"data": ROWS}, "has no array 'labels'"),
        ({"labels": [1, 2]}, "has no array 'data'"),
        ({"data": ROWS, "labels": [1, 2, 3]}, "2 images, but labels of shape (3,)"),
        ({"data": ROWS, "labels": [0, 1]}, "labels outside 1 .. 1000"),
        ({"data": ROWS, "labels": [1, 1001]}, "labels outside 1 .. 1000"),
        ({"data": ROWS[:, :-3], "labels": [1, 2]}, "is data.image_size right?"),
        ({"data": ROWS.astype(np.float32), "labels": [1, 2]}, "float32 values, not bytes"),
    ],
)
def test_an_npz_of_something_else_is_refused(arrays, message, tmp_path):
    assert message in npz_with(tmp_path, **arrays)


def test_a_truncated_npz_is_refused(tmp_path):
    standins.npz(tmp_path)
    file = tmp_path / "train_data_batch_2.npz"
    file.write_bytes(file.read_bytes()[:-300])
    assert f"cannot read {file}" in refused(Npz(root=str(tmp_path), image_size=SIZE))


def test_a_damaged_deflated_npz_is_refused(tmp_path):
    standins.npz_deflated(tmp_path)
    file = tmp_path / "train_data_batch_2.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 255
    file.write_bytes(content)
    assert str(file) in refused(Npz(root=str(tmp_path), image_size=SIZE))


def test_an_npz_bomb_is_refused_before_it_expands(tmp_path):
    """A member that expands a thousand times, to 600 MB."""
    rows = 600_000_000 // (3 * SIZE * SIZE)
    header = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (rows, 3 * SIZE * SIZE)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(tmp_path / "val_data.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("data.npy", "w") as stream:
            stream.write(header.getvalue())
            for _ in range(600):
                stream.write(bytes(1_000_000))
            stream.write(bytes(rows * 3 * SIZE * SIZE - 600_000_000))
        labels = io.BytesIO()
        np.save(labels, np.ones(rows, np.int16))
        archive.writestr("labels.npy", labels.getvalue())
    message = refused(Npz(root=str(tmp_path), split="test", image_size=SIZE))
    assert "exhaust memory" in message


def test_a_header_that_promises_more_than_the_member_holds_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "val_data.npz", "w") as archive:
        stream = io.BytesIO()
        shape = {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 3 * SIZE * SIZE)}
        np.lib.format.write_array_header_1_0(stream, shape)
        archive.writestr("data.npy", stream.getvalue() + b"few")
    message = refused(Npz(root=str(tmp_path), split="test", image_size=SIZE))
    assert "its header promises" in message


def test_a_missing_batch_is_named(tmp_path):
    standins.npz(tmp_path)
    (tmp_path / "train_data_batch_2.npz").unlink()
    assert "lacks train_data_batch_2" in refused(Npz(root=str(tmp_path), image_size=SIZE))


def test_a_batch_given_twice_is_refused(tmp_path):
    standins.npz(tmp_path)
    standins.npz_pickled(tmp_path)
    assert "both" in refused(Npz(root=str(tmp_path), image_size=SIZE))


def test_an_npz_whose_values_take_no_bytes_is_refused(tmp_path):
    """Any number of them fits into a file; as labels they would become terabytes."""
    header = io.BytesIO()
    shape = {"descr": "|S0", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(header, shape)
    rows = io.BytesIO()
    np.save(rows, ROWS)
    with zipfile.ZipFile(tmp_path / "val_data.npz", "w") as archive:
        archive.writestr("data.npy", rows.getvalue())
        archive.writestr("labels.npy", header.getvalue())
    assert "not numbers" in refused(Npz(root=str(tmp_path), split="test", image_size=SIZE))


@pytest.mark.parametrize(
    "labels", [np.array(["1", "2"]), np.array([1.5, 2.0]), np.ones((2, 1), int)]
)
def test_an_npz_of_labels_that_are_no_integers_is_refused(labels, tmp_path):
    assert re.search("not numbers|not integers", npz_with(tmp_path, data=ROWS, labels=labels))
