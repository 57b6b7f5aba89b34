"""Mistakes of a newcomer at the shell: each is one clear message, without a traceback."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from fmcore.cli import command_line
from fmcore.cli.lazy import LazyGroup
from fmcore.cli.output_file import OutputFile
from fmcore.registry import forget

SMALL = """\
data: toy
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 4, batch_size: 8}
"""
FILES = {
    "small.yaml": SMALL,
    "empty.yaml": "# only a comment\n",
    "tabs.yaml": "seed: 0\ndata:\n\tname: toy\n",
    "data.yaml": "data: toy\n",
    "misspelt.yaml": SMALL.replace("train:", "trian:"),
    "a_file": "x",
    "syntax.py": "def f(:\n",
    "nohook.py": "x = 1\n",
    "sampling.yaml": SMALL + "sample: {solver: {name: euler, nfe: 4}}\n",
    "notes.txt": "x",
    "colon.yaml": SMALL.replace("train: {steps: 4, batch_size: 8}", "train:\n  steps:3\n"),
    "folder/inner.yaml": SMALL,
    "finished/recipe.yaml": SMALL,
}

PLUGIN = """\
from dataclasses import dataclass
from fmcore import SchedulePath, hookimpl

@dataclass(frozen=True)
class Straight(SchedulePath):
    def alpha(self, t): return t
    def sigma(self, t): return 1 - t

@hookimpl
def register_paths(register): register("sx", Straight)
"""

MISTAKES = {
    "run small.yaml train.stpes=3": "train has no option 'stpes'; did you mean 'steps'?",
    "run small.yaml train.steps=-3": "train.steps: expected an integer > 0, got -3",
    "run small.yaml train.steps=ten": "train.steps: expected an integer > 0, got the text",
    "run small.yaml path=oot": "no path named 'oot'; did you mean 'ot'?",
    "run small.yaml --out a_file": "'a_file' is a file",
    "run small.yaml --out a_file/x": "a_file/x: cannot be written: a file is where a folder",
    "run small.yaml --plugin syntax.py": "SyntaxError: invalid syntax",
    "run small.yaml --plugin nohook.py": "no hooks found",
    "run empty.yaml": "empty.yaml:1:1: the recipe is empty",
    "run tabs.yaml": "tabs.yaml:3:1: not valid YAML: found character '\\t'",
    "run data.yaml": "a recipe needs the section 'path'",
    "run misspelt.yaml": "misspelt.yaml:4:1: a recipe has no section 'trian'; did you mean",
    "run digts": "no recipe named 'digts'; did you mean 'digits'?",
    "sample small.yaml": (
        "small.yaml: a run folder is needed, not a recipe; first: fmcore run small.yaml"
    ),
    "sample finished/recipe.yaml": "name the folder of the run: finished",
    "sample finishd": "finishd: no such run folder; did you mean 'finished'?",
    "evaluate gone": "gone: no such run folder; runs are in runs/ unless --out was given",
    "report a_file": "a_file: a file, not a run folder",
    "sample finished --device gpu": "no device named 'gpu'; choose cpu, cuda or mps",
    "data show ./gone": "no file or folder",
    "plugins show dopri55": "did you mean 'dopri5'?",
    "plugins new mine --kind path --out a_file/x": (
        "a_file/x cannot be written: a file is where a folder should be: choose another folder"
    ),
    "train": "no command 'train'; did you mean `fmcore run`?",
    "train small.yaml train.lr=1": "did you mean `fmcore run small.yaml train.lr=1`?",
    "help": "no command 'help'; did you mean `fmcore --help`?",
    "help run": "no command 'help'; did you mean `fmcore run --help`?",
    "version": "did you mean `fmcore --version`?",
    "digits": "no command 'digits'; did you mean `fmcore run digits`?",
    "small.yaml": "did you mean `fmcore run small.yaml`?",
    "finished": "did you mean `fmcore report finished`?",
    "RUN digits": "no command 'RUN'; did you mean 'run'?",
    "nonsense": "no command 'nonsense'; commands: run, sample",
    "recipes digits": "no command 'digits'; did you mean `fmcore recipes show digits`?",
    "plugins ot": "no command 'ot'; did you mean `fmcore plugins show ot`?",
    "data digits": "no command 'digits'; did you mean `fmcore data show digits`?",
    "--quiet run small.yaml": "options follow the command: fmcore COMMAND --quiet",
    "-V": "fmcore --version prints the version",
    "run small.yaml --lr 1e-4": "options of a recipe have no dashes: train.lr=VALUE",
    "run small.yaml --count 3": "no dashes: sample.count=VALUE or evaluate.count=VALUE",
    "sample finished --count 3": "options of a recipe have no dashes: count=VALUE",
    "run small.yaml train.steps = 3": "'train.steps = 3': write it without spaces: train.steps=3",
    "run small.yaml train.steps =3": "'train.steps =3': write it without spaces: train.steps=3",
    "run small.yaml train.steps= 3": "'train.steps= 3': write it without spaces: train.steps=3",
    "run small.yaml train.steps 3": "'train.steps 3': write it without spaces: train.steps=3",
    "run small.yaml 'train.steps: 3'": "write it without spaces: train.steps=3",
    "run small.yaml 'train.steps = 3'": "write it without spaces: train.steps=3",
    "sample finished count = 3": "'count = 3': write it without spaces: count=3",
    "benchmark small.yaml path = ot,vp": "'path = ot,vp': write it without spaces: path=ot,vp",
    "data show small.yaml figure = rings": "write it without spaces: figure=rings",
    "measure finished toy metrics = nfe": "write it without spaces: metrics=nfe",
    "run small.yaml model={name: mlp, width: 8}": (
        "the shell split it at spaces; put it in quotes: 'model={name: mlp, width: 8}'"
    ),
    "run small.yaml train={": 'train: expected a mapping of options or null, got the text "{"; it',
    "run small.yaml path=[ot": "it has no closing ']': put a value with spaces or braces in quotes",
    "run sampling.yaml sample.solver={name:euler,nfe:x}": (
        "solver 'euler' has no option 'name:euler'; write a space after the colon: name: euler"
    ),
    "run small.yaml model={name:mlp}": "write a space after the colon: name: mlp",
    "run colon.yaml": "colon.yaml:5:3: train: expected a mapping of options or null, got the text",
    "run small.yaml sample.solver=name:euler sample.solver=nfe:4": (
        "the shell expanded braces; put the setting in quotes: "
        "'sample.solver={name: euler, nfe: 4}'"
    ),
    "run small.yaml steps=3": "no section 'steps'; did you mean 'train.steps'",
    "run small.yaml width=3": "no section 'width'; did you mean 'model.width'?",
    "run small.yaml temperature=3": "'path.source.temperature' or 'sample.temperature'?",
    "run sampling.yaml nfe=3": "no section 'nfe'; did you mean 'sample.solver.nfe'?",
    "run sampling.yaml sample.nfe=3": "no option 'nfe'; did you mean 'sample.solver.nfe'?",
    "run smal.yaml": "there is no file 'smal.yaml'; did you mean 'small.yaml'?",
    "run small": "no recipe named 'small'; did you mean 'small.yaml'?",
    "run gone/small.yaml": "there is no file 'gone/small.yaml', and no folder 'gone'",
    "run folder": "'folder' is a folder, not a recipe; recipes in it: folder/inner.yaml",
    "run notes.txt": "'notes.txt' is not a recipe: the name of a recipe ends in .yaml or .yml",
    "run small.yaml train.batch_size=1e11": "expected an integer > 0, got 100000000000.0; write",
    "run small.yaml train.batch_size=100000000000": "not enough memory:",
    "run sampling.yaml sample.count=100000000000000": "makes over 10,000,000 files",
    "run sampling.yaml sample.count=10000000000000 sample.batch_size=9000000": (
        "not enough disk space: 10000000000000 samples need 72.76 TiB"
    ),
    "compare small.yaml": "small.yaml: a run folder is needed, not a recipe; first: fmcore run",
    "compare finished finishd": "finishd: no such run folder; did you mean 'finished'?",
    "compare folder": "folder: not a run folder: it has no recipe.yaml",
    "compare .": ".: not a run folder: it has no recipe.yaml; runs in it: finished",
    "compare digits": "digits: no such run folder: it is a recipe; first: fmcore run digits",
    "compare finished --markdown --latex": "one format is printed: --markdown, --latex or --json",
    "compare finished": (
        "no results to compare\nfinished has no results, since its recipe has no metrics: compute "
        "some, as with fmcore evaluate finished 'metrics=[nfe]'"
    ),
    "compare finished --json": "no results to compare",
    "table1 small.yaml": "recipe 'small' has no metrics, which are the columns of the table",
    "benchmark closed": "did you mean 'closed-form'?",
    "plugins show nothing": "no component is named 'nothing'; see `fmcore plugins`",
    "plugins show path": "'path': it is a kind; its components: brownian_bridge",
    "plugins check syntax.py": "load a plugin of one file with --plugin syntax.py",
    "explain ot --figure x.png --no-figure": "give --figure or --no-figure, not both",
    "sample finished --pairs x.safetensors --to y": "leave out --to",
}

OUTPUTS = {
    "explain ot --figure": ".png, .svg, .pdf",
    "data show digits --picture": ".png",
    "compare finished --html": ".html, .htm",
    "table2 digits_superres --html": ".html, .htm",
    "measure digits digits metrics=nfe --out": ".json",
    "sample finished --pairs": ".safetensors",
}
"""Every option that names a file to write, and the suffixes that it takes."""


@pytest.fixture(autouse=True)
def _files(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_answered_in_words_without_a_traceback(call, tmp_path, words):
    before = set(tmp_path.rglob("*"))
    ended = call(*shlex.split(words))
    assert (ended.code in (1, 2), ended.out) == (True, "")
    assert "Traceback" not in ended.err
    assert MISTAKES[words] in ended.err
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", OUTPUTS)
@pytest.mark.parametrize("file", ["x.xyz", "x", "folder"])
def test_a_file_of_an_unknown_format_is_refused_before_anything_is_computed(
    call, tmp_path, words, file
):
    before = set(tmp_path.rglob("*"))
    ended = call(*words.split(), file)
    assert (ended.code, ended.out) == (2, "")
    assert ("is a directory" if file == "folder" else OUTPUTS[words]) in ended.err
    assert set(tmp_path.rglob("*")) == before


def _paths(group: click.Group, above: tuple[str, ...] = ()):
    """Yield each option of each command that is a path and may not be a folder."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, LazyGroup):
            yield from _paths(command, (*above, name))
            continue
        for parameter in command.params:
            if isinstance(parameter.type, click.Path) and not parameter.type.dir_okay:
                yield (*above, name), parameter.opts[0], parameter.type


def test_every_option_that_names_a_file_to_write_checks_its_format():
    found = {(command, option): kind for command, option, kind in _paths(command_line)}
    assert all(isinstance(kind, OutputFile) for kind in found.values())
    assert {option for _, option in found} == {words.split()[-1] for words in OUTPUTS}
    assert len(found) == len(OUTPUTS)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_figure_has_the_format_of_its_name(call, tmp_path, suffix):
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert call("explain", "ot", "--figure", f"x.{suffix}").code == 0
    assert (tmp_path / f"x.{suffix}").read_bytes().startswith(begins[suffix])


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    "words",
    [
        "run small.yaml --out /proc/x",
        "explain ot --figure /proc/x.png",
        "recipes cp small.yaml /proc/x.yaml",
        "plugins new mine --kind path --out /proc/x",
        "benchmark closed-form solver=euler nfe=2 samples=2 --out /proc/x",
    ],
)
def test_a_folder_in_which_nothing_can_be_created_is_named(call, words):
    ended = call(*words.split())
    assert ended.code == 2
    assert "/proc/x" in ended.err
    assert "no file can be created there: choose another folder" in ended.err
    assert ".part" not in ended.err


def test_a_plugin_that_a_run_needs_is_named(call, tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    assert call("run", "small.yaml", "path=sx", "--plugin", "mine.py", "--out", "r", "-q").code == 0
    forget()
    ended = call("sample", "r")
    assert ended.code == 2
    assert "no path named 'sx'" in ended.err
    assert "the run used the plugin 'mine': add --plugin r/plugins/mine.py" in ended.err
