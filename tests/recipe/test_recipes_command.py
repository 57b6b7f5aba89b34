"""`fmcore recipes ...`, as a user meets it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fmcore import load_recipe
from fmcore.cli import command_line
from fmcore.cli.outcome import exit_code_of
from fmcore.cli.recipes import COMMANDS
from fmcore.recipe import catalog


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code, the result and the messages."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def recipes(capsys) -> Command:
    """Runs `fmcore recipes ...` in this process."""

    def run(*words: str) -> Ended:
        arguments = ["recipes", *words]
        code = exit_code_of(
            lambda: command_line.main(arguments, prog_name="fmcore", standalone_mode=False)
        )
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return run


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    """A shelf of two recipes, one of which is wrong."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "good.yaml").write_text(
        "# A good one.   fmcore run good\ndata: toy\npath: ot\nmodel: net\n"
    )
    (folder / "bad.yaml").write_text("data: toy\npath: ott\nmodel: net\n")
    monkeypatch.setattr(catalog, "shipped_folder", lambda: folder)
    return folder


@pytest.mark.parametrize("words", [[], ["ls"]])
def test_ls_names_and_describes(recipes, shelf, words):
    ended = recipes(*words)
    lines = [line.split() for line in ended.out.splitlines()]
    assert ended.code == 0
    assert lines[0] == ["NAME", "DESCRIPTION", "FROM", "FILE"]
    assert lines[1] == ["bad", "fmcore", "shelf/bad.yaml"]
    assert lines[2] == ["good", "A", "good", "one.", "fmcore", "shelf/good.yaml"]


def test_ls_gives_json(recipes, shelf):
    found = json.loads(recipes("ls", "--json").out)
    assert found[1] == {
        "name": "good",
        "description": "A good one.",
        "from": "fmcore",
        "file": str(shelf / "good.yaml"),
    }


def test_ls_needs_no_torch():
    code = (
        "import sys\n"
        "from fmcore.cli import command_line\n"
        "command_line.main(['recipes'], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "digits" in ended.stdout


SHOWN = """\
seed: 3                 # command line
data:
  name: toy             # r.yaml:1
  figure: moons         # default
  split: train          # default
codec: null             # default
path:
  name: ot              # r.yaml:2
  sigma_min: 0.5        # command line
  source:
    name: normal        # default
    temperature: 1.0    # default
coupling:
  name: independent     # default
objective:
  name: flow_matching   # default
  skew: false           # default
model:
  name: net             # r.yaml:3
  width: 64             # default
  channel_mult: [1, 2]  # default
  dropout: null         # default
train: null             # default
sample: null            # default
evaluate: null          # default
expect: {}              # default
"""


def test_show_prints_every_value_and_its_source(recipes, write):
    write("data: toy\npath: ot\nmodel: net\n")
    ended = recipes("show", "r.yaml", "path.sigma_min=0.5", "seed=3")
    assert (ended.code, ended.out, ended.err) == (0, SHOWN, "")


def test_show_gives_json(recipes, basic):
    found = json.loads(recipes("show", "r.yaml", "train.steps=3", "--json").out)
    recipe = load_recipe(basic, ["train.steps=3"])
    assert (found["name"], found["digest"], found["missing"]) == ("r", recipe.digest, [])
    assert found["values"] == recipe.values
    assert found["origins"]["train.steps"] == "command line"
    assert found["origins"]["path.sigma_min"] == "r.yaml:3:18"
    assert found["origins"]["train.keep_last"] == "default of train"


def test_show_shows_what_is_still_to_be_given(recipes, write):
    write("data: {name: files, root: ???}\npath: ot\nmodel: net\n")
    ended = recipes("show", "r.yaml")
    assert (ended.code, "  root: ???" in ended.out) == (0, True)


def test_show_refuses_a_wrong_recipe(recipes, shelf):
    ended = recipes("show", "bad")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "error: shelf/bad.yaml:2:7: no path named 'ott'; did you mean 'ot'? installed: ot, vp\n"
    )


def test_check_tells_all_faults_of_all_recipes(recipes, shelf, write):
    write("data: toy\npath: ot\nmodel: net\n")
    ended = recipes("check", "bad", "r.yaml", "train.stps=3")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "error: shelf/bad.yaml:2:7: no path named 'ott'; did you mean 'ot'? installed: ot, vp",
        "command line: train has no option 'stps'; did you mean 'steps'?",
        "command line: train needs the option 'steps': an integer > 0",
    ]


def test_check_is_content_with_right_recipes(recipes, write):
    write("data: toy\npath: ot\nmodel: net\n", "a.yaml")
    write("data: {name: files, root: ???}\npath: ot\nmodel: net\n", "b.yaml")
    ended = recipes("check", "a.yaml", "b.yaml")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "a.yaml: ok\nb.yaml: ok; set data.root to run it\n"


def test_check_alone_checks_every_named_recipe(recipes, shelf):
    ended = recipes("check")
    assert (ended.code, ended.out) == (2, "shelf/good.yaml: ok\n")
    assert "shelf/bad.yaml:2:7" in ended.err


def test_check_knows_a_file_with_an_equals_sign_from_an_override(recipes, write):
    write("data: toy\npath: ot\nmodel: net\n", "lr=3.yaml")
    assert recipes("check", "lr=3.yaml", "seed=2").out == "lr=3.yaml: ok\n"


def test_cp_copies_and_lists_the_files(recipes, shelf, tmp_path):
    ended = recipes("cp", "good", "mine.yaml")
    assert (ended.code, ended.out) == (0, "mine.yaml\n")
    assert (tmp_path / "mine.yaml").read_text() == (shelf / "good.yaml").read_text()
    again = recipes("cp", "good", "mine.yaml")
    assert (again.code, again.out) == (0, "")
    assert again.err == "nothing to copy: these files exist with the same text\n"


def test_cp_replaces_nothing_unless_forced(recipes, shelf, tmp_path):
    (tmp_path / "mine.yaml").write_text("seed: 1\n")
    ended = recipes("cp", "good", "mine.yaml")
    assert ended.code == 2
    assert ended.err == ("error: mine.yaml: there is a file already; use --force to replace it\n")
    assert recipes("cp", "good", "mine.yaml", "--force").code == 0


def test_diff_compares_a_recipe_with_its_override(recipes, shelf):
    ended = recipes("diff", "good", "path.sigma_min=1", "seed=0")
    assert ended.code == 0
    assert [line.split() for line in ended.out.splitlines()] == [
        ["KEY", "good", "good", "path.sigma_min=1", "seed=0"],
        ["path.sigma_min", "0.0001", "1.0"],
    ]


def test_diff_compares_two_recipes(recipes, shelf, write):
    write("data: toy\npath: vp\nmodel: net\n")
    found = json.loads(recipes("diff", "good", "r.yaml", "--json").out)
    assert found[0] == {"key": "path.name", "left": "ot", "right": "vp"}
    assert found[1] == {"key": "path.sigma_min", "left": 0.0001}
    assert recipes("diff", "good", "good").out == "no difference\n"


@pytest.mark.parametrize("words", [[], ["a"], ["seed=1"], ["a", "b", "c"]])
def test_diff_without_two_sides_is_refused(recipes, words):
    ended = recipes("diff", *words)
    assert ended.code == 2
    assert "give two recipes, or one recipe and KEY=VALUE" in ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_plugins(command):
    module = importlib.import_module(f"fmcore.cli.recipes.{command}")
    options = [option for p in getattr(module, command).params for option in p.opts]
    assert "--plugin" in options


def test_one_file_plugins_can_be_used(tmp_path):
    """In a process of its own, since plugins stay loaded."""
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from dataclasses import dataclass\n"
        "from fmcore import AffinePath, hookimpl\n"
        "@dataclass(frozen=True)\n"
        "class Mine(AffinePath):\n"
        "    speed: float = 1.0\n"
        "    def coefficients(self, t): raise NotImplementedError\n"
        "@hookimpl\n"
        "def register_paths(register):\n"
        "    register('mine', Mine)\n"
    )
    (tmp_path / "m.yaml").write_text("data: digits\npath: {name: mine, speed: 2}\nmodel: mlp\n")
    words = ["recipes", "check", "m.yaml", "--plugin", str(plugin)]
    ended = subprocess.run(
        [sys.executable, "-m", "fmcore", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "m.yaml: ok\n", "")
