"""Files from strangers: what is damaged, foreign or made to do harm is refused with a message, and
nothing of it runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmcore import DataError
from fmcore_data.cifar10 import CIFAR10
from fmcore_data.decoding import Decoder
from fmcore_data.edm_zip import EDMZip
from fmcore_data.huggingface import HuggingFace
from fmcore_data.image_folder import ImageFolder
from fmcore_data.npz import Npz
from fmcore_data.pickles import read_pickle
from fmcore_data.webdataset import WebDataset

sys.path.insert(0, str(Path(__file__).parent))
import standins

SIZE = standins.SIZE


def refused(data) -> str:
    with pytest.raises(DataError) as caught:
        data.batch(range(data.length))
    return str(caught.value)


def png(size=(SIZE, SIZE), mode="RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, "png")
    return stream.getvalue()


# --- pickles


class Evil:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


class Nested:
    """An array of objects, whose elements are pickled too."""

    def __reduce__(self):
        return np.array([Evil()], dtype=object).__reduce__()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("harm", [Evil, Nested])
def test_a_pickle_that_calls_a_function_is_refused_and_does_not(
    protocol, harm, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "val_data").write_bytes(pickle.dumps({"data": harm()}, protocol))
    message = refused(Npz(root=str(tmp_path), split="test", image_size=SIZE))
    assert "refused" in message
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_arrays_of_every_protocol_are_read(protocol, tmp_path):
    file = tmp_path / "batch"
    content = {b"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2]}
    file.write_bytes(pickle.dumps(content, protocol))
    found = read_pickle(file)
    assert found["labels"] == [1, 2]
    assert np.array_equal(found["data"], content[b"data"])


def test_an_array_as_python_2_wrote_it_is_read(tmp_path):
    """The Python version of CIFAR-10: protocol 2 with byte strings, numpy.core.multiarray."""
    values = bytes(range(6))
    head = b"\x80\x02}q\x00U\x04dataq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray"
    head += b"\nq\x03K\x00\x85q\x04U\x01bq\x05\x87q\x06Rq\x07(K\x01K\x02K\x03\x86q\x08cnumpy\ndtype"
    head += b"\nq\tU\x02u1q\nK\x00K\x01\x87q\x0bRq\x0c(K\x03U\x01|q\rNNNJ\xff\xff\xff\xffJ\xff\xff"
    head += b"\xff\xffK\x00tq\x0eb\x89U\x06" + values + b"q\x0ftq\x10bs."
    (tmp_path / "batch").write_bytes(head)
    assert read_pickle(tmp_path / "batch")["data"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04cnumpy\nndarray\n(K\x01\x85R.",  # ndarray called outright
        b"\x80\x04cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
        b"\x80\x04cnumpy\ndtype\n(X\x01\x00\x00\x00OtR.",
        b"\x80\x04Pwhere\n.",
        b"\x80\x04X\xff\xff\xff\x7fab",  # two gigabytes promised, two bytes there
        b"not a pickle",
        b"",
        pickle.dumps([1, 2]),
    ],
)
def test_other_pickles_are_refused(content, tmp_path):
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(DataError, match="batch"):
        read_pickle(tmp_path / "batch")


# --- npz


def npz_with(tmp_path, **arrays):
    np.savez(tmp_path / "val_data.npz", **arrays)
    return refused(Npz(root=str(tmp_path), split="test", image_size=SIZE))


ROWS = np.zeros((2, 3 * SIZE * SIZE), np.uint8)


def test_an_npz_of_objects_is_refused(tmp_path):
    objects = np.array([Evil(), Evil()], dtype=object)
    assert "holds Python objects" in npz_with(tmp_path, data=objects, labels=[1, 2])


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


# --- images


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
        (png(mode="I;16"), "only 8-bit images"),
    ],
)
def test_what_is_no_decent_image_is_refused_by_name(content, message):
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


def test_an_image_too_small_for_the_size_asked_for_is_named():
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


def test_transparency_lies_on_white():
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    stream = io.BytesIO()
    image.save(stream, "png")
    assert Decoder()(stream.getvalue(), "x")[:, 0].T.tolist() == [[255] * 3, [10, 20, 30]]


# --- archives


@pytest.mark.parametrize("name", ["../up.png", "/etc/x.png", "a/../../b.png", "a\\b.png"])
def test_names_that_point_outside_are_refused(name, tmp_path):
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        archive.writestr(name, png())
    with tarfile.open(tmp_path / "train-0.tar", "w") as shard:
        standins.add(shard, name, png())
    for data in (EDMZip(root=str(tmp_path)), WebDataset(root=str(tmp_path))):
        assert "points outside: refused" in refused(data)


def zipped(tmp_path, labels, names=("a.png", "b.png")) -> str:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in names:
            archive.writestr(name, png())
        archive.writestr("dataset.json", labels if isinstance(labels, str) else json.dumps(labels))
    return refused(EDMZip(root=str(tmp_path / "x.zip")))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"labels": [["a.png", 0]]}, "label of b.png in dataset.json is None"),
        ({"labels": [["a.png", 0], ["b.png", "1"]]}, "is '1'"),
        ({"labels": [["a.png", 0], ["b.png", [0.5]]]}, "is [0.5]"),
        ({"labels": [["a.png", 0], ["b.png", -1]]}, "is -1"),
        ({"label": []}, "not as EDM writes it"),
        ("{", "not as EDM writes it"),
    ],
)
def test_wrong_labels_in_a_zip_are_named(labels, message, tmp_path):
    assert message in zipped(tmp_path, labels)


def test_a_zip_without_images_and_no_zip_at_all_are_refused(tmp_path):
    assert "holds no image" in zipped(tmp_path, {"labels": None}, names=())
    (tmp_path / "y.zip").write_bytes(b"no zip")
    assert "cannot read" in refused(EDMZip(root=str(tmp_path / "y.zip")))


def test_a_zip_without_labels_has_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", png())
        archive.writestr("dataset.json", '{"labels": null}')
    data = EDMZip(root=str(tmp_path / "x.zip"))
    assert data.classes == 0
    assert set(data.batch([0])) == {"x1"}


def shard(tmp_path, *members: tuple[str, bytes]) -> str:
    with tarfile.open(tmp_path / "train-0.tar", "w") as archive:
        for name, content in members:
            standins.add(archive, name, content)
    return refused(WebDataset(root=str(tmp_path)))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a.cls", b"0")], "sample 'a' has no image"),
        ([("a.jxl", b"x"), ("a.cls", b"0")], "sample 'a' has no image"),
        ([("a.png", png()), ("a.cls", b"cat")], "not the number of a class"),
        ([("a.png", png()), ("a.cls", b"1" * 50)], "not the number of a class"),
        ([("a.png", png()), ("a.cls", b"1"), ("b.png", png())], "b.png has no .cls beside it"),
    ],
)
def test_wrong_samples_in_a_shard_are_named(members, message, tmp_path):
    assert message in shard(tmp_path, *members)


def test_a_compressed_or_truncated_shard_is_refused(tmp_path):
    standins.webdataset(tmp_path)
    file = tmp_path / "train-000000.tar"
    content = file.read_bytes()
    file.write_bytes(zlib.compress(content))
    assert "plain .tar files" in refused(WebDataset(root=str(tmp_path)))
    file.write_bytes(content[:1500])
    assert str(file) in refused(WebDataset(root=str(tmp_path)))


def test_a_set_without_splits_says_how_to_hold_some_out(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        for row, _, label, content, suffix in standins.files("train"):
            standins.add(archive, f"{row:05}.{suffix}", content)
            standins.add(archive, f"{row:05}.cls", str(label).encode())
    data = WebDataset(root=str(tmp_path))
    assert data.length == 23
    assert "data.held_out=N" in refused(data.with_split("test"))
    parts = [WebDataset(root=str(tmp_path), held_out=5, split=split) for split in ("train", "test")]
    assert [part.length for part in parts] == [18, 5]
    rows = {row.numpy().tobytes() for part in parts for row in part.batch(range(part.length))["x1"]}
    assert rows == {row.tobytes() for row in standins.images("train")[0]}


# --- parquet


def test_columns_are_chosen_by_name_and_wrong_ones_named(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"one": [png()], "two": [png()], "fine_label": [3], "text": ["x"]})
    pq.write_table(table, tmp_path / "train.parquet")
    root = str(tmp_path)
    assert "name one with data.image_column=NAME" in refused(HuggingFace(root=root))
    assert "no column 'three'" in refused(HuggingFace(root=root, image_column="three"))
    wrong = HuggingFace(root=root, image_column="one", label_column="text")
    assert "not the number of a class" in refused(wrong)
    data = HuggingFace(root=root, image_column="one")
    assert (data.length, data.classes) == (1, 4)


def test_withheld_labels_and_rows_without_bytes_are_named(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    image = pa.array([{"bytes": png(), "path": None}], kind)
    pq.write_table(pa.table({"image": image, "label": [-1]}), tmp_path / "train.parquet")
    assert "withheld" in refused(HuggingFace(root=str(tmp_path)))
    gone = pa.array([{"bytes": None, "path": "a.png"}], kind)
    pq.write_table(pa.table({"image": gone, "label": [0]}), tmp_path / "train.parquet")
    assert "row 0 holds no bytes" in refused(HuggingFace(root=str(tmp_path)))


def test_files_with_different_columns_are_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"image": [png()]}), tmp_path / "train-0.parquet")
    pq.write_table(pa.table({"img": [png()]}), tmp_path / "train-1.parquet")
    assert "different columns" in refused(HuggingFace(root=str(tmp_path)))


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "train.parquet").write_bytes(b"PAR1 no")
    assert "cannot read" in refused(HuggingFace(root=str(tmp_path)))


# --- CIFAR-10


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
