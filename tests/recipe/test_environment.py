"""Text from the environment may be secret: it is used, but neither shown nor saved."""

from __future__ import annotations

import json
import pickle

import pytest

from fmcore import RecipeError, create, load_recipe
from fmcore.recipe.diff import annotate, diff

SECRET = "hunter2-token"
TOKEN = "${oc.env:FM_TOKEN}"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("FM_TOKEN", SECRET)
    monkeypatch.setenv("FM_NUMBER", "17")
    monkeypatch.delenv("FM_UNSET", raising=False)


def test_a_component_gets_the_text_and_records_show_its_reference(basic):
    recipe = load_recipe(basic, [f"data.root=a/{TOKEN}"])
    assert recipe.build("data").root == f"a/{SECRET}"
    assert recipe.values["data"]["root"] == f"a/{TOKEN}"
    records = [recipe.to_yaml(), annotate(recipe), json.dumps(recipe.values), repr(recipe.values)]
    assert all(TOKEN in record and SECRET not in record for record in records)


def test_a_saved_recipe_equals_the_original_where_the_variable_is_set(basic, write, monkeypatch):
    recipe = load_recipe(basic, [f"data.root={TOKEN}", r"sample.weights=\${x}"])
    saved = write(recipe.to_yaml(), "recipe.yaml")
    again = load_recipe(saved)
    assert (diff(again, recipe), again.digest) == ([], recipe.digest)
    assert again.build("data").root == SECRET
    monkeypatch.delenv("FM_TOKEN")
    with pytest.raises(
        RecipeError, match=r"recipe.yaml:\d+:9: data.root: the environment variable"
    ):
        load_recipe(saved)


def test_values_can_be_used_again_in_python(basic):
    values = load_recipe(basic, [f"data.root={TOKEN}"]).values
    assert load_recipe(values).build("data").root == SECRET
    assert load_recipe(values).values == values
    assert create("data", "files", root=values["data"]["root"]).root == SECRET
    assert pickle.loads(pickle.dumps(values)) == values


def test_a_key_that_refers_to_a_secret_is_recorded_as_its_reference(basic):
    recipe = load_recipe(basic, [f"sample.weights={TOKEN}", "data.root=${sample.weights}/x"])
    assert recipe.values["data"]["root"] == "${sample.weights}/x"
    assert recipe.build("data").root == f"{SECRET}/x"


@pytest.mark.parametrize(
    ("override", "key", "recorded"),
    [
        ("seed=${oc.env:FM_NUMBER}", "seed", 17),
        ("data.root=${oc.env:FM_UNSET,/data}", "data.root", "/data"),
    ],
)
def test_numbers_and_defaults_are_recorded_as_values(basic, override, key, recorded):
    found = load_recipe(basic, [override]).values
    for part in key.split("."):
        found = found[part]
    assert found == recorded


def test_a_component_named_by_the_environment_is_recorded_by_its_name(basic, monkeypatch):
    monkeypatch.setenv("FM_NAME", "vp")
    for override in ("path=${oc.env:FM_NAME}", "path.name=${oc.env:FM_NAME}"):
        assert load_recipe(basic, [override]).values["path"]["name"] == "vp"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (f"seed={TOKEN}", f"seed: expected an integer, got the value of {TOKEN}"),
        (f"path={TOKEN}", f"no path named '{TOKEN}'; installed: ot, vp"),
        (f"train.optimizer.betas={TOKEN}", f"got the value of {TOKEN}"),
        (f"train.precision={TOKEN}", f"got the value of {TOKEN}"),
        (f"seed=${{oc.env:{TOKEN}}}", f"the environment variable '{TOKEN}' is not set"),
        (f"seed=${{{TOKEN}:x}}", f"there is no '{TOKEN}' in recipes"),
        (f"seed=${{{TOKEN}.x}}", f"refers to '{TOKEN}.x', which the recipe does not have"),
    ],
)
def test_messages_show_the_reference(basic, faults, override, message):
    (fault,) = faults(basic, [override])
    assert message in fault
    assert SECRET not in fault


def test_a_comma_in_a_secret_makes_no_axis_of_it(basic, faults, monkeypatch):
    monkeypatch.setenv("FM_TOKEN", "hunter2,token")
    (fault,) = faults(basic, [f"seed={TOKEN}"])
    assert "hunter2" not in fault


def test_a_constructor_that_quotes_a_secret_is_redacted(basic, faults):
    assert faults(basic, ["data.name=refusing", f"data.root={TOKEN}"]) == [
        f"command line: data 'refusing': root '{TOKEN}' is no folder"
    ]
