from __future__ import annotations

from pathlib import Path

import pytest

from fmcore import RecipeError, load_recipe
from fmcore.recipe.load import copy_recipe

BASE = "data: toy\npath: ot\nmodel: net\n"


@pytest.fixture
def original(write) -> Path:
    """A recipe with a base, which has a base."""
    write(BASE, "from/_base/low.yaml")
    write("extends: low.yaml\nseed: 2\n", "from/_base/high.yaml")
    return write("# mine\nextends: _base/high.yaml\ntrain: {steps: 3}\n", "from/r.yaml")


def test_a_copy_equals_the_original(original, tmp_path):
    (tmp_path / "to").mkdir()
    written = copy_recipe(str(original), tmp_path / "to")
    assert [str(file.relative_to(tmp_path)) for file in written] == [
        "to/r.yaml",
        "to/_base/high.yaml",
        "to/_base/low.yaml",
    ]
    assert load_recipe(tmp_path / "to" / "r.yaml").digest == load_recipe(original).digest
    assert (tmp_path / "to" / "r.yaml").read_bytes() == original.read_bytes()


def test_a_copy_can_have_another_name_in_a_new_folder(original, tmp_path):
    target = tmp_path / "new" / "mine.yaml"
    copy_recipe(str(original), target)
    assert load_recipe(target).digest == load_recipe(original).digest


def test_a_shipped_recipe_is_copied_by_its_name(tmp_path):
    written = copy_recipe("imagenet64", tmp_path)
    assert [file.name for file in written] == ["imagenet64.yaml", "adm64.yaml"]


def test_a_base_extended_by_its_name_stays_where_it_is(write, tmp_path):
    file = write("extends: imagenet64\n", "from/r.yaml")
    assert [f.name for f in copy_recipe(str(file), tmp_path / "mine.yaml")] == ["mine.yaml"]


def test_nothing_is_replaced_unless_forced(original, tmp_path):
    target = tmp_path / "mine.yaml"
    (tmp_path / "_base").mkdir()
    (tmp_path / "_base" / "low.yaml").write_text("seed: 9\n")
    with pytest.raises(RecipeError) as caught:
        copy_recipe(str(original), target)
    assert str(caught.value) == "_base/low.yaml: there is a file already; use --force to replace it"
    assert not target.exists()
    copy_recipe(str(original), target, force=True)
    assert load_recipe(target).digest == load_recipe(original).digest


def test_a_base_that_is_there_already_is_left(original, tmp_path):
    copy_recipe(str(original), tmp_path / "one.yaml")
    written = copy_recipe(str(original), tmp_path / "two.yaml")
    assert [file.name for file in written] == ["two.yaml"]


def test_copying_a_recipe_onto_itself_writes_nothing(original):
    assert copy_recipe(str(original), original) == []


def test_a_target_that_is_no_yaml_file_is_refused(original, tmp_path):
    with pytest.raises(RecipeError, match=r"neither a folder that exists nor a name that ends in"):
        copy_recipe(str(original), tmp_path / "mine")


def test_a_base_outside_the_folder_is_refused(write, tmp_path):
    write(BASE, "base.yaml")
    file = write("extends: ../base.yaml\n", "from/r.yaml")
    with pytest.raises(RecipeError, match=r"from/r.yaml:1:10: '../base.yaml' is outside"):
        copy_recipe(str(file), tmp_path / "deep" / "er" / "mine.yaml")
    assert not (tmp_path / "deep").exists()


def test_a_folder_that_cannot_be_created_is_reported(original, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match="cannot be written: "):
        copy_recipe(str(original), tmp_path / "file" / "mine.yaml")


def test_a_full_disk_leaves_what_was_there(original, tmp_path, monkeypatch):
    target = tmp_path / "mine.yaml"
    target.write_text("seed: 1\n")

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RecipeError, match=r"mine.yaml: cannot be written: the disk is full"):
        copy_recipe(str(original), target, force=True)
    assert [file.name for file in tmp_path.glob("*mine*")] == ["mine.yaml"]
    assert target.read_text() == "seed: 1\n"
