from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import torch

from fmcore import DataError
from fmcore_data.idx import IDX


def encoded(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    """A set of 7 + 3 images of 4x5 in three classes; the training images packed, the rest not."""
    random = np.random.default_rng(0)
    for prefix, count, packed in (("train", 7, True), ("t10k", 3, False)):
        images = random.integers(0, 256, (count, 4, 5), dtype=np.uint8)
        labels = (np.arange(count) % 3).astype(np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            file = tmp_path / f"{prefix}-{name}-ubyte{'.gz' if packed else ''}"
            content = encoded(array)
            file.write_bytes(gzip.compress(content) if packed else content)
    return tmp_path


def test_images_and_labels_come_out_as_they_were_written(folder):
    data = IDX(root=str(folder))
    assert (data.length, data.shape, data.classes, data.levels) == (7, (1, 4, 5), 3, 256)
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 5), dtype=np.uint8)
    batch = data.batch([6, 0])
    assert torch.equal(batch["x1"], torch.from_numpy(images[[6, 0], None]))
    assert batch["label"].tolist() == [0, 0]
    assert data.with_split("test").length == 3


def test_packed_and_plain_files_have_one_fingerprint(folder):
    before = IDX(root=str(folder)).fingerprint
    for file in folder.glob("*.gz"):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    assert IDX(root=str(folder)).fingerprint == before


def test_one_changed_pixel_changes_the_fingerprint(folder):
    before = IDX(root=str(folder), split="test").fingerprint
    file = folder / "t10k-images-idx3-ubyte"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert IDX(root=str(folder), split="test").fingerprint != before


def test_the_message_without_data_names_the_package_and_the_option():
    with pytest.raises(DataError) as caught:
        IDX(root="/nonexistent").length  # noqa: B018
    assert str(caught.value) == (
        "no file train-images-idx3-ubyte[.gz] in /nonexistent: install Fashion-MNIST "
        "(apt-get install dataset-fashion-mnist), or set data.root=FOLDER to the folder of the "
        "files"
    )


def damaged(folder, change):
    file = folder / "t10k-images-idx3-ubyte"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataError) as caught:
        IDX(root=str(folder), split="test").length  # noqa: B018
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_a_truncated_file_is_refused(folder):
    assert "is truncated: its header promises 60 bytes" in damaged(folder, lambda b: b[:-1])


def test_a_truncated_header_is_refused(folder):
    assert "truncated within its header" in damaged(folder, lambda b: b[:10])


def test_an_empty_file_is_refused(folder):
    assert "begins with nothing" in damaged(folder, lambda b: b"")


def test_trailing_bytes_are_refused(folder):
    assert "continues after its data" in damaged(folder, lambda b: b + b"x")


def test_a_file_of_another_format_is_refused(folder):
    assert "it begins with 89 50 4e 47" in damaged(folder, lambda b: b"\x89PNG" + b)


def test_a_header_of_a_huge_array_is_refused_before_reading(folder):
    huge = struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**15, 2**15)
    assert "is truncated" in damaged(folder, lambda b: huge + b[16:])


def test_a_truncated_gzip_file_is_refused(folder):
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"cannot read .*train-images-idx3-ubyte\.gz"):
        IDX(root=str(folder)).length  # noqa: B018


def test_labels_of_another_set_are_refused(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(encoded(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match="3 images but 4 labels in 't10k'"):
        IDX(root=str(folder), split="test").length  # noqa: B018
