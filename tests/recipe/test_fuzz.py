"""Whatever a file or a command line holds, the answer is a recipe or its faults."""

from __future__ import annotations

import os
import string

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmcore import RecipeError, load_recipe
from fmcore.recipe.recipe import Recipe

fuzzed = settings(
    derandomize=True,
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

WORDS = [
    *["seed", "data", "path", "model", "train", "sample", "evaluate", "expect", "name", "extends"],
    *["toy", "ot", "vp", "net", "sigma_min", "source", "normal", "heavy", "steps", "solver"],
    *["???", "${seed}", "'${data.root}'", "${oc.env:HOME}", "null", "1e-5", "true", "-1", "9" * 30],
    *["&a", "*a", "!!python/name:os.system", "!x", "<<", "|", ">", "%YAML 1.1", "---", "...", "#"],
]
GLUE = ["\n", "\n  ", "\n- ", ": ", ", ", "{", "}", "[", "]", '"', "'", " ", "\t", ""]
yaml_like = st.lists(st.sampled_from(WORDS + GLUE), max_size=30).map("".join)
blocks = st.dictionaries(
    st.sampled_from(WORDS[:20]),
    st.recursive(
        st.sampled_from(WORDS[10:]) | st.integers() | st.floats() | st.none() | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(WORDS[:20]), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=6,
)
keys = st.lists(st.sampled_from([*WORDS[:20], "0", "x", ""]), max_size=4).map(".".join)
overrides = st.lists(st.builds("{}={}".format, keys, yaml_like | st.text()), max_size=3)


def outcome(source, given_overrides=()) -> None:
    """Load it; nothing but a recipe or a RecipeError comes back."""
    try:
        recipe = load_recipe(source, given_overrides, partial=True)
    except RecipeError as error:
        told = error.faults
    else:
        assert isinstance(recipe, Recipe)
        assert load_recipe(recipe.values, partial=True).missing == recipe.missing
        return
    assert told
    assert all(fault and fault.replace("\n", "").isprintable() for fault in told)


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode) | yaml_like.map(str.encode))
@fuzzed
def test_any_file_is_a_recipe_or_has_faults(tmp_path, data):
    (tmp_path / "r.yaml").write_bytes(data)
    outcome(tmp_path / "r.yaml")


@given(blocks, overrides)
@fuzzed
def test_any_values_and_overrides_are_a_recipe_or_have_faults(values, given_overrides):
    outcome({"data": "toy", "path": "ot", "model": "net", **values}, given_overrides)


@given(st.lists(st.text(), max_size=3))
@fuzzed
def test_any_words_on_the_command_line_are_overrides_or_have_faults(words):
    outcome({"data": "toy", "path": "ot", "model": "net"}, words)


@given(st.text(string.printable, max_size=20))
@fuzzed
def test_any_source_is_found_or_not(text):
    outcome(text.replace(os.sep, "-"))
