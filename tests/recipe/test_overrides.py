from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmcore import load_recipe
from fmcore.recipe.dump import to_yaml_line
from fmcore.recipe.nodes import Diagnostics, to_python
from fmcore.recipe.overrides import parse_overrides

derandomized = settings(derandomize=True, max_examples=200, deadline=None)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("train.lr=1e-4", "train.lr", 1e-4),
        ("train.lr=3", "train.lr", 3.0),
        ("train.ema=null", "train.ema", None),
        ("train.optimizer.betas=[0.8, 0.9]", "train.optimizer.betas", [0.8, 0.9]),
        ("objective.skew=true", "objective.skew", True),
        ("model.channel_mult=[1,2]", "model.channel_mult", [1, 2]),
        ("sample.solver=fixed", "sample.solver.name", "fixed"),
        ("sample.solver.rtol=2", "sample.solver.rtol", 2.0),
        ("evaluate.metrics=[likelihood]", "evaluate.metrics.0.name", "likelihood"),
        ("evaluate.metrics=[{name: likelihood, n_probes: 3}]", "evaluate.metrics.0.n_probes", 3),
        ("evaluate.metrics.0.n_probes=2", "evaluate.metrics.0.n_probes", 2),
        ("evaluate.metrics.1.moments.0=2", "evaluate.metrics.1.moments", [2.0, 2.0, 3.0]),
        ("evaluate.metrics.2=likelihood", "evaluate.metrics.2.n_probes", 1),
        ("train.optimizer.betas.0=0.5", "train.optimizer.betas", [0.5, 0.999]),
        ("expect.likelihood.max=2", "expect.likelihood.max", 2.0),
        ("path.source.temperature=2", "path.source.temperature", 2.0),
        ("path.source=heavy", "path.source", {"name": "heavy", "tail": 3.0}),
        ("path={sigma_min: 0.5}", "path.sigma_min", 0.5),
        ("train=null", "train", None),
        # text is exactly what was typed, also where YAML reads a number
        ("data.root=123", "data.root", "123"),
        ("data.root=1e5", "data.root", "1e5"),
        ("data.root=true", "data.root", "true"),
        ("data.root=a: b", "data.root", "a: b"),
        ("data.root=a,b", "data.root", "a,b"),
        ("data.root=a # b", "data.root", "a # b"),
        ("data.root=*.png", "data.root", "*.png"),
        ("data.root=@x=y", "data.root", "@x=y"),
        ("data.root=!!python/name:os.system", "data.root", "!!python/name:os.system"),
        ("data.root=[1, 2", "data.root", "[1, 2"),
        ("data.root='1'", "data.root", "1"),
        ("data.root=", "data.root", ""),
        ("sample.solver.grid=[0,1]", "sample.solver.grid", None),
    ],
)
def test_an_override_is_typed_by_the_schema(basic, override, key, value):
    overrides = [override]
    if "grid" in key:
        overrides, value = ["sample.solver=fixed", override], [0.0, 1.0]
    recipe = load_recipe(basic, overrides)
    found = recipe.values
    for part in key.split("."):
        found = found[int(part) if isinstance(found, list) else part]
    assert found == value
    assert type(found) is type(value)


def test_overrides_say_that_they_are_the_source(basic):
    recipe = load_recipe(basic, ["train.lr=2", "path=vp"])
    assert recipe.origin("train.lr") == "command line"
    assert recipe.origin("path.name") == "command line"
    assert recipe.origin("path.beta_min") == "default of path 'vp'"


def test_a_name_and_its_options_may_come_in_any_order(basic):
    given = ["path=vp", "path.beta_min=0.2", "path.source=heavy", "path.source.tail=4"]
    found = [load_recipe(basic, order).values["path"] for order in itertools.permutations(given)]
    assert found == [
        {
            "name": "vp",
            "beta_min": 0.2,
            "beta_max": 20.0,
            "source": {"name": "heavy", "tail": 4.0},
        }
    ] * len(found)


def test_of_equal_keys_the_last_one_counts(basic):
    assert load_recipe(basic, ["train.lr=1", "train.lr=2"]).values["train"]["lr"] == 2.0


def test_a_section_that_was_removed_can_be_given_again(basic, write):
    assert load_recipe(basic, ["train=null", "train.steps=3"]).values["train"]["steps"] == 3


def test_an_index_beyond_the_list_is_reported(basic, faults):
    assert faults(basic, ["evaluate.metrics.7=likelihood"]) == [
        "command line: evaluate.metrics: expected a list of metrics (names, or mappings with "
        "`name`), got a mapping; there is no item of that index to change"
    ]


def test_null_is_no_text(basic, faults):
    assert faults(basic, ["data.root=null"]) == ["command line: data.root: expected text, got null"]


names = st.sampled_from(["a", "b", "c", "d", "e"])
paths = st.lists(names, min_size=1, max_size=3).map(tuple)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=8),
)


@given(scalars)
@derandomized
def test_a_value_written_as_yaml_is_read_back(value):
    (read,) = to_python(parse_overrides([f"k={to_yaml_line(value)}"], Diagnostics())).values()
    assert read == (to_yaml_line(value) if isinstance(value, str) and "${" in value else value)


def _independent(keys: list[tuple[str, ...]]) -> bool:
    return not any(a != b and b[: len(a)] == a for a in keys for b in keys)


@given(st.dictionaries(paths, st.integers(), max_size=5).filter(lambda d: _independent(list(d))))
@derandomized
def test_overrides_of_different_keys_may_come_in_any_order(values):
    texts = [f"{'.'.join(path)}={value}" for path, value in values.items()]
    forwards, backwards = (
        parse_overrides(texts, Diagnostics()),
        parse_overrides(texts[::-1], Diagnostics()),
    )
    assert to_python(forwards) == to_python(backwards)
    for path, value in values.items():
        found = to_python(forwards)
        for part in path:
            found = found[part]
        assert found == value
