"""Untrusted zips and shards: names that point outside, damage, wrong labels."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from fmcore_data.edm_zip import EDMZip
from fmcore_data.webdataset import WebDataset

sys.path.insert(0, str(Path(__file__).parent))
import standins
from hostile import png, refused


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
    assert "contains no image" in zipped(tmp_path, {"labels": None}, names=())
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
        ([("a.png", png()), ("a.cls", b"cat")], "not a class number"),
        ([("a.png", png()), ("a.cls", b"1" * 50)], "not a class number"),
        (
            [("a.png", png()), ("a.cls", b"1"), ("b.png", png())],
            "sample of b.png has no .cls, but",
        ),
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
    assert "is not a class number" in zipped(
        tmp_path, {"labels": [["a.png", 10**12], ["b.png", 0]]}
    )
    assert "is not a class number" in shard(
        tmp_path, ("a.png", png()), ("a.cls", b"9999999999999999999")
    )


def test_a_zip_whose_labels_are_nested_too_deep_is_refused(tmp_path):
    assert "not as EDM writes it" in zipped(tmp_path, "[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_an_image_in_a_shard_that_is_no_regular_file_is_refused(kind, tmp_path):
    with tarfile.open(tmp_path / "train-0.tar", "w") as archive:
        standins.add(archive, "c.png", png())
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = kind, "../../../etc/passwd"
        archive.addfile(link)
    assert "a.png is a link, a sparse file or a device" in refused(WebDataset(root=str(tmp_path)))


def test_a_shard_with_a_negative_size_is_refused_without_an_endless_loop(tmp_path):
    with tarfile.open(tmp_path / "train-0.tar", "w") as archive:
        standins.add(archive, "a.png", png())
    content = bytearray((tmp_path / "train-0.tar").read_bytes())
    content[124:136] = (-512).to_bytes(12, "big", signed=True)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    (tmp_path / "train-0.tar").write_bytes(content)
    assert "plain .tar files" in refused(WebDataset(root=str(tmp_path)))
