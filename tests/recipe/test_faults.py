"""The messages of a recipe that is wrong, word for word."""

from __future__ import annotations

import pytest

from fmcore import RecipeError, load_recipe

EVERYTHING_WRONG = """\
seed: a
data: {name: files, image_size: 31, classes_of: {a: b}}
path: {name: ot, sgima_min: 1, source: {name: norml}}
model: {name: net, width: 0, channel_mult: [], dropout: yes}
train: {stps: 3, optimizer: {betas: [0.9]}, precision: fp31, grad_clip: -1, ema: x, batch_size: 1e3}
sample: {solver: {name: fixed, grid: cosin, steps: 1.5}}
evaluate: {metrics: likelihood}
expct: {}
expect: {fid: 3}
evaluate: null
"""
OVERRIDES = (
    "a.b.c",
    "path.source.temprature=2",
    "train.lr=fast",
    "objective.skew=on",
    "coupling=[1]",
    "data.figure=moons,board",
    "extends=other.yaml",
)
GOLDEN = """\
r.yaml:1:7: seed: expected an integer, got the text "a"
r.yaml:2:7: data 'files' needs the option 'root': text
r.yaml:2:33: data.image_size: expected 32 or 64, got 31
r.yaml:2:53: data.classes_of.a: expected an integer, got the text "b"
r.yaml:3:18: path 'ot' has no option 'sgima_min'; did you mean 'sigma_min'?
r.yaml:3:47: no source named 'norml'; did you mean 'normal'? installed: greedy, heavy, normal, \
odd, raising, untyped
r.yaml:4:27: model.width: expected an integer > 0, got 0
r.yaml:4:44: model.channel_mult: expected a list of integers of length at least 1, got an empty list
r.yaml:4:57: model.dropout: expected a number or null, got the text "yes"
r.yaml:5:8: train needs the option 'steps': an integer > 0
r.yaml:5:9: train has no option 'stps'; did you mean 'steps'?
r.yaml:5:37: train.optimizer.betas: expected a list of 2 numbers >= 0 and < 1, got a list of 1
r.yaml:5:56: train.precision: expected 'fp32', 'bf16' or 'fp16', got the text "fp31"; \
did you mean 'fp32'?
r.yaml:5:73: train.grad_clip: expected a number > 0 or null, got -1
r.yaml:5:82: train.ema: expected a number >= 0 and <= 1 or a list of numbers >= 0 and <= 1 \
or null, got the text "x"
r.yaml:5:97: train.batch_size: expected an integer > 0, got 1000.0; write 1000
r.yaml:6:38: sample.solver.grid: expected 'uniform' or 'cosine' or a list of numbers, \
got the text "cosin"
r.yaml:6:52: sample.solver.steps: expected an integer or null, got 1.5
r.yaml:7:21: evaluate.metrics: expected a list of metrics (names, or mappings with `name`), \
got the text "likelihood"; a list is written [likelihood]
r.yaml:8:1: a recipe has no section 'expct'; did you mean 'expect'?
r.yaml:9:15: expect.fid: expected a mapping of options, got 3
r.yaml:10:1: duplicate key 'evaluate', first given at r.yaml:7:1
command line: 'a.b.c' is not of the form key=value, as in train.lr=1e-4
command line: `extends` belongs in a recipe file; name that recipe instead
command line: data.figure=moons,board gives several values; a list is written [moons,board], \
and axes are for `fmcore benchmark`
command line: coupling: expected a coupling (its name, or a mapping with `name`), got a list
command line: objective.skew: expected true or false, got the text "on"; write true
command line: train.lr: expected a number > 0, got the text "fast\""""


def test_all_errors_are_reported_at_once_each_with_its_place(write, faults):
    assert faults(write(EVERYTHING_WRONG), OVERRIDES) == GOLDEN.splitlines()


def test_the_message_of_the_error_is_one_fault_a_line(write):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(EVERYTHING_WRONG), OVERRIDES)
    assert str(caught.value) == GOLDEN


REST = "data: toy\nmodel: net\n"


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        (
            "seed: 1",
            [],
            [
                "r.yaml:1:1: a recipe needs the section 'data': a data set (its name, or a mapping "
                "with `name`)",
                "r.yaml:1:1: a recipe needs the section 'path': a path (its name, or a mapping "
                "with `name`)",
                "r.yaml:1:1: a recipe needs the section 'model': a model (its name, or a mapping "
                "with `name`)",
            ],
        ),
        (
            REST + "path: {sigma_min: 1}",
            ["seed=3"],
            ["r.yaml:3:7: path needs a name; installed: ot, vp"],
        ),
        (
            REST + "path: null",
            [],
            ["r.yaml:3:7: path: expected a path (its name, or a mapping with `name`), got null"],
        ),
        (
            REST + "path: {name: 3}",
            [],
            [
                "r.yaml:3:14: path.name: expected text, got 3; put it in quotes if it is meant "
                "as text"
            ],
        ),
        (
            REST + "path: {name: ott}",
            [],
            ["r.yaml:3:14: no path named 'ott'; did you mean 'ot'? installed: ot, vp"],
        ),
        (
            REST + "path: ot",
            ["path=ott"],
            ["command line: no path named 'ott'; did you mean 'ot'?"],
        ),
        (
            REST + "path: ot",
            ["path=ot,vp"],
            ["command line: path=ot,vp gives several values; a list is written [ot,vp]"],
        ),
        (
            REST + "path: ot",
            ["seed=1,2"],
            ["command line: seed=1,2 gives several values; a list is written [1,2], and axes are"],
        ),
        (
            REST + "path: ot",
            ["pth.sigma_min=1"],
            ["command line: a recipe has no section 'pth'; did you mean 'path'?"],
        ),
        (
            REST + "path: ot",
            ["path.sgima_min=1"],
            ["command line: path 'ot' has no option 'sgima_min'; did you mean 'sigma_min'?"],
        ),
        (
            REST + "path: ot",
            ["path..x=1", "=3", "seed", "a.=1"],
            [
                f"command line: '{text}' is not of the form key=value, as in train.lr=1e-4"
                for text in ("path..x=1", "=3", "seed", "a.=1")
            ],
        ),
    ],
)
def test_an_error_is_reported(write, faults, text, overrides, expected):
    found = faults(write(text), overrides)
    assert len(found) == len(expected)
    for message, beginning in zip(found, expected, strict=True):
        assert message.startswith(beginning)


def test_a_constructor_that_objects_is_quoted_at_the_option_that_it_names(write, faults):
    text = REST + "path:\n  name: ot\n  sigma_min: -1\n"
    assert faults(write(text)) == ["r.yaml:5:14: path 'ot': sigma_min must be >= 0, got -1.0"]


def test_settings_that_object_are_quoted_too(write, faults):
    text = REST + "path: ot\nsample:\n  solver: {name: adaptive, span: {low: 2}}\n"
    assert faults(write(text)) == ["r.yaml:5:40: sample.solver.span: low must not be above high"]


def test_a_constructor_that_names_no_option_is_quoted_at_the_component(write, faults):
    text = REST + "path: {name: ot, source: raising}\n"
    (fault,) = faults(write(text))
    assert fault.startswith("r.yaml:3:26: source 'raising' of plugin kit sha256:")
    assert "cannot be made: ZeroDivisionError: nothing to divide by" in fault


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "train.optimizer.betas=[0.9,1]",
            "train.optimizer.betas.1: expected a number >= 0 and < 1, got 1",
        ),
        ("train.lr=.inf", "train.lr: expected a number > 0, got inf; it has to be finite"),
        ("train.lr=.nan", "train.lr: expected a number > 0, got nan"),
        (
            "train.optimizer.weight_decay=.inf",
            "expected a number >= 0, got inf; it has to be finite",
        ),
        ("train.ema=1.5", "train.ema: expected a number >= 0 and <= 1 or a list of numbers"),
        ("train.ema_power=[0.3]", "train.ema_power.0: expected a number > 0 and <= 0.28, got 0.3"),
        ("expect.nll={min: 2, max: 1}", "expect.nll: min has to be at most max, got 2.0 and 1.0"),
    ],
)
def test_a_value_out_of_range_is_refused_where_it_is_given(basic, faults, override, message):
    (fault,) = faults(basic, [override])
    assert fault.startswith("command line: ")
    assert message in fault


def test_what_is_already_wrong_is_not_tried(write, faults):
    text = REST + "path: {name: ot, sigma_min: -1, nonsense: 1}\n"
    assert faults(write(text)) == [
        "r.yaml:3:33: path 'ot' has no option 'nonsense'; options: sigma_min, source"
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("greedy", "takes **rest, which would swallow misspelt options"),
        ("untyped", "option 'scale' has no type annotation"),
        ("odd", "option 'scale' has the type complex, which a recipe cannot write"),
    ],
)
def test_a_plugin_whose_signature_is_no_schema_is_reported_where_it_is_used(
    write, faults, source, message
):
    (fault,) = faults(write(REST + f"path: {{name: ot, source: {source}}}"))
    assert fault.startswith(f"r.yaml:3:26: source '{source}': ")
    assert message in fault


def test_required_values_left_open_are_asked_for(write, faults):
    text = "data: {name: files, root: ???}\npath: ???\nmodel: {name: ???}\n"
    assert faults(write(text)) == [
        "r.yaml:1:27: data.root must be given: add data.root=... to the command line",
        "r.yaml:2:7: path must be given: add path=... to the command line",
        "r.yaml:3:15: model.name must be given: add model.name=... to the command line",
    ]


def test_control_characters_never_reach_the_terminal(write, faults):
    text = REST + 'path: {name: ot, "\\e[2J\\x9b31m": 1, source: "\\e]0;x\\a"}'
    for fault in faults(write(text)):
        assert fault.isprintable()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "r.yaml:1:1: the recipe is empty"),
        ("# only a comment\n", "r.yaml:1:1: the recipe is empty"),
        ("- a\n- b\n", "r.yaml:1:1: a recipe is a mapping of sections, as in `path: ot`"),
        ("just text", "r.yaml:1:1: a recipe is a mapping of sections, as in `path: ot`"),
        ("null", "r.yaml:1:1: a recipe is a mapping of sections, as in `path: ot`"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(write, faults, text, message):
    assert faults(write(text)) == [message]
