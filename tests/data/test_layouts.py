"""Layouts of datasets on disk: the hub, the cache of Hugging Face, folders of shards."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from fmcore import DataError
from fmcore_data.huggingface import HuggingFace
from fmcore_data.webdataset import WebDataset

sys.path.insert(0, str(Path(__file__).parent))
import standins


def counts(data) -> list[int]:
    return [data.length, data.with_split("test").length]


@pytest.fixture
def hub(tmp_path) -> Path:
    """A folder `data` of train-... and validation-... .parquet, in a folder of its own."""
    pytest.importorskip("pyarrow")
    (tmp_path / "hub").mkdir()
    standins.parquet(tmp_path / "hub")
    return tmp_path / "hub"


def test_the_folder_of_the_only_configuration_is_read(hub):
    """Like CIFAR-10 on the hub: plain_text/train-00000-of-00001.parquet."""
    (hub / "data").rename(hub / "plain_text")
    (hub / "README.md").write_text("about it")
    assert HuggingFace.recognizes(hub)
    assert counts(HuggingFace(root=str(hub))) == [23, 7]


def test_a_configuration_with_folders_of_splits_is_read(hub):
    """Like the hub's own conversion: default/train/0000.parquet."""
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
        HuggingFace(root=str(hub)).length  # noqa: B018
    assert counts(HuggingFace(root=str(hub / "small"))) == [23, 7]


def test_the_cache_of_hugging_face_has_splits(tmp_path):
    """imagefolder-train.arrow and imagefolder-validation.arrow; results of `map` are not read."""
    pytest.importorskip("pyarrow")
    standins.arrow(tmp_path)
    for split in ("train", "validation"):
        (tmp_path / split / "data-00000-of-00001.arrow").rename(
            tmp_path / f"imagefolder-{split}.arrow"
        )
        shutil.rmtree(tmp_path / split)
    shutil.copy(tmp_path / "imagefolder-train.arrow", tmp_path / "cache-0123456789abcdef.arrow")
    assert counts(HuggingFace(root=str(tmp_path))) == [23, 7]


def test_the_cache_folder_of_a_download_is_not_read(hub):
    """huggingface_hub writes ROOT/.cache when it downloads to a folder."""
    shutil.copytree(hub / "data", hub / ".cache" / "train")
    assert counts(HuggingFace(root=str(hub))) == [23, 7]


def test_shards_named_after_their_dataset_have_splits(tmp_path):
    standins.webdataset(tmp_path)
    for shard in list(tmp_path.glob("*.tar")):
        shard.rename(tmp_path / f"imagenet-{shard.name}")
    assert counts(WebDataset(root=str(tmp_path))) == [23, 7]


def test_shards_in_folders_of_splits_are_read(tmp_path):
    standins.webdataset(tmp_path)
    for shard in list(tmp_path.glob("*.tar")):
        place = tmp_path / shard.name.partition("-")[0]
        place.mkdir(exist_ok=True)
        shard.rename(place / shard.name.partition("-")[2])
    assert counts(WebDataset(root=str(tmp_path))) == [23, 7]


def test_shards_in_other_folders_are_named(tmp_path):
    (tmp_path / "part1").mkdir()
    standins.webdataset(tmp_path / "part1")
    data = WebDataset(root=str(tmp_path))
    with pytest.raises(DataError, match=r"folders that name no split: part1; set data\.splits=no"):
        data.length  # noqa: B018


def test_an_error_names_the_table_and_the_row_in_it(hub):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = hub / "data" / "train-00001-of-00002.parquet"
    table = pq.read_table(file).to_pydict()
    table["image"][2]["bytes"] = b"no image"
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"image": pa.array(table["image"], kind), "label": table["label"]}
    pq.write_table(pa.table(columns), file)
    data = HuggingFace(root=str(hub), image_column="image")
    with pytest.raises(DataError) as caught:
        data.batch([15 + 2])
    assert str(caught.value).startswith(f"{file}: row 2 cannot be read as an image")
