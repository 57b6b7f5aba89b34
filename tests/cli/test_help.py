"""The help of every command, and the messages for wrong command lines."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from fmcore import load_recipe
from fmcore.cli import COMMANDS, command_line
from fmcore.cli.lazy import LazyGroup
from fmcore.registry.kinds import KINDS


def test_fmcore_alone_prints_its_help(call):
    alone, asked, short = call(), call("--help"), call("-h")
    assert alone == asked == short
    assert (alone.code, alone.err) == (0, "")
    assert alone.out.startswith("Usage: fmcore [OPTIONS] COMMAND [ARGS]...\n")


def test_the_version_is_printed(call):
    assert call("--version").out.startswith("fmcore 0.")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize("path", commands(command_line), ids=" ".join)
def test_every_command_and_option_has_help_and_groups_list_the_same_summary(call, path):
    ended = call(*path, "--help")
    assert ended.code == 0
    assert ended.out.startswith(f"Usage: fmcore {' '.join(path)} ")
    group: click.Command = command_line
    for name in path[:-1]:
        group = group.get_command(click.Context(group), name)
    assert isinstance(group, LazyGroup)
    command = group.get_command(click.Context(group), path[-1])
    assert command.short_help == group.targets[path[-1]].summary
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{path}: {option.opts} has no help"


@pytest.mark.parametrize("path", [(), *commands(command_line)], ids=" ".join)
def test_every_command_shows_examples_that_work_outside_a_checkout(call, path):
    shown = call(*path, "--help").out
    begin = " ".join(("fmcore", *path))
    examples = re.findall(rf"^ +({begin}(?: .*)?)$", shown, re.M)
    examples += re.findall(rf'^ +(eval "\$\({begin} .*)$', shown, re.M)
    assert examples, f"{begin} --help has no example"
    for example in examples:
        words = shlex.split(re.split(r" {2,}|\||#", example)[0])
        if words[0] == "fmcore":
            command_line.make_context("fmcore", words[1:], resilient_parsing=True)
            options = {word for word in words if word.startswith("--")}
            assert not path or options <= set(re.findall(r"--[\w-]+", shown)), example
        if words[:2] == ["fmcore", "run"]:  # the current folder is empty: a recipe has to be named
            run = command_line.get_command(click.Context(command_line), "run")
            params = run.make_context("run", words[2:], resilient_parsing=True).params
            load_recipe(params["recipe"], params["overrides"], partial=True)


CHEAP = [
    "fmcore recipes",
    "fmcore recipes cp digits mine.yaml",
    "fmcore recipes check mine.yaml train.steps=100",
    "fmcore recipes diff cifar10 cifar10_paper",
    "fmcore recipes diff digits path=vp",
    "fmcore recipes ls --json",
    "fmcore recipes show digits",
    "fmcore recipes show digits path=vp",
    "fmcore plugins",
    "fmcore plugins check ot --set sigma_min=0.01",
    "fmcore plugins ls --kind solver",
    "fmcore plugins new my-path --kind path",
    "fmcore plugins show ot",
    "fmcore plugins show unipc --set p=3 --plan 4",
    "fmcore data show digits",
    "fmcore data show toy figure=rings --picture rings.png",
]
"""Examples of --help that are quick to run, in an order in which they work."""


def test_the_cheap_examples_of_help_run(call):
    shown = "".join(call(*path, "--help").out for path in [(), *commands(command_line)])
    lines = {re.split(r" {2,}", line.strip())[0] for line in shown.splitlines()}
    for example in CHEAP:
        assert example in lines
        ended = call(*shlex.split(example)[1:])
        assert (example, ended.code, ended.err) == (example, 0, "")


MISTAKES = {
    "plugin": (
        "error: no command 'plugin'; did you mean 'plugins'? commands: "
        f"{', '.join(COMMANDS)}\nsee: fmcore --help\n"
    ),
    "xyz": f"error: no command 'xyz'; commands: {', '.join(COMMANDS)}\nsee: fmcore --help\n",
    "plugins shw": (
        "error: no command 'shw'; did you mean 'show'? commands: ls, show, check, new\n"
        "see: fmcore plugins --help\n"
    ),
    "run": "error: Missing argument 'RECIPE'.\n"
    "`fmcore recipes` lists the recipes that have a name\n"
    "for example: fmcore run digits train.steps=100\nsee: fmcore run --help\n",
    "plugins new mine": (
        f"error: Missing option '--kind'. Choose from: {', '.join(KINDS)}\n"
        "for example: fmcore plugins new my-path --kind path\n"
        "see: fmcore plugins new --help\n"
    ),
    "run digits --train.steps=3": (
        "error: No such option '--train.steps'.\n"
        "options of a recipe have no dashes: train.steps=VALUE\nsee: fmcore run --help\n"
    ),
    "run digits --steps 3": (
        "error: No such option '--steps'.\n"
        "options of a recipe have no dashes: train.steps=VALUE\nsee: fmcore run --help\n"
    ),
    "recipes diff digits": (
        "error: give two recipes, or one recipe and KEY=VALUE\nsee: fmcore recipes diff --help\n"
    ),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_wrong_command_line_is_an_error_with_what_to_type_instead(call, words):
    ended = call(*words.split())
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == MISTAKES[words]


def test_an_unknown_option_comes_with_a_suggestion(call):
    ended = call("plugins", "ls", "--jsn")
    assert ended.code == 2
    assert "--jsn" in ended.err
    assert "--json" in ended.err
    assert "see: fmcore plugins ls --help" in ended.err
