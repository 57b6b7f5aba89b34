from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import Mark, from_python, to_python

# A key is a value or a mapping in all layers, as options are; none is `name`, a component's mark.
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.lists(st.integers(), max_size=2)
)
values = st.dictionaries(st.sampled_from(["a", "b", "c"]), scalars, max_size=3)
trees = st.recursive(
    values,
    lambda inner: st.builds(
        lambda own, below: own | below,
        values,
        st.dictionaries(st.sampled_from(["p", "q"]), inner, max_size=2),
    ),
    max_leaves=6,
)
derandomized = settings(derandomize=True, max_examples=100, deadline=None)


def merged(*layers: Any) -> Any:
    node = from_python(layers[0], Mark("0"))
    for index, layer in enumerate(layers[1:], 1):
        node = merge(node, from_python(layer, Mark(str(index))))
    return to_python(node)


def flat(tree: Any, at: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Single values, lists and empty mappings by their path."""
    if not isinstance(tree, dict) or not tree:
        return {at: tree}
    return {k: v for key, child in tree.items() for k, v in flat(child, (*at, key)).items()}


@given(trees)
@derandomized
def test_nothing_over_a_recipe_and_a_recipe_over_nothing_change_nothing(tree):
    assert merged(tree, {}) == tree
    assert merged({}, tree) == tree
    assert merged(tree, tree) == tree


@given(trees, trees, trees)
@derandomized
def test_layers_may_be_merged_in_any_grouping(a, b, c):
    assert merged(merged(a, b), c) == merged(a, merged(b, c))


@given(trees, trees)
@derandomized
def test_every_value_of_the_upper_layer_is_kept(base, over):
    result = flat(merged(base, over))
    for path, value in flat(over).items():
        if value != {}:  # an empty mapping adds nothing
            assert result[path] == value


@given(trees, trees)
@derandomized
def test_every_value_is_of_one_of_the_layers(base, over):
    known = flat(base) | flat(over)
    for path, value in flat(merged(base, over)).items():
        assert path in known
        assert value in (flat(base).get(path, known[path]), flat(over).get(path, known[path]))


@given(trees, trees)
@derandomized
def test_keys_of_the_lower_layer_keep_their_order(base, over):
    result = list(merged(base, over))
    assert result == [*base, *(key for key in over if key not in base)]


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        # a changed name replaces the block
        ({"name": "ot", "sigma_min": 1}, {"name": "vp"}, {"name": "vp"}),
        ({"name": "ot", "sigma_min": 1}, "vp", "vp"),
        ("ot", {"name": "vp", "beta_min": 1}, {"name": "vp", "beta_min": 1}),
        # the same name, or none, adds to it
        ({"name": "ot", "a": 1}, {"name": "ot", "b": 2}, {"name": "ot", "a": 1, "b": 2}),
        ({"name": "ot", "a": 1}, {"b": 2}, {"name": "ot", "a": 1, "b": 2}),
        ({"name": "ot", "a": 1}, "ot", {"name": "ot", "a": 1}),
        ("ot", {"b": 2}, {"name": "ot", "b": 2}),
        # deeper down too
        (
            {"count": 1, "solver": {"name": "dopri5", "rtol": 1}},
            {"solver": {"name": "euler", "steps": 3}},
            {"count": 1, "solver": {"name": "euler", "steps": 3}},
        ),
        # null replaces, and is replaced
        ({"steps": 1}, None, None),
        (None, {"steps": 1}, {"steps": 1}),
        # lists are replaced; a mapping of indices reaches into one
        ([1, 2, 3], [4], [4]),
        ([1, 2, 3], {"1": 5}, [1, 5, 3]),
        ([1, 2], {"2": 5}, [1, 2, 5]),
        (["a", {"name": "b", "k": 1}], {"1": {"k": 2}}, ["a", {"name": "b", "k": 2}]),
        (["a", "b"], {"0": {"k": 2}}, [{"name": "a", "k": 2}, "b"]),
        ([1, 2], {"7": 5}, {"7": 5}),
        ([1, 2], {"9" * 5000: 5}, {"9" * 5000: 5}),
        ([1, 2], {"x": 5}, {"x": 5}),
        ([1, 2], {}, {}),
    ],
)
def test_layers_merge(base, over, expected):
    assert merged({"x": base}, {"x": over}) == {"x": expected}


def test_merging_changes_neither_layer():
    base = from_python({"a": {"b": 1}}, Mark("0"))
    over = from_python({"a": {"c": 2}}, Mark("1"))
    merge(base, over)
    assert to_python(base) == {"a": {"b": 1}}
    assert to_python(over) == {"a": {"c": 2}}
