"""`fmcore plugins check`: the conformance suite of a kind, run on one component."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

WRONG = '''
import math
from typing import Annotated
import torch
from annotated_types import Gt
from torch import nn
from fmcore import VectorField, hookimpl

class Flat(VectorField):
    """Does not restore the shape of x."""
    def __init__(self, *, shape: tuple[int, ...], width: Annotated[int, Gt(0)] = 8) -> None:
        super().__init__()
        self.layer = nn.Linear(math.prod(shape) + 1, math.prod(shape))
    def forward(self, x, t, condition=None):
        return self.layer(torch.cat([x.flatten(1), t[:, None]], dim=1))

class Stubborn(Flat):
    def __init__(self, *, shape: tuple[int, ...]) -> None:
        raise OSError("no")

@hookimpl
def register_models(register):
    register("flat", Flat)
    register("stubborn", Stubborn)

@hookimpl
def register_recipes(register):
    register("first", "acme:first.yaml")
'''


@pytest.fixture
def wrong(tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text(WRONG, encoding="utf-8")
    return str(file)


def test_a_component_that_passes_its_suite_exits_with_0(call):
    ended = call("plugins", "check", "mlp", "--set", "width=16", "--set", "depth=1")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("model 'mlp' of plugin fmcore_nets ")
    assert "✓ gives the shape and dtype of x" in lines
    assert "– depends on the class: skipped, takes no labels" in lines
    assert lines[-1].endswith(" passed, 0 failed, 2 skipped")


def test_a_component_that_breaks_a_law_fails_with_the_law_and_the_numbers(call, wrong):
    ended = call("plugins", "check", "flat", "--plugin", wrong)
    assert ended.code == 1
    assert (
        "✗ gives the shape and dtype of x\n"
        "      the result has shape (1, 192) for x of shape (1, 3, 8, 8)\n"
        "      law: The result has x's shape and dtype, for one row and for several.\n"
    ) in ended.out


def test_check_prints_json_for_other_programs(call, wrong):
    ended = call("plugins", "check", "flat", "--plugin", wrong, "--json")
    printed = json.loads(ended.out)
    assert ended.code == 1
    assert (printed["kind"], printed["name"], printed["plugin"]) == ("model", "flat", "wrong")
    assert printed["passed"] is False
    failed = {check["name"] for check in printed["checks"] if not check["passed"]}
    assert "test_gives_the_shape_and_dtype_of_x" in failed


def test_the_suite_uses_the_shape_and_the_classes_of_the_options(call):
    words = ("--set", "shape=[5]", "--set", "classes=3", "--set", "width=8")
    ended = call("plugins", "check", "mlp", *words)
    assert ended.code == 0
    assert "✓ depends on the class" in ended.out


def test_wrong_options_are_reported_once_and_all_together(call, wrong):
    words = ("--set", "widht=3", "--set", "width=-1")
    ended = call("plugins", "check", "flat", "--plugin", wrong, *words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "error: command line: model 'flat' has no option 'widht'; did you mean 'width'?\n"
        "command line: width: expected an integer > 0, got -1\n"
        "options are given as --set KEY=VALUE\n"
    )


@pytest.mark.parametrize("words", [(), ("--set", "nfe=40")])
def test_a_fixed_solver_without_a_budget_gets_one(call, words):
    ended = call("plugins", "check", "euler", *words)
    assert ended.code == 0
    assert "✓ budget is used and never exceeded" in ended.out


def test_a_component_that_cannot_be_created_is_an_error(call, wrong):
    ended = call("plugins", "check", "stubborn", "--plugin", wrong)
    assert ended.code == 2
    assert "cannot be made: OSError: no" in ended.err


def test_check_of_a_recipe_names_the_command_for_recipes(call, wrong):
    ended = call("plugins", "check", "first", "--plugin", wrong)
    assert ended.code == 2
    assert "use: fmcore recipes check wrong/first" in ended.err


def test_shape_and_conditions_are_those_of_the_suite(call):
    words = ("--shape", "2", "--condition", "c=3:droppable", "--condition", "label=4")
    ended = call("plugins", "check", "mlp", *words, "--set", "conditions=[c]", "--set", "width=8")
    assert ended.code == 0, ended.out
    assert "✓ depends on the class" in ended.out
    assert "✓ reads the entries that it declares and no others" in ended.out


def test_a_source_takes_the_condition_that_it_draws_from(call):
    words = ("plugins", "check", "from_condition", "--set", "key=c")
    assert "skipped, FromCondition draws from a condition" in call(*words).out
    ended = call(*words, "--condition", "c=2")
    assert ended.code == 0
    assert "✓ draws follow the density" in ended.out


def test_pairs_of_a_file_take_the_place_of_random_ones(call, tmp_path):
    file, generator = tmp_path / "pairs.safetensors", torch.Generator().manual_seed(0)
    points = torch.randn(2000, 2, generator=generator)
    save_file({"x0": points, "x1": points + 1}, file)
    words = ("plugins", "check", "minibatch_ot", "--pairs", str(file))
    assert call(*words).code == 0
    save_file({"x0": points[:5], "x1": points[5:10]}, file)
    ended = call(*words)
    assert ended.code == 1
    assert "holds 5 pairs of shape (2,)" in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mlp", "--shape", "3,x"), "expected sizes such as 3,32,32, got '3,x'"),
        (("mlp", "--shape", "9999,9999"), "99,980,001 numbers a row; at most 16,777,216"),
        (("mlp", "--condition", "c"), "expected NAME=SHAPE[:TYPE][:droppable]"),
        (("mlp", "--condition", "c=3:int46"), "c: no type 'int46'; did you mean 'int64'?"),
        (("mlp", "--condition", "c=3:bool:droppable"), "a bool entry has no null value"),
        (("mlp", "--condition", "c=3", "--condition", "c=4"), "'c' is given twice"),
        (("mlp", "--condition", "label=3:int64"), "takes the number of classes alone"),
        (("euler", "--shape", "3"), "--shape is for a model or a source, and this is a solver"),
        (("mlp", "--pairs", "x"), "--pairs is for a path or a coupling, and this is a model"),
        (("ot", "--pairs", "nothing.safetensors"), "--pairs: no file nothing.safetensors"),
    ],
)
def test_what_the_suite_cannot_use_is_refused(call, words, message):
    ended = call("plugins", "check", *words)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (None, "is not a safetensors file"),
        ({"x1": torch.zeros(3, 2)}, "must hold x0 and x1; it holds x1"),
        ({"x0": torch.zeros(3, 1), "x1": torch.zeros(3, 2)}, "of one shape"),
    ],
)
def test_a_file_without_pairs_is_refused(call, tmp_path, tensors, message):
    file = tmp_path / "pairs.safetensors"
    if tensors is None:
        file.write_text("no tensors", encoding="utf-8")
    else:
        save_file(tensors, file)
    ended = call("plugins", "check", "ot", "--pairs", str(file))
    assert ended.code == 2
    assert message in ended.err
