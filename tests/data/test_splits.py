"""The split rule for folders, shards, archives and tables: which names are splits or one set."""

from __future__ import annotations

import hashlib
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from fmcore import DataError, MissingSplitError, create, load_recipe
from fmcore_data.edm_zip import EDMZip
from fmcore_data.huggingface import HuggingFace
from fmcore_data.image_folder import ImageFolder
from fmcore_data.webdataset import WebDataset

sys.path.insert(0, str(Path(__file__).parent))
import standins
from hostile import png, refused

TRAIN, TEST = 3, 2  # images a train and a test folder


def write_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / f"{number}.png")


def write_shard(file: Path, count: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for number in range(count):
            standins.add(archive, f"{number}.png", png((4, 4)))


def write_zip(file: Path, count: int, names: str = "{}.png") -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            archive.writestr(names.format(number), png((4, 4)))


def write_table(file: Path, count: int) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({"image": [png((4, 4))] * count}), file)


WRITERS = {
    "folder": (write_images, ImageFolder, ""),
    "shard": (write_shard, WebDataset, ".tar"),
    "zip": (write_zip, EDMZip, ".zip"),
    "table": (write_table, HuggingFace, ".parquet"),
}


@pytest.fixture(params=WRITERS)
def made(request, tmp_path):
    """Write entries of the given names and counts in one format, and read them."""
    write, reader, suffix = WRITERS[request.param]

    def make(entries, **options):
        for name, count in entries.items():
            write(tmp_path / f"{name}{suffix}", count)
        return reader(root=str(tmp_path), **options)

    return make


def counts(data) -> list[int]:
    return [data.length, data.with_split("test").length]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("train", "val"),
        ("train", "valid"),
        ("train", "validation"),
        ("train", "dev"),
        ("training", "testing"),
        ("Train", "Test"),
        ("train2017", "val2017"),
        ("train-64", "test-64"),
        ("train_64x64", "valid_64x64"),
        ("train-00000-of-00001", "validation-00000-of-00001"),
        ("train-00000-of-00001-0a1b2c3d4e5f6789", "test-00000-of-00001-fedcba9876543210"),
        ("cifar10-train", "cifar10-test"),
        ("train_images", "test_images"),
        ("imagenet1k-train-0000", "imagenet1k-validation-00"),
        ("trainA", "testA"),
    ],
)
def test_split_words_with_one_rest_name_splits(made, train, test):
    assert counts(made({train: TRAIN, test: TEST})) == [TRAIN, TEST]


@pytest.mark.parametrize(
    "names",
    [
        ("apple", "bicycle", "train", "whale"),
        ("apple", "test"),
        ("valid", "invalid"),
        ("dev", "prod"),
        ("training", "apple", "testing"),
        ("train_images", "test_images", "masks"),
        ("train_station", "test_pilot"),
        ("trainA", "trainB", "testA", "testB"),
        ("train", "val", "unlabeled"),
        ("train", "training", "test"),
        ("train", "val", "validation"),
    ],
)
def test_other_mixtures_of_names_are_refused_with_the_option(made, names):
    with pytest.raises(DataError, match=r"ambiguous: .*data\.splits=none .*\{train: NAME"):
        made(dict.fromkeys(names, TRAIN)).length  # noqa: B018


@pytest.mark.parametrize("names", [("train_station", "airport"), ("contest", "evaluate", "trains")])
def test_a_split_word_inside_the_name_of_a_class_names_no_split(names, tmp_path):
    for name in names:
        write_images(tmp_path / "folders" / name, TRAIN)
        write_shard(tmp_path / "shards" / f"{name}-000.tar", TRAIN)
    data = ImageFolder(root=str(tmp_path / "folders"))
    assert (data.length, data.classes) == (TRAIN * len(names), len(names))
    assert WebDataset(root=str(tmp_path / "shards")).length == TRAIN * len(names)


def test_a_validation_split_is_read_before_a_test_split(made):
    """The test images of ImageNet have no labels."""
    assert counts(made({"train": TRAIN, "test": 5, "val": TEST})) == [TRAIN, TEST]


def test_several_folders_of_one_split_are_refused_and_several_shards_are_not(tmp_path):
    for name in ("train-32", "train-64", "val-32"):
        write_images(tmp_path / "folders" / name, TRAIN)
        write_shard(tmp_path / "shards" / f"{name}.tar", TRAIN)
    with pytest.raises(DataError, match="'train-32', 'train-64' name one split"):
        ImageFolder(root=str(tmp_path / "folders")).length  # noqa: B018
    assert counts(WebDataset(root=str(tmp_path / "shards"))) == [2 * TRAIN, TRAIN]


def test_splits_none_reads_folders_as_classes(tmp_path):
    for name in ("apple", "train", "whale"):
        write_images(tmp_path / name, TRAIN)
    data = ImageFolder(root=str(tmp_path), splits="none")
    assert (data.length, data.classes) == (9, 3)
    assert data.batch([0, 3, 6])["label"].tolist() == [0, 1, 2]


def test_splits_none_reads_all_shards_as_one_set(tmp_path):
    for name in ("apple", "train", "test"):
        write_shard(tmp_path / f"{name}.tar", TRAIN)
    assert WebDataset(root=str(tmp_path), splits="none").length == 9
    parts = [WebDataset(root=str(tmp_path), splits="none", held_out=2, split=s) for s in PARTS]
    assert [part.length for part in parts] == [7, 2]


PARTS = ("train", "test")


def test_a_mapping_names_the_splits(made):
    entries = {"a1": TRAIN, "b1": TEST, "train": 7}
    data = made(entries, splits={"train": "a", "test": "b"})
    if isinstance(data, ImageFolder):  # the name of a folder, not its beginning
        data = ImageFolder(root=data.root, splits={"train": "a1", "test": "b1"})
    assert counts(data) == [TRAIN, TEST]


def test_a_mapping_names_nested_folders(tmp_path):
    for split, count in (("train2017", TRAIN), ("val2017", TEST)):
        write_images(tmp_path / "images" / split, count)
        write_shard(tmp_path / "tars" / split / "0.tar", count)
    for reader, top in ((ImageFolder, "images"), (WebDataset, "tars")):
        splits = {"train": f"{top}/train2017", "test": f"{top}/val2017"}
        assert counts(reader(root=str(tmp_path), splits=splits)) == [TRAIN, TEST]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": "nothing"}, "has no 'nothing', which data.splits.train names"),
        ({"train": "a1", "test": "a1"}, "both splits|share a folder"),
    ],
)
def test_a_mapping_to_nothing_or_to_one_place_is_refused(made, splits, message):
    with pytest.raises(DataError, match=message):
        made({"a1": TRAIN}, splits=splits).length  # noqa: B018


@pytest.mark.parametrize("splits", [{"val": "a"}, {}, {"train": ""}, "all", "auto"])
def test_other_values_of_splits_are_refused_by_the_constructor(splits):
    with pytest.raises(DataError, match="expected none, or a mapping of train and test"):
        ImageFolder(root="/nowhere", splits=splits)


def test_splits_is_an_option_of_recipes_and_of_create(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / name, TRAIN)
    options = {"root": str(tmp_path), "splits": {"train": "a", "test": "b"}}
    data = create("data", "image_folder", **options)
    assert counts(data) == [TRAIN, TRAIN]
    assert hash(data) == hash(create("data", "image_folder", **options))
    assert create("data", "image_folder", root=str(tmp_path), splits="none").classes == 2
    words = f"data: {{name: image_folder, root: {tmp_path}, splits: {{train: a, test: b}}}}"
    (tmp_path / "r.yaml").write_text(f"{words}\npath: ot\nmodel: unet\n")
    assert load_recipe(tmp_path / "r.yaml").build("data") == data
    changed = load_recipe(tmp_path / "r.yaml", ["data.splits.test=a", "data.splits.train=b"])
    assert changed.build("data").splits == {"train": "b", "test": "a"}


def test_images_next_to_split_folders_are_refused(tmp_path):
    for name in ("train", "test", "."):
        write_images(tmp_path / name, TRAIN)
    with pytest.raises(DataError, match="images next to the folders 'test', 'train'"):
        ImageFolder(root=str(tmp_path)).length  # noqa: B018
    splits = {"train": "train", "test": "test"}
    assert counts(ImageFolder(root=str(tmp_path), splits=splits)) == [TRAIN, TRAIN]


@pytest.mark.parametrize("top", ["data", "apple", "a/b"])
def test_split_folders_below_the_root_are_refused(tmp_path, top):
    """Read as one set, the test images would be trained on."""
    for split in ("training", "testing"):
        write_images(tmp_path / top / split / "0", TRAIN)
    message = refused(ImageFolder(root=str(tmp_path)))
    assert f"'{top}' in it has the folders 'testing', 'training'" in message
    assert f"set data.root={tmp_path / top}, or" in message
    assert ImageFolder(root=str(tmp_path), splits="none").length == 2 * TRAIN


def test_an_archive_of_both_splits_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("train/0.png", "test/0.png"):
            archive.writestr(name, png((4, 4)))
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("x/train/0.png", "x/test/0.png"):
            standins.add(archive, name, png((4, 4)))
    for reader, file in ((EDMZip, "x.zip"), (WebDataset, "x.tar")):
        data = reader(root=str(tmp_path / file))
        with pytest.raises(DataError, match=r"has the folders 't.*; set data\.splits=none"):
            data.length  # noqa: B018
        assert reader(root=str(tmp_path / file), splits="none").length == 2


def test_flat_images_named_after_both_splits_are_refused(tmp_path):
    for name in ("train_1", "train_2", "test_1"):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    with pytest.raises(DataError, match="the names of its images"):
        ImageFolder(root=str(tmp_path)).length  # noqa: B018


def test_held_out_images_come_from_a_train_split_alone(made):
    data = made({"train": 20}, held_out=5)
    assert counts(data) == [15, 5]
    parts = (data, data.with_split("test"))
    rows = [set(part._images.rows.tolist()) for part in parts]
    numbers = sorted(range(20), key=lambda n: hashlib.blake2b(b"%d" % n, digest_size=8).digest())
    assert rows == [set(numbers[5:]), set(numbers[:5])]
    with pytest.raises(MissingSplitError, match=r"no test split: .*data\.held_out=N"):
        made({}, split="test").length  # noqa: B018


def test_held_out_next_to_a_test_split_is_refused(made):
    data = made({"train": TRAIN, "test": TEST}, held_out=1)
    for part in (data, data.with_split("test")):
        with pytest.raises(DataError, match=r"has a test split of its own: leave out data\.held_o"):
            part.length  # noqa: B018


def test_more_held_out_than_there_are_images_is_refused(made):
    with pytest.raises(DataError, match="held_out=3 leaves none of the 3 images"):
        made({"train": TRAIN}, held_out=TRAIN).length  # noqa: B018


def test_a_test_split_alone_is_never_trained_on(made):
    data = made({"test": TEST})
    assert data.with_split("test").length == TEST
    with pytest.raises(MissingSplitError, match="has a test split only"):
        data.length  # noqa: B018


def test_an_empty_test_folder_is_no_missing_split(tmp_path):
    write_images(tmp_path / "train", TRAIN)
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match=r"below .*/test, which contains no files") as caught:
        ImageFolder(root=str(tmp_path), split="test").length  # noqa: B018
    assert not isinstance(caught.value, MissingSplitError)


def test_a_file_as_root_is_one_set(tmp_path):
    write_zip(tmp_path / "test.zip", TRAIN)
    write_shard(tmp_path / "val-0.tar", TRAIN)
    assert EDMZip(root=str(tmp_path / "test.zip")).length == TRAIN
    assert WebDataset(root=str(tmp_path / "val-0.tar")).length == TRAIN
