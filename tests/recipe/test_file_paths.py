"""Where a relative file path of a recipe is looked for, and how it is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmcore import create, load_recipe

METRIC = "evaluate: {{metrics: [{{name: distance, weights: {}}}]}}\n"
REST = "data: {name: toy}\npath: ot\nmodel: net\n"


def weights(recipe) -> str:
    """The recorded path, which is also the one that the metric gets."""
    recorded = recipe.values["evaluate"]["metrics"][0]["weights"]
    assert isinstance(recorded, str)
    assert recipe.build("evaluate").metrics[0].weights == Path(recorded)
    return recorded


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """Another current folder than the recipe's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_path_in_a_recipe_is_relative_to_its_file(write, tmp_path, elsewhere):
    file = write(REST + METRIC.format("../w.pt"), "sub/r.yaml")
    assert weights(load_recipe(file)) == str(tmp_path / "w.pt")
    assert weights(load_recipe(Path("../sub/r.yaml"))) == str(tmp_path / "w.pt")


def test_a_path_in_a_base_is_relative_to_the_base(write, tmp_path, elsewhere):
    write(REST + METRIC.format("w.pt"), "sub/_base/b.yaml")
    file = write("extends: _base/b.yaml\nseed: 1\n", "sub/r.yaml")
    assert weights(load_recipe(file)) == str(tmp_path / "sub/_base/w.pt")


def test_a_path_on_the_command_line_is_relative_to_the_current_folder(basic, elsewhere):
    recipe = load_recipe(basic, ["evaluate.metrics.0={name: distance, weights: w.pt}"])
    assert weights(recipe) == str(elsewhere / "w.pt")


def test_a_path_keeps_its_meaning_when_the_current_folder_changes(basic, elsewhere, monkeypatch):
    recipe = load_recipe(basic, ["evaluate.metrics.0={name: distance, weights: w.pt}"])
    monkeypatch.chdir("/")
    assert weights(recipe.override(["seed=1"])) == str(elsewhere / "w.pt")


def test_a_path_of_the_environment_is_relative_to_the_current_folder(write, elsewhere, monkeypatch):
    monkeypatch.setenv("FM_WEIGHTS", "w.pt")
    recipe = load_recipe(write(REST + METRIC.format("'${oc.env:FM_WEIGHTS}'"), "r.yaml"))
    assert recipe.values["evaluate"]["metrics"][0]["weights"] == "${oc.env:FM_WEIGHTS}"
    assert recipe.build("evaluate").metrics[0].weights == elsewhere / "w.pt"


def test_a_path_that_is_referred_to_keeps_its_folder(write, elsewhere):
    text = REST.replace("{name: toy}", "{name: files, root: x}") + METRIC.format("'${data.root}/w'")
    file = write(text, "r.yaml")
    assert weights(load_recipe(file)) == str(file.parent / "x" / "w")
    assert weights(load_recipe(file, ["data.root=y"])) == str(elsewhere / "y" / "w")


def test_absolute_paths_and_home_folders_are_kept(write, elsewhere, monkeypatch):
    monkeypatch.setenv("HOME", "/users/me")
    assert weights(load_recipe(write(REST + METRIC.format("/a/../w.pt")))) == "/a/../w.pt"
    assert weights(load_recipe(write(REST + METRIC.format("'~/w.pt'")))) == "/users/me/w.pt"


def test_a_path_given_in_python_stays_as_it_is(elsewhere):
    assert create("metric", "distance", weights="w.pt").weights == Path("w.pt")


def test_a_saved_recipe_means_the_same_in_another_folder(write, tmp_path, elsewhere):
    recipe = load_recipe(write(REST + METRIC.format("w.pt")))
    saved = write(recipe.to_yaml(), "runs/1/recipe.yaml")
    assert load_recipe(saved).digest == recipe.digest
