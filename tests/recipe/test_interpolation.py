from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmcore import load_recipe
from fmcore.recipe.interpolation import escape, interpolate
from fmcore.recipe.nodes import Diagnostics, Mark, from_python, to_python

derandomized = settings(derandomize=True, max_examples=300, deadline=None)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("FM_TEXT", "hello")
    monkeypatch.setenv("FM_NUMBER", "17")
    monkeypatch.setenv("FM_ODD", "${train.steps} {a: 1} # x")
    monkeypatch.setenv("FM_NAME", "vp")
    monkeypatch.delenv("FM_UNSET", raising=False)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        # another key keeps its type
        ("train.batch_size", "${train.steps}", 100),
        ("train.lr", "${path.sigma_min}", 1e-3),
        ("train.grad_clip", "${train.ema}", 0.999),
        ("train.grad_clip", "${sample.seed}", None),
        ("sample.batch_size", "${ train.batch_size }", 128),
        ("data.root", "${path.source.name}", "normal"),
        ("sample.count", "${train.lr_schedule.warmup}1", 1),
        # inside a text
        ("data.root", "a/${train.steps}-${sample.seed}/${train.ema}", "a/100-null/0.999"),
        ("data.root", "${path.name}${path.name}", "otot"),
        ("data.root", "${oc.env:FM_TEXT}/x", "hello/x"),
        # the environment, typed by the schema
        ("data.root", "${oc.env:FM_TEXT}", "hello"),
        ("data.root", "${oc.env:FM_NUMBER}", "17"),
        ("train.batch_size", "${oc.env:FM_NUMBER}", 17),
        ("train.lr", "${oc.env:FM_NUMBER}", 17.0),
        ("data.root", "${oc.env:FM_ODD}", "${train.steps} {a: 1} # x"),
        ("path", "${oc.env:FM_NAME}", "vp"),
        ("path.name", "${oc.env:FM_NAME}", "vp"),
        # defaults of the environment
        ("data.root", "${oc.env:FM_UNSET,/data}", "/data"),
        ("data.root", '${oc.env:FM_UNSET,"a, b"}', "a, b"),
        ("train.lr", "${oc.env:FM_UNSET,1e-4}", 1e-4),
        ("train.ema", "${oc.env:FM_UNSET,null}", None),
        ("data.root", "${oc.env:FM_UNSET,${train.steps}}", "100"),
        ("data.root", "${oc.env:FM_UNSET,${oc.env:FM_TEXT}}", "hello"),
        ("data.root", "${oc.env:${oc.env:FM_UNSET,FM_TEXT}}", "hello"),
        # no reference at all
        ("data.root", r"\${train.steps}", "${train.steps}"),
        ("data.root", r"\\${train.steps}", r"\100"),
        ("data.root", "$train.steps {x}", "$train.steps {x}"),
    ],
)
def test_a_reference_becomes_its_value(basic, key, text, value):
    found = to_python(load_recipe(basic, [f"{key}={text}"]).completed)
    for part in key.split("."):
        found = found[part]
    found = found["name"] if key == "path" else found
    assert found == value
    assert type(found) is type(value)


def test_a_reference_reaches_through_another(basic):
    recipe = load_recipe(
        basic, ["train.lr_schedule.warmup=${sample.count}", "sample.count=${train.steps}"]
    )
    assert recipe.values["train"]["lr_schedule"]["warmup"] == 100


def test_a_reference_follows_a_later_override(basic):
    recipe = load_recipe(basic, ["sample.count=${train.steps}"])
    assert recipe.override(["train.steps=3"]).values["sample"]["count"] == 3


def test_the_defaults_of_a_component_named_by_the_environment_are_there(basic):
    recipe = load_recipe(basic, ["path=${oc.env:FM_NAME}", "train.lr=${path.beta_max}"])
    assert recipe.values["train"]["lr"] == 20.0


def test_a_resolved_value_keeps_the_place_where_it_was_written(write):
    recipe = load_recipe(write("data: toy\npath: ot\nmodel: net\nseed: ${oc.env:FM_NUMBER}\n"), [])
    assert (recipe.values["seed"], recipe.origin("seed")) == (17, "r.yaml:4:1")


ONLY = "only ${oc.env:NAME} and references to other keys, as in ${train.batch_size}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "${oc.env:FM_UNSET}",
            "the environment variable 'FM_UNSET' is not set; set it, or write "
            "${oc.env:FM_UNSET,DEFAULT}",
        ),
        (
            "${train.stepz}",
            "refers to 'train.stepz', which the recipe does not have; did you mean 'train.steps'?",
        ),
        ("${path}", "refers to 'path', which is no single value"),
        ("${train.optimizer.betas}", "refers to 'train.optimizer.betas', which is no single value"),
        ("${data.root}", "refers to itself: data.root -> data.root"),
        ("x${data.root}", "refers to itself: data.root -> data.root"),
        (
            "${.root}",
            "'.root' begins with a dot; write the whole key, as in ${train.batch_size}",
        ),
        ("${oc.coerce:int,3}", f"there is no 'oc.coerce' in recipes, {ONLY}"),
        ("${oc.decode:3}", f"there is no 'oc.decode' in recipes, {ONLY}"),
        ("${${path.name}:os.system}", f"there is no 'ot' in recipes, {ONLY}"),
        ("${oc.env:}", "oc.env takes a name and perhaps a default: ${oc.env:DATA,/data}"),
        ("${oc.env:A,b,c}", "oc.env takes a name and perhaps a default: ${oc.env:DATA,/data}"),
        ("${" + "x" * 2000 + "}", "is longer than 2000 characters"),
    ],
)
def test_a_reference_without_value_is_reported(basic, faults, text, message):
    assert faults(basic, [f"data.root={text}"]) == [f"command line: data.root: {message}"]


@pytest.mark.parametrize(
    "text", ["${", "${}", "${a", "${a..b}", "${oc.env:a,}", "${a:}b}", "${{}}"]
)
def test_an_invalid_reference_is_reported(basic, faults, text):
    (fault,) = faults(basic, [f"data.root={text}"])
    assert fault.startswith("command line: data.root: ")


def test_a_circle_of_references_is_reported_at_each_value(basic, faults):
    found = faults(
        basic,
        ["train.lr=${train.ema}", "train.ema=${train.grad_clip}", "train.grad_clip=${train.lr}"],
    )
    assert len(found) == 3
    assert (
        "train.lr: refers to itself: train.lr -> train.ema -> train.grad_clip -> train.lr"
        in found[0]
    )


def test_an_error_is_reported_at_its_place_and_not_where_it_is_referred_to(basic, faults):
    found = faults(basic, ["train.lr=${oc.env:FM_UNSET}", "train.ema=${train.lr}"])
    assert len(found) == 1
    assert "train.lr" in found[0]


def test_a_reference_to_a_missing_value_is_missing(basic):
    overrides = ["data.root=???", "sample.seed=${data.root}", "path.name=o${data.root}"]
    recipe = load_recipe(basic, overrides, partial=True)
    assert recipe.missing == ("data.root", "path.name", "sample.seed")


def test_texts_do_not_grow_beyond_measure(basic, faults):
    doubling = [
        f"expect.x{i}.max=${{expect.x{i + 1}.max}}${{expect.x{i + 1}.max}}" for i in range(15)
    ]
    found = faults(basic, [*doubling, "expect.x15.max=1"])
    assert any("becomes longer than 2000 characters" in fault for fault in found)


def test_a_long_chain_of_references_is_reported(basic, faults):
    chain = [f"expect.x{i}.max=${{expect.x{i + 1}.max}}" for i in range(40)]
    found = faults(basic, [*chain, "expect.x40.max=1"])
    assert "refers to a value that refers to another, and so on 20 times" in found[0]


@given(st.text(st.sampled_from("\\${}ab:., "), max_size=12))
@derandomized
def test_an_escaped_text_is_not_interpolated(text):
    diagnostics = Diagnostics()
    tree = from_python({"k": escape(text)}, Mark("here"), literal=False)
    assert to_python(interpolate(tree, tree, diagnostics)) == {"k": text}
    assert len(diagnostics) == 0


@given(st.text(st.sampled_from("\\${}ab:.,'\"[] "), max_size=16))
@derandomized
def test_any_text_is_resolved_or_refused(text):
    diagnostics = Diagnostics()
    tree = from_python({"a": 1, "k": text}, Mark("here"), literal=False)
    found = to_python(interpolate(tree, tree, diagnostics))["k"]
    assert diagnostics.found or not re.search(r"(?<!\\)\$\{", text) or found != text
