from __future__ import annotations

from pathlib import Path

import pytest

import fmcore.registry
from fmcore import RecipeError
from fmcore.recipe import catalog
from fmcore.recipe.catalog import display_path, find_recipe, list_recipes, shipped_folder

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    """A folder of shipped recipes: `digits`, `paper/ot`, and bases."""
    folder = tmp_path / "shelf"
    for name in ("digits.yaml", "paper/ot.yaml", "_base/adm.yaml", "_draft.yaml", ".hidden.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}\nseed: 1\n")
    monkeypatch.setattr(catalog, "shipped_folder", lambda: folder)
    return folder


@pytest.fixture
def acme(site, monkeypatch) -> Path:
    """A plugin `acme` that ships recipes `digits` and `audio`."""
    package = site.root / "acme_recipes"
    (package / "recipes").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('a recipe needs no import')\n")
    for name in ("digits", "audio"):
        (package / "recipes" / f"{name}.yaml").write_text("seed: 1\n")
    site.install(
        "acme",
        "@hookimpl\ndef register_recipes(register):\n"
        "    register('digits', 'acme_recipes:recipes/digits.yaml')\n"
        "    register('audio', 'acme_recipes:recipes/audio.yaml')\n"
        "    register('lost', 'acme_recipes:recipes/lost.yaml')\n"
        "    register('gone', 'no_such_package:recipes/gone.yaml')\n",
    )
    registry = site.registry()
    monkeypatch.setattr(fmcore.registry, "_discovered", lambda: registry)
    return package / "recipes"


def test_the_checkouts_recipes_come_first():
    assert shipped_folder() == REPOSITORY / "recipes"
    assert "digits" in [recipe.name for recipe in list_recipes()]


def test_without_a_checkout_the_recipes_are_inside_the_package(tmp_path, monkeypatch):
    """A folder `recipes` next to an installed package belongs to another distribution."""
    (tmp_path / "site" / "fmcore").mkdir(parents=True)
    (tmp_path / "site" / "recipes").mkdir()
    file = tmp_path / "site" / "fmcore" / "recipe" / "catalog.py"
    monkeypatch.setattr(catalog, "__file__", str(file))
    assert shipped_folder() == tmp_path / "site" / "fmcore" / "_recipes"
    assert list_recipes() == []


def test_names_are_paths_without_suffix_and_bases_have_none(shelf):
    assert [(r.name, r.qualified) for r in list_recipes()] == [
        ("digits", "fmcore/digits"),
        ("paper/ot", "fmcore/paper/ot"),
    ]


@pytest.mark.parametrize("source", ["paper/ot", "fmcore/paper/ot"])
def test_a_recipe_is_found_by_its_name(shelf, source):
    assert find_recipe(source) == shelf / "paper" / "ot.yaml"


def test_a_file_comes_before_a_name(shelf, write):
    file = write("seed: 2", "digits")
    assert find_recipe("digits").resolve() == file
    assert find_recipe(file) == file


def test_recipes_of_plugins_are_found_without_importing_them(shelf, acme):
    assert find_recipe("audio") == acme / "audio.yaml"
    assert [recipe.qualified for recipe in list_recipes()] == [
        "acme/audio",
        "acme/digits",
        "fmcore/digits",
        "fmcore/paper/ot",
    ]


def test_a_name_of_two_recipes_has_to_be_qualified(shelf, acme):
    with pytest.raises(RecipeError) as caught:
        find_recipe("digits")
    assert str(caught.value) == (
        "recipe 'digits' is offered 2 times; write one of: acme/digits, fmcore/digits"
    )
    assert find_recipe("acme/digits") == acme / "digits.yaml"
    assert find_recipe("fmcore/digits") == shelf / "digits.yaml"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "digist",
            "there is no file and no recipe named 'digist'; did you mean 'digits'?",
        ),
        (
            "xyz",
            "there is no file and no recipe named 'xyz'; recipes: digits, paper/ot",
        ),
        (
            "my/digist.yaml",
            "there is no file 'my/digist.yaml', and no folder 'my'; did you mean 'digits'?",
        ),
        ("xyz.yaml", "there is no file 'xyz.yaml'"),
        ("", "there is no file and no recipe named ''; recipes: digits, paper/ot"),
        ("a\0b", "there is no file and no recipe named 'a\\x00b'; recipes: digits, paper/ot"),
    ],
)
def test_an_unknown_recipe_is_reported(shelf, faults, source, message):
    assert faults(source) == [message]


def test_a_folder_is_no_recipe(shelf, faults, tmp_path):
    message = f"'{tmp_path}' is a folder, not a recipe"
    assert faults(str(tmp_path)) == [message]
    (tmp_path / "recipe.yaml").write_text("seed: 1")
    (fault,) = faults(str(tmp_path))
    assert fault.startswith(f"{message}; there is '{tmp_path}/recipe.yaml': if it is a run, resume")


def test_a_folder_with_a_bare_name_is_no_recipe_either(shelf, faults, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert faults("mine") == ["'mine' is a folder, not a recipe"]


def test_files_are_shown_from_where_the_user_is(tmp_path):
    assert display_path(tmp_path / "a" / "b.yaml") == "a/b.yaml"
    assert display_path(REPOSITORY / "x.yaml") == str(REPOSITORY / "x.yaml")
