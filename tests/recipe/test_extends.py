from __future__ import annotations

import pytest

from fmcore import load_recipe

BASE = """\
data: toy
path: {name: ot, sigma_min: 1e-3}
model: {name: net, width: 8, channel_mult: [1, 2, 3]}
train: {steps: 10, lr: 1e-3}
sample: {solver: {name: adaptive, rtol: 1e-3}}
"""


def test_mappings_merge_lists_and_values_are_replaced(write):
    write(BASE, "_base/b.yaml")
    recipe = load_recipe(
        write("extends: _base/b.yaml\nmodel: {channel_mult: [4]}\ntrain: {lr: 1}\n")
    )
    assert recipe.values["model"] == {
        "name": "net",
        "width": 8,
        "channel_mult": [4],
        "dropout": None,
    }
    assert (recipe.values["train"]["steps"], recipe.values["train"]["lr"]) == (10, 1.0)


@pytest.mark.parametrize("over", ["path: vp", "path: {name: vp}", "path:\n  name: vp"])
def test_a_component_whose_name_changes_leaves_no_option_behind(write, over):
    write(BASE, "b.yaml")
    assert load_recipe(write(f"extends: b.yaml\n{over}\n")).values["path"] == {
        "name": "vp",
        "beta_min": 0.1,
        "beta_max": 20.0,
        "source": {"name": "normal", "temperature": 0.5},
    }


def test_a_nested_component_whose_name_changes_leaves_no_option_behind(write):
    write(BASE, "b.yaml")
    recipe = load_recipe(write("extends: b.yaml\nsample: {solver: fixed}\n"))
    assert recipe.values["sample"]["solver"] == {"name": "fixed", "steps": None, "grid": "uniform"}


def test_a_component_whose_name_stays_keeps_its_options(write):
    write(BASE, "b.yaml")
    recipe = load_recipe(write("extends: b.yaml\nsample: {solver: {name: adaptive, atol: 1}}\n"))
    solver = recipe.values["sample"]["solver"]
    assert (solver["name"], solver["rtol"], solver["atol"]) == ("adaptive", 1e-3, 1.0)


def test_null_takes_a_section_away(write):
    write(BASE, "b.yaml")
    assert load_recipe(write("extends: b.yaml\ntrain: null\n")).values["train"] is None


def test_a_chain_of_files_is_followed_each_from_its_own_folder(write):
    write(BASE, "a/b/bottom.yaml")
    write("extends: b/bottom.yaml\nseed: 2\ntrain: {lr: 2}\n", "a/middle.yaml")
    recipe = load_recipe(write("extends: a/middle.yaml\ntrain: {steps: 3}\n"))
    assert (recipe.values["seed"], recipe.origin("seed")) == (2, "a/middle.yaml:2:1")
    assert recipe.origin("train.lr") == "a/middle.yaml:3:9"
    assert recipe.origin("train.steps") == "r.yaml:2:9"
    assert recipe.origin("path.sigma_min") == "a/b/bottom.yaml:2:18"


def test_errors_of_all_files_are_reported_together(write, faults):
    write(BASE.replace("lr: 1e-3", "lr: x"), "b.yaml")
    assert faults(write("extends: b.yaml\nseed: x\n"), ["train.steps=0"]) == [
        'r.yaml:2:7: seed: expected an integer, got the text "x"',
        'b.yaml:4:24: train.lr: expected a number > 0, got the text "x"',
        "command line: train.steps: expected an integer > 0, got 0",
    ]


def test_a_fault_that_is_overridden_is_none(write):
    write(BASE.replace("lr: 1e-3", "lr: x"), "b.yaml")
    load_recipe(write("extends: b.yaml\ntrain: {lr: 1}\n"))


def test_a_shipped_recipe_can_be_extended_by_its_name(write):
    from fmcore.recipe.catalog import find_recipe
    from fmcore.recipe.load import load_layers
    from fmcore.recipe.nodes import Diagnostics

    layers = load_layers(write("extends: checkerboard\nseed: 3\n"), Diagnostics())
    assert [layer.file.name for layer in layers] == ["r.yaml", "checkerboard.yaml"]
    assert layers[1].file == find_recipe("checkerboard")


def test_a_missing_base_is_reported_at_the_line_that_names_it(write, faults):
    assert faults(write("seed: 1\nextends: nowhere.yaml\n")) == [
        "r.yaml:2:10: there is no file 'nowhere.yaml'"
    ]


def test_a_circle_is_reported(write, faults):
    write("extends: r.yaml\n", "b.yaml")
    assert faults(write("extends: b.yaml\n")) == [
        "b.yaml:1:10: a recipe cannot extend itself: r.yaml -> b.yaml -> r.yaml"
    ]


def test_a_recipe_that_extends_itself_is_reported(write, faults):
    assert faults(write("extends: r.yaml\n")) == [
        "r.yaml:1:10: a recipe cannot extend itself: r.yaml -> r.yaml"
    ]


def test_an_endless_chain_is_reported(write, faults):
    for i in range(30):
        write(f"extends: {i + 1}.yaml\n", f"{i}.yaml")
    (fault,) = faults(write("extends: 0.yaml\n"))
    assert fault.endswith("more than 20 recipes extend one another")


@pytest.mark.parametrize("value", ["[a.yaml, b.yaml]", "3", "''", "{a: b}", "null"])
def test_extends_names_one_file(write, faults, value):
    assert faults(write(f"extends: {value}\n{BASE}")) == [
        "r.yaml:1:10: `extends` names one file or recipe, as in `extends: _base/adm64.yaml`"
    ]


def test_an_unreadable_file_is_reported(write, faults, tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe")
    assert faults(tmp_path / "r.yaml") == [
        "r.yaml:1:1: not UTF-8 text (byte 0xff); save the file as UTF-8"
    ]


EXPECTING = BASE + "expect: {likelihood: {max: 3}}\n"


@pytest.mark.parametrize("over", ["expect: {}", "expect:\n  {}"])
def test_an_empty_mapping_clears_what_was_inherited(write, over):
    write(EXPECTING, "b.yaml")
    assert load_recipe(write(f"extends: b.yaml\n{over}\n")).values["expect"] == {}


def test_an_empty_mapping_on_the_command_line_clears_what_was_inherited(write):
    file = write(EXPECTING)
    assert load_recipe(file, ["expect={}"]).values["expect"] == {}
    again = load_recipe(file, ["expect.distance.max=1", "expect={}"]).values["expect"]
    assert list(again) == ["distance"]


def test_settings_that_are_cleared_have_their_defaults_again(write):
    write(BASE.replace("rtol: 1e-3", "rtol: 1e-3, span: {low: 0.5}"), "b.yaml")
    recipe = load_recipe(write("extends: b.yaml\nsample: {solver: {span: {}}}\n"))
    assert recipe.values["sample"]["solver"]["span"] == {"low": 0.0, "high": 1.0}
    assert recipe.values["sample"]["solver"]["rtol"] == 1e-3


def test_a_cleared_component_has_no_name(write, faults):
    write(BASE, "b.yaml")
    assert faults(write("extends: b.yaml\npath: {}\n")) == [
        "r.yaml:2:7: path needs a name; installed: ot, vp"
    ]
