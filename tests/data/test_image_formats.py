"""Every image format gives the same tensors, labels and fingerprint for the same images."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fmcore import DataError, MissingSplitError
from fmcore.testing import DatasetSuite, run_suite
from fmcore_data.edm_zip import EDMZip
from fmcore_data.huggingface import HuggingFace
from fmcore_data.image_folder import ImageFolder
from fmcore_data.npz import Npz
from fmcore_data.packed import PackedImages
from fmcore_data.packing import pack
from fmcore_data.webdataset import WebDataset

sys.path.insert(0, str(Path(__file__).parent))
import standins

FORMATS = {
    "npz_stored": (standins.npz, Npz, {"image_size": standins.SIZE}),
    "npz_deflated": (standins.npz_deflated, Npz, {"image_size": standins.SIZE}),
    "npz_pickled": (standins.npz_pickled, Npz, {"image_size": standins.SIZE}),
    "image_folder": (standins.image_folder, ImageFolder, {}),
    "flat_folder": (standins.flat_folder, ImageFolder, {"labels": "name"}),
    "edm_zip": (standins.edm_zip, EDMZip, {}),
    "webdataset": (standins.webdataset, WebDataset, {}),
    "parquet": (standins.parquet, HuggingFace, {}),
    "arrow": (standins.arrow, HuggingFace, {}),
}


def made(name, place):
    write, reader, options = FORMATS[name]
    if name in ("parquet", "arrow"):
        pytest.importorskip("pyarrow")
    write(place)
    return reader(root=str(place), **options)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_images_labels_and_fingerprint(name, tmp_path):
    data = made(name, tmp_path)
    for split, own in (("train", data), ("val", data.with_split("test"))):
        pixels, labels = standins.images(split)
        batch = own.batch(range(own.length))
        assert own.shape == (3, standins.SIZE, standins.SIZE)
        assert torch.equal(batch["x1"], torch.from_numpy(pixels))
        assert batch["label"].tolist() == labels.tolist()
        # the official dataset always has a thousand classes
        assert own.classes == (1000 if name.startswith("npz") else 3)
    assert data.fingerprint == fingerprint(*standins.images("train"))


def fingerprint(pixels, labels):
    """As the docstring of `image_fingerprint` defines it."""
    content = f"images 1/{len(pixels)}/{pixels.shape[1:]}".encode()
    content += labels.astype("<i8").tobytes() + pixels.tobytes()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_conforms(name, tmp_path):
    data = made(name, tmp_path)

    class Suite(DatasetSuite):
        def component(self):
            return dataclasses.replace(data)

    assert [result for result in run_suite(Suite) if not result.passed] == []


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_recognised_and_by_its_own_reader_alone(name, tmp_path):
    data = made(name, tmp_path)
    readers = {reader for _, reader, _ in FORMATS.values()} | {PackedImages}
    assert [reader for reader in readers if reader.recognizes(tmp_path)] == [type(data)]


@pytest.mark.parametrize("name", FORMATS)
def test_a_packed_set_is_the_set(name, tmp_path):
    (tmp_path / "source").mkdir()
    data = made(name, tmp_path / "source")
    steps = []
    out = tmp_path / "out"
    pack(data, out, source={"name": name}, progress=lambda *step: steps.append(step))
    packed = PackedImages(root=str(out))
    for own, other in ((data, packed), (data.with_split("test"), packed.with_split("test"))):
        assert (other.length, other.shape, other.classes, other.levels) == (
            own.length,
            own.shape,
            own.classes,
            own.levels,
        )
        assert other.fingerprint == own.fingerprint
        rows = [own.length - 1, 0, 3, 3]
        for key, value in own.batch(rows).items():
            assert torch.equal(other.batch(rows)[key], value)
    assert steps == [("train", 23, 23), ("test", 7, 7)]


def test_packed_conforms(tmp_path):
    pack(made("image_folder", tmp_path), tmp_path / "out")

    class Suite(DatasetSuite):
        def component(self):
            return PackedImages(root=str(tmp_path / "out"))

    assert [result for result in run_suite(Suite) if not result.passed] == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:-1], r"cannot read .*images\.npy"),
        (lambda b: b[:-1] + bytes([b[-1] ^ 1]), "not those that were packed"),
        (lambda b: b"", r"cannot read .*images\.npy"),
    ],
)
def test_damaged_packed_images_are_refused(damage, message, tmp_path):
    pack(made("image_folder", tmp_path), tmp_path / "out")
    file = tmp_path / "out" / "train.images.npy"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=message):
        PackedImages(root=str(tmp_path / "out")).length  # noqa: B018


def test_packing_leaves_nothing_when_it_fails(tmp_path):
    data = made("image_folder", tmp_path)
    next((tmp_path / "val").rglob("*.PNG")).write_bytes(b"no image")
    with pytest.raises(DataError, match="cannot be read as an image"):
        pack(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.part").exists()


def test_packing_refuses_to_overwrite_and_clears_the_files_of_a_killed_process(tmp_path):
    data = made("image_folder", tmp_path)
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "train.images.npy").write_bytes(b"half")
    pack(data, tmp_path / "out")
    with pytest.raises(DataError, match="exists"):
        pack(data, tmp_path / "out")


def test_the_message_without_packed_images_names_the_command_and_the_option(tmp_path):
    with pytest.raises(DataError, match=r"fmcore data pack SRC .*data\.root=FOLDER"):
        PackedImages(root=str(tmp_path)).length  # noqa: B018


def test_a_split_that_was_not_packed_is_named(tmp_path):
    pack(made("image_folder", tmp_path), tmp_path / "out", splits=["train"])
    with pytest.raises(MissingSplitError, match="holds no 'test' split; it holds train"):
        PackedImages(root=str(tmp_path / "out"), split="test").length  # noqa: B018


def test_the_two_imagenet32_sets_are_distinguished():
    """By their counts and shapes."""
    from fmcore_data.dataset_names import name_known_dataset

    ours = name_known_dataset((3, 32, 32), "test", 50_000)
    other = name_known_dataset((3, 32, 32), "test", 49_999)
    assert "the paper's" in ours
    assert "not the paper's" in other
    assert "Chrabaszcz" in ours
    assert "van den Oord" in other
    assert name_known_dataset((3, 32, 32), "train", 50_000) == ""  # CIFAR-10
    assert name_known_dataset((1, 28, 28), "test", 50_000) == ""


def test_van_den_oords_folders_are_read_without_labels(tmp_path):
    pixels, _ = standins.images("train")
    for place, rows in (("train_8x8", range(20)), ("valid_8x8", range(20, 23))):
        (tmp_path / place).mkdir()
        for row in rows:
            content, suffix = standins.encoded(pixels[row], row)
            (tmp_path / place / f"{row:07}.{suffix}").write_bytes(content)
    data = ImageFolder(root=str(tmp_path))
    assert (data.length, data.classes, data.with_split("test").length) == (20, 0, 3)
    batch = data.with_split("test").batch([0, 1, 2])
    assert torch.equal(batch["x1"], torch.from_numpy(pixels[20:]))
    assert set(batch) == {"x1"}


def test_batches_as_large_as_shards_cross_their_borders(tmp_path):
    data = made("npz_stored", tmp_path)
    rows = np.random.default_rng(0).permutation(23)
    expected = standins.images("train")[0][rows]
    assert torch.equal(data.batch(rows.tolist())["x1"], torch.from_numpy(expected))


@pytest.mark.parametrize("reader", [reader for _, reader, _ in FORMATS.values()])
def test_the_shape_is_known_without_files_from_image_size(reader):
    """A dry run counts parameters without the data."""
    assert reader(root="/nowhere", image_size=64).shape == (3, 64, 64)
