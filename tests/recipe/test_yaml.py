from __future__ import annotations

import pytest

from fmcore import RecipeError
from fmcore.recipe.nodes import Diagnostics, to_python
from fmcore.recipe.yaml import MAX_BYTES, read_bytes, read_text


def value(text: str) -> object:
    diagnostics = Diagnostics()
    node = read_text(text, "r.yaml", diagnostics)
    diagnostics.raise_any()
    return None if node is None else to_python(node)


def faults(text: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        value(text)
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        ("-.5", -0.5),
        ("+1.", 1.0),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("157000", 157000),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("null", None),
        ("~", None),
        ("True", True),
        ("FALSE", False),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text, expected):
    found = value(f"a: {text}")["a"]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text", ["yes", "no", "on", "off", "12:30:00", "1_000", "2001-01-01", "e5", "1e", "0b1", "."]
)
def test_what_only_yaml_1_1_reads_as_something_else_is_text(text):
    assert value(f"a: {text}") == {"a": text}


def test_a_quoted_number_is_text():
    assert value("a: '1e-5'") == {"a": "1e-5"}


def test_values_know_their_line_and_column():
    node = read_text("a:\n  b: [1, two]\n", "r.yaml", Diagnostics())
    inner = node.entries["a"].entries["b"]
    assert str(inner.key) == "r.yaml:2:3"
    assert str(inner.mark) == "r.yaml:2:6"
    assert str(inner.items[1].mark) == "r.yaml:2:10"


@pytest.mark.parametrize("text", ["{a: ???, b: ???}", "a: ???\nb: ???", "{a: ???,\n b: '???'}"])
def test_missing_values_are_read_inside_braces_too(text):
    assert value(text) == {"a": "???", "b": "???"}


def test_three_question_marks_followed_by_more_are_a_syntax_error_in_braces():
    assert "not valid YAML" in faults("{a: ???b}")[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["r.yaml:3:1: duplicate key 'a', first given at r.yaml:1:1"]),
        ("{a: {x: 1, x: 2}}", ["r.yaml:1:12: duplicate key 'x', first given at r.yaml:1:6"]),
        ("1: a", ["r.yaml:1:1: a key must be text; put it in quotes"]),
        ("? [1, 2]\n: 3", ["r.yaml:1:3: a key must be text; put it in quotes"]),
        (
            "a: &x {b: 1}\nc:\n  <<: *x\n",
            ["r.yaml:3:3: merge keys (<<) are not used in recipes; use `extends: file`"],
        ),
        ("a: !!int x", ["r.yaml:1:4: 'x' cannot be read as int"]),
        (f"a: {'9' * 5000}", [f"r.yaml:1:4: '{'9' * 40}' cannot be read as int"]),
        (
            "a: [1",
            [
                "r.yaml:1:6: not valid YAML: expected ',' or ']', but got '<stream end>' "
                "(while parsing a flow sequence)"
            ],
        ),
        (
            "a: {b: ${c}}",
            [
                "r.yaml:1:9: not valid YAML: expected ',' or '}', but got '{' (while parsing a "
                "flow mapping); inside braces, ${...} has to be in quotes"
            ],
        ),
        (
            "a: 1\n---\nb: 2\n",
            [
                "r.yaml:2:1: not valid YAML: but found another document "
                "(expected a single document in the stream)"
            ],
        ),
        ("a: \tb\n\tc: d", None),
        ("a: *nowhere", ["r.yaml:1:4: not valid YAML: found undefined alias 'nowhere'"]),
        ("a: \x00", ["r.yaml:1:4: the character U+0000 is not allowed in YAML"]),
        ('a: "\\UFFFFFFFF"', None),
    ],
)
def test_invalid_yaml_is_reported_with_its_place(text, expected):
    found = faults(text)
    assert all(fault.startswith("r.yaml:") for fault in found)
    if expected is not None:
        assert found == expected


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system",
        "!!python/name:os.system",
        "!!python/object/new:subprocess.Popen",
        "!!binary",
        "!!timestamp",
        "!!set",
        "!local",
        "!<tag:example.org,2000:x>",
    ],
)
@pytest.mark.parametrize("body", ["[ls]", "{a: 1}", "text"])
def test_a_tag_that_would_build_an_object_is_refused_at_its_place(tag, body):
    shown = tag.replace("!<tag:example.org,2000:x>", "tag:example.org,2000:x")
    assert faults(f"path: {tag} {body}") == [
        f"r.yaml:1:7: the tag {shown} is refused: a recipe is plain data and builds no objects"
    ]


def test_tags_of_the_core_schema_say_what_they_say():
    assert value("{a: !!str 1, b: !!float 1, c: !!map {}, d: !!seq [], e: !!null null}") == {
        "a": "1",
        "b": 1.0,
        "c": {},
        "d": [],
        "e": None,
    }


def test_aliases_repeat_their_anchor():
    assert value("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}


def test_aliases_that_multiply_beyond_measure_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    (fault,) = faults("\n".join(lines))
    assert fault.endswith("more than 10000 values once its aliases are written out")


def test_an_alias_inside_its_own_anchor_is_refused():
    assert "nested more than 50 levels deep" in faults("a: &a [*a]")[0]


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "- " * 3000, "a:\n" + " " * 3000])
def test_deep_nesting_is_an_error_and_no_crash(text):
    with pytest.raises(RecipeError):
        value("x: " + text + "\ny: [")


def test_sixty_levels_are_too_deep():
    assert "nested more than 50 levels deep" in faults("[" * 60 + "]" * 60)[0]


def bytes_fault(data: bytes) -> str:
    with pytest.raises(RecipeError) as caught:
        read_bytes(data, "r.yaml", Diagnostics())
    return str(caught.value)


def test_other_encodings_are_reported_with_the_byte():
    assert bytes_fault("a: 1\nb: ü".encode("latin-1")) == (
        "r.yaml:2:4: not UTF-8 text (byte 0xfc); save the file as UTF-8"
    )


def test_a_byte_order_mark_does_no_harm():
    node = read_bytes("a: 1".encode("utf-8-sig"), "r.yaml", Diagnostics())
    assert to_python(node) == {"a": 1}


def test_a_large_file_is_refused_unread():
    assert bytes_fault(b" " * (MAX_BYTES + 1)) == "r.yaml: longer than 256 KiB, which is no recipe"
