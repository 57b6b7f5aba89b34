"""Files from strangers: what is damaged, foreign or made to do harm is refused with a message, and
nothing of it runs."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmcore import DataError, pack
from fmcore_data import archives
from fmcore_data.cifar10 import CIFAR10
from fmcore_data.decoding import Decoder
from fmcore_data.edm_zip import EDMZip
from fmcore_data.huggingface import HuggingFace
from fmcore_data.idx import IDX, read_idx
from fmcore_data.image_folder import ImageFolder
from fmcore_data.npz import Npz
from fmcore_data.packed import PackedImages
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


# --- what a fuzzer found, and what hurts without running anything


def pickle_of(tmp_path, labels: bytes, key: bytes = b"X\x06\0\0\0labels") -> str:
    """The refusal of a batch whose `labels`, or another key, are made by these opcodes."""
    rows = pickle.dumps(ROWS, 2)[2:-1]
    (tmp_path / "val_data").write_bytes(b"\x80\x02}(X\x04\0\0\0data" + rows + key + labels + b"u.")
    return refused(Npz(root=str(tmp_path), split="test", image_size=SIZE))


def test_a_pickle_that_stands_for_a_thousand_billion_labels_is_refused(tmp_path):
    laughs = b"]q\1" + b"0]q\2(h\1h\1eq\1" * 40
    assert "not a list of integers" in pickle_of(tmp_path, laughs)


def test_a_pickle_whose_key_takes_for_ever_to_hash_is_refused(tmp_path):
    assert "tuple of over 1000 values" in pickle_of(tmp_path, b"K\1", key=b"K\1" + b"2\x86" * 40)


def test_a_pickle_with_tuples_too_deep_for_the_stack_is_refused(tmp_path):
    assert "tuple of over 1000 values" in pickle_of(tmp_path, b"K\1", key=b")" + b"\x85" * 100_000)


def test_a_pickle_with_a_memo_of_gigabytes_is_refused(tmp_path):
    assert "as no writer does" in pickle_of(tmp_path, b"K\1r\xff\xff\xff\x7f")


def test_a_pickled_array_of_records_is_refused(tmp_path):
    content = {"data": ROWS, "labels": np.zeros(2, [("a", "u1")])}
    (tmp_path / "val_data").write_bytes(pickle.dumps(content, 2))
    assert "no numbers: refused" in refused(Npz(root=str(tmp_path), split="test", image_size=SIZE))


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


def test_an_encrypted_zip_is_refused(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.png", png())
    content = bytearray(stream.getvalue())
    content[content.find(b"PK\1\2") + 8] |= 1
    content[6] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    assert "encrypted" in refused(EDMZip(root=str(tmp_path / "x.zip")))


def test_a_label_that_would_make_a_network_of_a_trillion_rows_is_refused(tmp_path):
    assert "is not the number of a class" in zipped(
        tmp_path, {"labels": [["a.png", 10**12], ["b.png", 0]]}
    )
    assert "is not the number of a class" in shard(
        tmp_path, ("a.png", png()), ("a.cls", b"9999999999999999999")
    )


def test_a_zip_labelled_by_endless_brackets_is_refused(tmp_path):
    assert "not as EDM writes it" in zipped(tmp_path, "[" * 100_000 + "]" * 100_000)


def test_links_in_a_shard_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "train-0.tar", "w") as archive:
        for kind, name in ((tarfile.SYMTYPE, "a.png"), (tarfile.LNKTYPE, "b.png")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "../../../etc/passwd"
            archive.addfile(link)
        standins.add(archive, "c.png", png())
    assert WebDataset(root=str(tmp_path)).length == 1


def test_a_shard_with_a_negative_size_is_refused_and_does_not_go_round_for_ever(tmp_path):
    with tarfile.open(tmp_path / "train-0.tar", "w") as archive:
        standins.add(archive, "a.png", png())
    content = bytearray((tmp_path / "train-0.tar").read_bytes())
    content[124:136] = (-512).to_bytes(12, "big", signed=True)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    (tmp_path / "train-0.tar").write_bytes(content)
    assert "plain .tar files" in refused(WebDataset(root=str(tmp_path)))


def test_a_gzip_that_expands_five_hundred_times_is_refused_before_it_does(tmp_path):
    header = struct.pack(">HBB3I", 0, 8, 3, 300_000, 32, 32)
    content = gzip.compress(header) + os.urandom(600_000)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"claims to expand \d+ times, to 292 MiB: refused"):
        read_idx(tmp_path / "train-images-idx3-ubyte.gz", 3)


def test_postscript_called_png_is_never_given_to_an_interpreter():
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(pwned) (w) file closefile\n"
    with pytest.raises(DataError, match="cannot identify image"):
        Decoder()(content, "x.png")


def test_a_picture_of_a_format_that_is_not_read_is_refused():
    stream = io.BytesIO()
    Image.new("P", (4, 4)).save(stream, "gif")
    with pytest.raises(DataError, match="cannot identify image"):
        Decoder()(stream.getvalue(), "x.png")


@pytest.mark.parametrize("root", ["~nobody-of-that-name/x", "a" * 5000])
@pytest.mark.parametrize("kind", [Npz, EDMZip, IDX, PackedImages, CIFAR10])
def test_a_root_that_cannot_be_a_folder_is_told(kind, root):
    assert "data.root=" in refused(kind(root=root))


def test_a_parquet_of_one_value_repeated_is_refused_as_it_expands(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(archives, "SMALL", 1 << 20)
    pq.write_table(pa.table({"image": [os.urandom(8_000)] * 2_000}), tmp_path / "train.parquet")
    assert "claims to expand" in refused(HuggingFace(root=str(tmp_path)))


# --- packed


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
    said = json.loads(file.read_text())
    said["splits"]["train"][key] = value
    file.write_text(json.dumps(said))
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
