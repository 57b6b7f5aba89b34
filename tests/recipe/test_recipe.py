from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmcore import PluginError, RecipeError, load_recipe
from fmcore.recipe.diff import ABSENT, Difference, annotate, diff
from fmcore.recipe.dump import to_canonical_json, to_yaml, to_yaml_line
from fmcore.recipe.sections import Bound, Sample, Train

VALUES = {
    "seed": 7,
    "data": {
        "name": "files",
        "figure": "moons",
        "split": "train",
        "root": "/data",
        "image_size": 32,
        "classes_of": {},
    },
    "path": {
        "name": "ot",
        "sigma_min": 0.001,
        "source": {"name": "normal", "temperature": 1.0},
    },
    "coupling": {"name": "independent"},
    "objective": {"name": "flow_matching", "skew": False},
    "model": {"name": "net", "width": 64, "channel_mult": [1, 2], "dropout": None},
}


def test_values_are_complete_and_plain(basic):
    values = load_recipe(basic).values
    assert {key: values[key] for key in VALUES} == VALUES
    assert values["evaluate"]["metrics"] == [
        {"name": "likelihood", "solver": None, "n_probes": 1},
        {
            "name": "distance",
            "weights": str(basic.parent / "weights.pt"),
            "moments": [1.0, 2.0, 3.0],
        },
    ]
    assert values["train"]["optimizer"]["betas"] == [0.9, 0.999]
    assert json.loads(json.dumps(values)) == values


def test_sections_are_in_the_order_of_their_declaration(write):
    text = "model: net\nexpect: {}\npath: ot\nseed: 1\ndata: toy\n"
    assert list(load_recipe(write(text)).values) == [
        *["seed", "data", "codec", "path", "coupling", "objective", "model"],
        *["train", "sample", "evaluate", "expect"],
    ]


def test_options_are_in_the_order_of_the_signature(write):
    recipe = load_recipe(
        write("data: toy\nmodel: net\npath: {source: heavy, sigma_min: 1, name: ot}")
    )
    assert list(recipe.values["path"]) == ["name", "sigma_min", "source"]


@pytest.mark.parametrize(
    ("key", "origin"),
    [
        ("seed", "r.yaml:1:1"),
        ("path.name", "r.yaml:3:8"),
        ("path.sigma_min", "r.yaml:3:18"),
        ("path.source.temperature", "default of path 'ot'"),
        ("model.name", "r.yaml:4:1"),
        ("model.width", "default of model 'net'"),
        ("coupling.name", "default"),
        ("train.steps", "command line"),
        ("train.keep_last", "default of train"),
        ("evaluate.metrics.0.name", "r.yaml:7:22"),
        ("evaluate.metrics.1.moments.2", "r.yaml:7:67"),
    ],
)
def test_every_value_knows_where_it_comes_from(basic, key, origin):
    assert load_recipe(basic, ["train.steps=3"]).origin(key) == origin


def test_an_unknown_key_has_no_origin(basic):
    with pytest.raises(RecipeError, match=r"no 'train.step'; did you mean 'train.steps'\?"):
        load_recipe(basic).origin("train.step")


def test_values_are_the_readers_own(basic):
    recipe = load_recipe(basic)
    digest = recipe.digest
    recipe.values["path"]["sigma_min"] = 9
    recipe.values["train"]["optimizer"]["betas"].append(3)
    assert recipe.values["path"]["sigma_min"] == 1e-3
    assert recipe.digest == digest


def test_the_digest_depends_on_the_values_and_not_on_how_they_are_written(basic, write):
    digest = load_recipe(basic).digest
    text = basic.read_text()
    lines = text.splitlines()
    same = [
        "# a comment\n" + "\n".join(reversed(lines)),
        text.replace("lr: 1e-4", "lr: 0.0001, batch_size: 128"),
        text.replace("model: net", "model: {name: net, width: 64}"),
        text.replace("steps: 100, lr: 1e-4", "lr: 1.0e-4, steps: 0x64"),
    ]
    for index, other in enumerate(same):
        assert load_recipe(write(other, f"{index}.yaml")).digest == digest
    assert load_recipe(basic, ["seed=8"]).digest != digest


def test_the_digest_is_that_of_canonical_json():
    assert to_canonical_json({"b": [1, 2.0, None], "a": {"ü": True}}) == (
        '{"a":{"\\u00fc":true},"b":[1,2.0,null]}'
    )


def test_the_complete_recipe_as_yaml_has_equal_values(basic, write):
    recipe = load_recipe(basic, [r"data.root=\${seed}", "path=vp"])
    again = load_recipe(write(recipe.to_yaml(), "recipe.yaml"))
    assert again.values == recipe.values
    assert again.digest == recipe.digest
    assert again.to_yaml() == recipe.to_yaml()
    assert again.origin("train.optimizer.weight_decay").startswith("recipe.yaml:")


keys = st.just("<<") | st.text(max_size=4) | st.text(st.sampled_from("\\${}a"), max_size=4)
yaml_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.text(max_size=10),
        st.sampled_from(
            ["1e5", "yes", "null", "???", "0o7", "1_0", "12:30", "~", "", " x ", "a: b"]
        ),
        st.text(st.sampled_from("\\${}a:,' #\n\t"), max_size=8),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)


@given(st.dictionaries(keys, yaml_values, min_size=1, max_size=3))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_values_written_as_yaml_are_read_back(values):
    from fmcore.recipe.interpolation import interpolate
    from fmcore.recipe.nodes import Diagnostics, to_python
    from fmcore.recipe.yaml import read_text

    diagnostics = Diagnostics()
    node = read_text(to_yaml(values), "r.yaml", diagnostics)
    assert to_python(interpolate(node, node, diagnostics)) == values
    assert not diagnostics.found


def test_components_are_built(basic, kit):
    recipe = load_recipe(basic, ["path.source=heavy"])
    path = recipe.build("path")
    assert type(path) is kit.entry("path", "ot").load()
    assert (path.sigma_min, path.source.tail) == (1e-3, 3.0)
    assert recipe.build("data").root == "/data"


def test_the_framework_gives_what_a_recipe_leaves_out(basic):
    model = load_recipe(basic, ["model.width=8"]).build("model", shape=(3, 4, 4))
    assert (model.shape, model.width) == ((3, 4, 4), 8)


def test_a_recipe_has_priority_over_what_the_framework_gives(basic):
    recipe = load_recipe(basic, ["model.shape=[1,2]"])
    assert recipe.values["model"]["shape"] == [1, 2]
    assert recipe.build("model", shape=(3, 4, 4)).shape == (1, 2)


def test_a_model_without_its_shape_is_refused(basic):
    with pytest.raises(RecipeError, match=r"r.yaml:4:1: model 'net' needs the option 'shape'"):
        load_recipe(basic).build("model")


def test_an_unknown_argument_is_refused(basic):
    with pytest.raises(RecipeError, match="takes no argument 'colour'"):
        load_recipe(basic).build("model", shape=(2,), colour=3)


def test_settings_are_built_with_their_components(basic, kit):
    recipe = load_recipe(basic, ["expect.likelihood.max=2"])
    train, sample, evaluate = (recipe.settings(s) for s in ("train", "sample", "evaluate"))
    assert train == Train(steps=100, lr=1e-4)
    assert train.optimizer.betas == (0.9, 0.999)
    assert type(sample) is Sample
    assert sample.solver == kit.entry("solver", "adaptive").load()(rtol=1e-3)
    likelihood, distance = evaluate.metrics
    assert likelihood.solver is None
    assert distance.weights == basic.parent / "weights.pt"
    assert distance.moments == (1.0, 2.0, 3.0)
    assert recipe.settings("expect") == {"likelihood": Bound(max=2.0)}
    assert recipe.settings("seed") == 7


def test_a_stage_that_does_not_exist_is_none(basic):
    assert load_recipe(basic, ["train=null"]).settings("train") is None


def test_an_unknown_section_is_reported(basic):
    with pytest.raises(RecipeError, match=r"no section 'sampel'; did you mean 'sample'\?"):
        load_recipe(basic).settings("sampel")


def test_an_override_leaves_the_recipe_as_it_was(basic):
    recipe = load_recipe(basic)
    digest = recipe.digest
    other = recipe.override(["path=vp", "sample.solver=fixed"])
    assert (recipe.digest, recipe.values["path"]["name"]) == (digest, "ot")
    assert other.values["path"]["beta_min"] == 0.1
    assert other.values["sample"]["solver"] == {"name": "fixed", "steps": None, "grid": "uniform"}
    assert other.override(["path={name: ot, sigma_min: 1e-3}"]).values["path"]["name"] == "ot"
    assert (other.name, other.path) == (recipe.name, recipe.path)


def test_a_wrong_override_is_reported(basic):
    with pytest.raises(RecipeError, match="command line: train has no option 'stps'"):
        load_recipe(basic).override(["train.stps=3"])


def test_a_recipe_is_frozen(basic):
    with pytest.raises(AttributeError):
        load_recipe(basic).name = "x"  # type: ignore[misc]


def test_a_recipe_travels_between_processes(basic):
    recipe = load_recipe(basic)
    assert pickle.loads(pickle.dumps(recipe)).digest == recipe.digest


def test_a_recipe_is_named_by_its_file_unless_a_name_is_given(basic):
    assert (load_recipe(basic).name, load_recipe(basic).path) == ("r", basic)
    assert load_recipe(basic, name="mine").name == "mine"


def test_missing_values_are_kept_on_request(write):
    file = write("data: {name: files, root: ???}\npath: ot\nmodel: {name: net, shape: ???}\n")
    recipe = load_recipe(file, partial=True)
    assert recipe.missing == ("data.root", "model.shape")
    assert recipe.values["data"]["root"] == "???"
    assert recipe.build("path").sigma_min == 1e-4
    with pytest.raises(RecipeError, match=r"r.yaml:1:21: data.root must be given"):
        recipe.build("data")
    whole = recipe.override(["data.root=x", "model.shape=[2]"])
    assert whole.missing == ()
    assert whole.build("data").root == "x"
    again = load_recipe(write(recipe.to_yaml(), "again.yaml"), partial=True)
    assert again.missing == recipe.missing


def test_a_recipe_can_be_given_as_python_values(kit):
    path = kit.entry("path", "ot").load()(sigma_min=0.5)
    recipe = load_recipe(
        {"data": "toy", "path": path, "model": {"name": "net"}, "seed": "${path.sigma_min}"},
        ["seed=3", "path.source=heavy"],
    )
    assert recipe.values["path"] == {
        "name": "ot",
        "sigma_min": 0.5,
        "source": {"name": "heavy", "tail": 3.0},
    }
    assert (recipe.name, recipe.path, recipe.origin("path.sigma_min")) == ("recipe", None, "recipe")


def test_python_values_are_checked_like_any_other(faults):
    assert faults({"data": "toy", "path": {"name": "ot", "sgima_min": 1}, "model": 3}) == [
        "recipe: path 'ot' has no option 'sgima_min'; did you mean 'sigma_min'?",
        "recipe: model: expected a model (its name, or a mapping with `name`), got 3",
    ]


def test_the_differences_of_two_recipes_are_listed_by_key(basic):
    recipe = load_recipe(basic)
    other = recipe.override(
        ["path=vp", "train.optimizer.betas.0=0.5", "evaluate.metrics=[likelihood]"]
    )
    found = diff(recipe, other)
    assert found == [
        Difference("path.name", "ot", "vp"),
        Difference("path.sigma_min", 1e-3, ABSENT),
        Difference("path.source.temperature", 1.0, 0.5),
        Difference("path.beta_min", ABSENT, 0.1),
        Difference("path.beta_max", ABSENT, 20.0),
        Difference("train.optimizer.betas", [0.9, 0.999], [0.5, 0.999]),
        Difference("evaluate.metrics.1.name", "distance", ABSENT),
        Difference("evaluate.metrics.1.weights", str(basic.parent / "weights.pt"), ABSENT),
        Difference("evaluate.metrics.1.moments", [1.0, 2.0, 3.0], ABSENT),
    ]
    assert [str(d) for d in found[:4]] == [
        "path.name: ot -> vp",
        "path.sigma_min: 0.001 -> (absent)",
        "path.source.temperature: 1.0 -> 0.5",
        "path.beta_min: (absent) -> 0.1",
    ]
    key, left, right = found[0]
    assert (key, left, right) == ("path.name", "ot", "vp")


def test_a_recipe_does_not_differ_from_itself(basic):
    assert diff(load_recipe(basic), load_recipe(basic)) == []


def test_a_removed_stage_is_a_difference(basic):
    recipe = load_recipe(basic)
    assert Difference("train", ABSENT, None) in diff(recipe, recipe.override(["train=null"]))


def test_the_annotated_recipe_can_be_loaded_and_names_the_sources(basic, write):
    short = "evaluate.metrics.1.weights=/w"  # longer lines are not aligned
    recipe = load_recipe(basic, ["train.steps=3", "expect.a.max=1", short])
    text = annotate(recipe)
    assert load_recipe(write(text, "again.yaml")).values == recipe.values
    lines = [line.split("#") for line in text.splitlines()]
    assert ["  sigma_min: 0.001", " r.yaml:3"] in [[a.rstrip(), *b] for a, *b in lines]
    assert ["  steps: 3", " command line"] in [[a.rstrip(), *b] for a, *b in lines]
    assert ["    - name: likelihood", " r.yaml:7"] in [[a.rstrip(), *b] for a, *b in lines]
    assert ["    betas: [0.9, 0.999]", " default"] in [[a.rstrip(), *b] for a, *b in lines]
    columns = {len(a) for a, *b in lines if b}
    assert len(columns) == 1


def test_one_line_of_yaml_stays_on_one_line():
    assert to_yaml_line("x" * 500) == "x" * 500
    assert to_yaml_line([1, None, "a b", "1"]) == "[1, null, a b, '1']"
    assert "\n" not in to_yaml_line("a\nb")


def test_a_default_that_is_not_registered_is_reported_to_its_author(kit, write, monkeypatch):
    without = [entry for entry in kit._entries if entry.name != "normal"]
    monkeypatch.setattr(kit, "_entries", without)
    with pytest.raises(RecipeError) as caught:
        load_recipe(write("data: toy\npath: ot\nmodel: net\n"))
    assert caught.value.faults == (
        "r.yaml:2:7: path 'ot': Normal is the default of an option, but no recipe can name it; "
        "its author has to register it by the hook register_sources",
    )
    assert not isinstance(caught.value, PluginError)
