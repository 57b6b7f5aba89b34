"""What the command line says of itself, and how it answers mistakes."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from fmcore.cli import COMMANDS, command_line
from fmcore.cli.lazy import LazyGroup

HELP = """\
Usage: fmcore [OPTIONS] COMMAND [ARGS]...

  Train, sample and judge flow-matching models from recipes and plugins.

    fmcore recipes                        what can be run
    fmcore run recipes/digits.yaml        train, sample, evaluate
    fmcore plugins                        what a recipe can name

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
"""

PLUGINS_HELP = """\
Usage: fmcore plugins [OPTIONS] COMMAND [ARGS]...

  List, show, check and make plugins; alone it lists.

    fmcore plugins                          all of them
    fmcore plugins new my-path --kind path  one of your own

  FMCORE_PLUGINS=a,b loads only these beside the built-in ones (none: only those).

Options:
  -h, --help  Show this message and exit.

Commands:
  ls     List components, and plugins that failed (default).
  show   Show a component: options, defaults, code.
  check  Run the conformance suite of a component.
  new    Write a new plugin, ready to install and test.
"""


def test_help_says_what_there_is(call):
    width = max(map(len, COMMANDS))
    commands = "".join(f"  {name:<{width}}  {c.summary}\n" for name, c in COMMANDS.items())
    for words in ([], ["--help"], ["-h"]):
        ended = call(*words)
        assert (ended.code, ended.out, ended.err) == (0, HELP + commands, "")
    assert call("plugins", "--help").out == PLUGINS_HELP


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
def test_every_command_explains_itself_as_its_group_does(call, path):
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


@pytest.mark.parametrize("path", commands(command_line), ids=" ".join)
def test_every_command_shows_an_example_that_it_takes(call, path):
    told = call(*path, "--help").out
    examples = re.findall(rf"^ +(fmcore {' '.join(path)}(?: .*)?)$", told, re.M)
    examples += re.findall(rf'^ +(eval "\$\(fmcore {" ".join(path)} .*)$', told, re.M)
    assert examples, f"fmcore {' '.join(path)} --help has no example"
    for example in examples:
        words = shlex.split(re.split(r" {2,}|\||#", example)[0])
        if words[0] == "fmcore":
            command_line.make_context("fmcore", words[1:], resilient_parsing=True)
            options = {word for word in words if word.startswith("--")}
            assert options <= set(re.findall(r"--[\w-]+", told)), example


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
    "run": "error: Missing argument 'RECIPE'.\nsee: fmcore run --help\n",
    "plugins new mine": "error: Missing option '--kind'",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_wrong_command_line_is_told_in_two_lines(call, words):
    ended = call(*words.split())
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(MISTAKES[words])


def test_a_wrong_option_is_told_with_the_right_one(call):
    ended = call("plugins", "ls", "--jsn")
    assert ended.code == 2
    assert "--jsn" in ended.err
    assert "--json" in ended.err
    assert "see: fmcore plugins ls --help" in ended.err
