"""Hidden entries, links and special files, in folders and in archives."""

from __future__ import annotations

import os
import socket
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from fmcore import DataError
from fmcore_data.cifar10 import CIFAR10
from fmcore_data.edm_zip import EDMZip
from fmcore_data.huggingface import HuggingFace
from fmcore_data.idx import IDX
from fmcore_data.image_folder import ImageFolder
from fmcore_data.listing import is_hidden
from fmcore_data.npz import Npz
from fmcore_data.packed import PackedImages
from fmcore_data.webdataset import WebDataset

sys.path.insert(0, str(Path(__file__).parent))
import standins
from hostile import png, refused

HIDDEN = [
    ".ipynb_checkpoints/0-checkpoint.png",
    ".0.png",
    "a/._0.png",
    "__MACOSX/a/._0.png",
    "@eaDir/0.png",
    ".git/annex/0.png",
]


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        *((path, True) for path in HIDDEN),
        ("Thumbs.db", True),
        ("a/.DS_Store", True),
        ("./a/0.png", False),
        ("a.b/c.png", False),
        ("_x/0.png", False),
    ],
)
def test_hidden_paths_are_those_with_a_dot_or_a_system_name(path, hidden):
    assert is_hidden(path) is hidden


@pytest.fixture
def folder(tmp_path):
    """Five images in each of the classes a and b."""
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(5):
            (tmp_path / name / f"{number}.png").write_bytes(png())
    return tmp_path


def size(root: Path) -> tuple[int, int]:
    data = ImageFolder(root=str(root))
    return data.length, data.classes


def test_hidden_entries_of_folders_are_no_images_and_no_classes(folder):
    for path in HIDDEN:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(png())
    assert size(folder) == (10, 2)


def test_hidden_members_of_archives_are_no_images(tmp_path):
    names = ["./a/0.png", "a/1.png", *HIDDEN]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in names:
            archive.writestr(name.removeprefix("./"), png())
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in names:
            standins.add(archive, name, png())
    assert EDMZip(root=str(tmp_path / "x.zip")).length == 2
    assert WebDataset(root=str(tmp_path / "x.tar")).length == 2


def test_hidden_shards_are_not_read(tmp_path):
    standins.webdataset(tmp_path)
    (tmp_path / "._train-000000.tar").write_bytes(b"resource fork")
    assert WebDataset(root=str(tmp_path)).length == 23


def test_a_link_to_a_folder_above_it_is_not_followed(folder):
    os.symlink("..", folder / "a" / "up")
    os.symlink("../..", folder / "a" / "top")
    os.symlink(".", folder / "self")
    assert size(folder) == (10, 2)


def test_links_between_two_folders_read_each_once_in_its_own_class(folder):
    os.symlink("../b", folder / "a" / "x")
    os.symlink("../a", folder / "b" / "y")
    assert size(folder) == (10, 2)
    assert ImageFolder(root=str(folder)).batch(range(10))["label"].tolist() == [0] * 5 + [1] * 5


def test_links_to_files_and_to_other_folders_are_followed(folder, tmp_path_factory):
    pool = tmp_path_factory.mktemp("pool")
    (pool / "0.png").write_bytes(png())
    os.symlink(pool, pool / "again")
    os.symlink(pool, folder / "c")
    os.symlink(pool / "0.png", folder / "a" / "5.png")
    assert size(folder) == (12, 3)


def test_two_links_to_one_folder_are_refused(folder, tmp_path_factory):
    pool = tmp_path_factory.mktemp("pool")
    (pool / "0.png").write_bytes(png())
    for name in "cd":
        os.symlink(pool, folder / name)
    assert "are one folder, through links" in refused(ImageFolder(root=str(folder)))


@pytest.mark.parametrize(("place", "target"), [("test", "train"), ("train/x", "../test")])
def test_links_from_one_split_into_the_other_are_refused(tmp_path, place, target):
    for split in ("train", "test"):
        if place != split:
            (tmp_path / split).mkdir()
            (tmp_path / split / "0.png").write_bytes(png())
    os.symlink(target, tmp_path / place)
    assert "share" in refused(ImageFolder(root=str(tmp_path)))


def test_a_link_to_nothing_and_a_link_to_itself_are_refused_by_name(folder):
    os.symlink("nowhere", folder / "a" / "5.png")
    assert "a/5.png is a link that leads nowhere" in refused(ImageFolder(root=str(folder)))
    (folder / "a" / "5.png").unlink()
    os.symlink("6.png", folder / "a" / "6.png")
    assert "a/6.png is a link that leads nowhere" in refused(ImageFolder(root=str(folder)))


SPECIAL = [
    (ImageFolder, "a/9.png"),
    (EDMZip, "x.zip"),
    (WebDataset, "train-0.tar"),
    (HuggingFace, "train.parquet"),
    (HuggingFace, "data/train.arrow"),
    (Npz, "train_data_batch_1.npz"),
    (CIFAR10, "data_batch_1.bin"),
    (IDX, "train-images-idx3-ubyte"),
    (PackedImages, "manifest.json"),
]


@pytest.mark.parametrize(("reader", "name"), SPECIAL)
def test_a_fifo_is_refused_by_name_and_never_opened(tmp_path, reader, name):
    """Opening it would wait for a writer for ever."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    reader.recognizes(tmp_path)
    reader.recognizes(tmp_path / name)
    assert f"{tmp_path / name} is a FIFO" in refused(reader(root=str(tmp_path)))
    assert str(tmp_path) in refused(reader(root=str(tmp_path / name)))


def test_a_socket_is_refused_by_name(folder, monkeypatch):
    monkeypatch.chdir(folder / "a")  # the path of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("9.png")
        assert "a/9.png is a socket" in refused(ImageFolder(root=str(folder)))


@pytest.mark.parametrize("reader", [ImageFolder, EDMZip, WebDataset, HuggingFace])
def test_an_error_names_the_absolute_folder_and_its_contents(reader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        Path(f"{number}.gif").write_bytes(b"GIF89a")
    message = refused(reader(root="."))
    assert str(tmp_path) in message
    assert "contains 3 .gif files" in message
    (tmp_path / "empty").mkdir()
    assert "contains no files" in refused(reader(root="empty"))


def test_a_file_as_root_of_a_folder_of_images_is_refused(folder):
    assert "is a file, not a folder" in refused(ImageFolder(root=str(folder / "a" / "0.png")))


def test_a_folder_that_cannot_be_read_is_an_error(folder, monkeypatch):
    """os.walk would leave its images out."""
    scan = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"cannot read the folder .*/b: Permission denied"):
        ImageFolder(root=str(folder)).length  # noqa: B018
