"""Classes of image files by a table."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from fmcore import DataError, create

FILES = ("a.png", "b.png", "more/c.png")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images" / "more").mkdir(parents=True)
    for i, name in enumerate(FILES):
        Image.new("L", (8, 8), 60 * i).save(tmp_path / "images" / name)
    return tmp_path


def labels(folder, **options):
    data = create("data", "image_folder", root=folder / "images", **options)
    return data.class_names, data.batch(range(3))["label"].tolist()


def test_a_csv_gives_classes_by_name_or_by_path(folder):
    text = "file_name,size,label\na.png,8,dog\nmore/c.png,8,dog\nb.png,8,cat\nother.png,8,bird\n"
    (folder / "metadata.csv").write_text(text)
    assert labels(folder, table=folder / "metadata.csv") == (("cat", "dog"), [1, 0, 1])


def test_json_objects_without_a_class_have_that_of_the_object_around(folder):
    rows = [
        {"image": "a.png", "category": "Flags", "variations": {"dark": {"image": "c.png"}}},
        {"image": "b.png", "category": "Animals & Nature"},
    ]
    (folder / "list.json").write_text(json.dumps(rows))
    found = labels(folder, table=folder / "list.json", table_keys=["image", "category"])
    assert found == (("Animals & Nature", "Flags"), [1, 0, 1])


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("t.csv", "file_name,label\na.png,dog\n", "no class for 2 of 3 files, such as b.png"),
        ("t.csv", "name,class\na.png,dog\n", r"no row of .* has 'file_name' and 'label': set "
         r"data\.table_keys"),
        ("t.json", "{", "is no table"),
        ("t.json", "[" * 40 + "]" * 40, "is no table: objects nested more than 32 deep"),
        (None, "", "there is no file"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused(folder, name, text, reason):
    if name is not None:
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=reason):
        labels(folder, table=folder / (name or "none.csv"))


def test_a_table_and_classes_in_names_are_refused(folder):
    with pytest.raises(DataError, match="both name the classes: give one"):
        labels(folder, table=folder / "t.csv", labels="name")
