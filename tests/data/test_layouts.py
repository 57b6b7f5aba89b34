"""Where the files of a set lie, as people have them on disk: one set, and the splits kept apart."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from fmcore import DataError
from fmcore_data.huggingface import HuggingFace
from fmcore_data.splits import files_of
from fmcore_data.webdataset import WebDataset

sys.path.insert(0, str(Path(__file__).parent))
import standins


def names(split, *given):
    found = files_of(split, map(Path, given))
    return None if found is None else [file.name for file in found]


def test_a_file_is_of_the_split_that_its_first_word_names():
    given = ("train-0001.tar", "train-0000.tar", "val-0000.tar", "notes-on-test.tar")
    assert names("train", *given) == ["train-0000.tar", "train-0001.tar"]
    assert names("test", *given) == ["val-0000.tar"]


def test_where_no_first_word_does_another_may():
    """As the cache of Hugging Face names its files, and many their shards."""
    given = ("cifar10-test.arrow", "cifar10-train.arrow")
    assert names("train", *given) == ["cifar10-train.arrow"]
    assert names("test", *given) == ["cifar10-test.arrow"]
    assert names("train", "imagenet_test_00.tar") == []


def test_parts_of_words_name_no_split():
    assert names("train", "training.tar", "testimony.tar", "evaluation.tar") is None


def counts(data) -> list[int]:
    return [data.length, data.with_split("test").length]


@pytest.fixture
def hub(tmp_path) -> Path:
    """A folder `data` of train-... and validation-... .parquet, in a folder of its own."""
    pytest.importorskip("pyarrow")
    (tmp_path / "hub").mkdir()
    standins.parquet(tmp_path / "hub")
    return tmp_path / "hub"


def test_a_folder_of_one_configuration_is_looked_into(hub):
    """As CIFAR-10 lies on the hub: plain_text/train-00000-of-00001.parquet."""
    (hub / "data").rename(hub / "plain_text")
    (hub / "README.md").write_text("about it")
    assert HuggingFace.recognizes(hub)
    assert counts(HuggingFace(root=str(hub))) == [23, 7]


def test_a_configuration_with_folders_of_splits_is_looked_into(hub):
    """As the hub's own conversion lies: default/train/0000.parquet."""
    for split in ("train", "validation"):
        (hub / "default" / split).mkdir(parents=True)
        for i, file in enumerate(sorted((hub / "data").glob(f"{split}-*"))):
            shutil.move(file, hub / "default" / split / f"{i:04}.parquet")
    (hub / "data").rmdir()
    assert HuggingFace.recognizes(hub)
    assert counts(HuggingFace(root=str(hub))) == [23, 7]


def test_of_several_configurations_one_has_to_be_chosen(hub):
    shutil.copytree(hub / "data", hub / "small")
    (hub / "data").rename(hub / "large")
    with pytest.raises(DataError, match=r"2 sets: choose one with data.root=.*are large, small"):
        HuggingFace(root=str(hub)).length  # noqa: B018  # the look
    assert counts(HuggingFace(root=str(hub / "small"))) == [23, 7]


def test_the_cache_of_hugging_face_keeps_its_splits(tmp_path):
    """imagefolder-train.arrow beside imagefolder-validation.arrow: two splits, not one set."""
    pytest.importorskip("pyarrow")
    standins.arrow(tmp_path)
    for split in ("train", "validation"):
        (tmp_path / split / "data-00000-of-00001.arrow").rename(
            tmp_path / f"imagefolder-{split}.arrow"
        )
        shutil.rmtree(tmp_path / split)
    assert counts(HuggingFace(root=str(tmp_path))) == [23, 7]


def test_shards_named_after_their_set_keep_their_splits(tmp_path):
    standins.webdataset(tmp_path)
    for shard in list(tmp_path.glob("*.tar")):
        shard.rename(tmp_path / f"imagenet-{shard.name}")
    assert counts(WebDataset(root=str(tmp_path))) == [23, 7]
