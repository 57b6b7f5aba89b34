"""Untrusted folders: CIFAR-10, IDX and packed images that are not what they claim."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from fmcore import DataError, MissingSplitError
from fmcore_data.cifar10 import CIFAR10
from fmcore_data.edm_zip import EDMZip
from fmcore_data.idx import IDX, read_idx
from fmcore_data.npz import Npz
from fmcore_data.packed import PackedImages
from fmcore_data.packing import pack

sys.path.insert(0, str(Path(__file__).parent))
import standins
from hostile import SIZE, refused


def cifar(root: Path, binary: bool) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (6, 2, 3072), dtype=np.uint8)
    labels = random.integers(0, 10, (6, 2))
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    for name, rows, own in zip(names, pixels, labels, strict=True):
        if binary:
            records = np.concatenate([own[:, None].astype(np.uint8), rows], axis=1)
            (root / f"{name}.bin").write_bytes(records.tobytes())
        else:
            content = {b"data": rows, b"labels": own.tolist(), b"filenames": [b"a", b"b"]}
            (root / name).write_bytes(pickle.dumps(content, 2))
    return pixels, labels


@pytest.mark.parametrize("folder", [".", "cifar-10-batches-bin", "cifar-10-batches-py"])
@pytest.mark.parametrize("binary", [True, False])
def test_both_versions_of_cifar10_are_read(folder, binary, tmp_path):
    (tmp_path / folder).mkdir(exist_ok=True)
    pixels, labels = cifar(tmp_path / folder, binary)
    data = CIFAR10(root=str(tmp_path))
    batch = data.batch(range(10))
    assert np.array_equal(batch["x1"].numpy(), pixels[:5].reshape(10, 3, 32, 32))
    assert batch["label"].tolist() == labels[:5].ravel().tolist()
    assert (data.classes, data.with_split("test").length) == (10, 2)
    assert CIFAR10.recognizes(tmp_path)


def test_damaged_cifar10_is_refused(tmp_path):
    cifar(tmp_path, binary=True)
    file = tmp_path / "data_batch_3.bin"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    assert "truncated" in refused(CIFAR10(root=str(tmp_path)))
    file.write_bytes(b"\x0a" + content[1:])
    assert "not one of ten classes" in refused(CIFAR10(root=str(tmp_path)))
    file.unlink()
    assert "no file data_batch_3[.bin]" in refused(CIFAR10(root=str(tmp_path)))


def test_a_test_split_that_is_not_there_is_missing_and_one_without_labels_is_damaged(tmp_path):
    header = struct.pack(">HBB3I", 0, 8, 3, 1, 2, 2)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(header + bytes(4))
    cifar(tmp_path, binary=True)
    (tmp_path / "test_batch.bin").unlink()
    standins.npz(tmp_path)
    (tmp_path / "val_data.npz").unlink()
    for kind in (IDX, CIFAR10, Npz):
        with pytest.raises(MissingSplitError, match=r"no file (t10k|test|val).* data\.root=FOLDER"):
            kind(root=str(tmp_path), split="test").length  # noqa: B018
        assert str(tmp_path) in refused(kind(root=str(tmp_path), split="test"))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(header + bytes(4))
    with pytest.raises(DataError, match="no file t10k-labels") as caught:
        IDX(root=str(tmp_path), split="test").length  # noqa: B018
    assert not isinstance(caught.value, MissingSplitError)


def test_a_gzip_that_expands_five_hundred_times_is_refused_before_it_does(tmp_path):
    header = struct.pack(">HBB3I", 0, 8, 3, 300_000, 32, 32)
    content = gzip.compress(header) + os.urandom(600_000)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"claims to expand \d+ times, to 292 MiB: refused"):
        read_idx(tmp_path / "train-images-idx3-ubyte.gz", 3)


@pytest.mark.parametrize("root", ["~nobody-of-that-name/x", "a" * 5000])
@pytest.mark.parametrize("kind", [Npz, EDMZip, IDX, PackedImages, CIFAR10])
def test_a_root_that_cannot_be_a_folder_is_refused(kind, root):
    assert "data.root=" in refused(kind(root=root))


@pytest.fixture
def packed_images(tmp_path):
    standins.npz(tmp_path)
    pack(Npz(root=str(tmp_path), image_size=SIZE), tmp_path / "packed")
    return tmp_path / "packed"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shape", 3),
        ("shape", [3, -8, 8]),
        ("count", "23"),
        ("levels", 10**9),
        ("fingerprint", 1),
        ("classes", 10**12),
    ],
)
def test_a_manifest_of_something_else_is_refused(key, value, packed_images):
    file = packed_images / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["splits"]["train"][key] = value
    file.write_text(json.dumps(manifest))
    assert "is damaged" in refused(PackedImages(root=str(packed_images)))


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"format": 1}', "\0"])
def test_what_is_no_manifest_is_refused(text, packed_images):
    (packed_images / "manifest.json").write_text(text)
    assert "manifest.json is" in refused(PackedImages(root=str(packed_images)))


def test_another_kind_of_file_in_place_of_packed_pixels_is_refused(packed_images):
    np.savez(packed_images / "x.npz", a=np.zeros(3))
    (packed_images / "x.npz").rename(packed_images / "train.images.npy")
    assert "cannot read" in refused(PackedImages(root=str(packed_images)))


def test_packed_labels_beyond_the_classes_are_refused(packed_images):
    labels = np.load(packed_images / "train.labels.npy")
    np.save(packed_images / "train.labels.npy", labels + 10**12)
    assert "is none of" in refused(PackedImages(root=str(packed_images)))
