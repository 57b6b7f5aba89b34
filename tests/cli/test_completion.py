"""What a shell offers while a command is typed: from the schema and the registry, and fast."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from fmcore.cli import COMMANDS, command_line
from fmcore.cli.completion_schema import read_component_options, read_options
from fmcore.cli.shells import SHELLS, VARIABLE, register
from fmcore.recipe.schema import list_options
from fmcore.recipe.sections import Sections, Train
from fmcore.registry import registry
from fmcore.registry.kinds import KINDS
from fmcore.registry.needs import missing


def offered(line: str) -> list[str]:
    """What click's protocol answers to `line`, cursor at its end."""
    register()
    words = line.split(" ")
    complete = get_completion_class("zsh")(command_line, {}, "fmcore", VARIABLE)
    found = complete.get_completions(words[1:-1], words[-1])
    return [item.value for item in found if item.type == "plain"]


def test_commands_are_offered():
    assert offered("fmcore ") == list(COMMANDS)
    assert offered("fmcore rec") == ["recipes"]
    assert offered("fmcore recipes ") == ["ls", "show", "check", "cp", "new", "diff"]


def test_recipes_are_offered_by_name():
    assert offered("fmcore run digits_l") == ["digits_latent"]
    assert "imagenet64" in offered("fmcore recipes show ")


def test_the_keys_of_a_recipe_are_those_of_the_schema():
    sections = [key.rstrip(".=") for key in offered("fmcore run digits ")]
    assert list(dict.fromkeys(sections)) == [option.name for option in list_options(Sections)]
    mappings = {"evaluate", "best", "init"}  # which have keys of their own
    components = {"optimizer", "lr_schedule"}  # a name, or a mapping
    wanted = [
        f"train.{option.name}{sign}"
        for option in list_options(Train)
        for sign in (".=" if option.name in components else "." if option.name in mappings else "=")
    ]
    assert offered("fmcore run digits train.") == wanted
    assert offered("fmcore run digits tra") == ["train."]


def test_a_component_is_offered_by_kind_with_its_own_options():
    assert offered("fmcore run digits path=v") == ["path=ve", "path=vp"]
    assert "path.sigma_min=" in offered("fmcore run digits path.")  # the recipe says ot
    assert "path.beta_min=" in offered("fmcore run digits path=vp path.")
    assert "sample.solver.rtol=" in offered("fmcore run digits sample.solver=tsit5 sample.solver.")
    assert offered("fmcore run digits path.name=v") == ["path.name=ve", "path.name=vp"]


def test_choices_flags_and_lists_are_offered_as_values():
    assert offered("fmcore run digits train.precision=") == [
        f"train.precision={word}" for word in ("fp32", "bf16", "fp16")
    ]
    assert offered("fmcore run digits train.compile=t") == ["train.compile=true"]
    assert offered("fmcore run digits evaluate.metrics=[nf") == ["evaluate.metrics=[nfe]"]


def test_other_arguments_are_completed_too(tmp_path, monkeypatch):
    assert "torchdiffeq:dopri5" in offered("fmcore plugins show torchdiffeq:d")
    assert offered("fmcore plugins show vp --set beta_mi") == ["beta_min="]
    assert offered("fmcore plugins show --kind path o") == ["ot"]
    assert offered("fmcore explain ot ot.sig") == ["ot.sigma_min="]
    assert offered("fmcore data show toy figure=r") == ["figure=rings"]
    assert offered("fmcore benchmark closed-form solver=euler,midp") == ["solver=euler,midpoint"]
    assert offered("fmcore sample some/run cou") == ["count="]
    monkeypatch.chdir(tmp_path)
    run = Path("runs/digits/20260101-000000")
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text("seed: 0")
    assert offered("fmcore evaluate r") == [str(run)]


@pytest.mark.parametrize("line", ["fmcore bogus ", "fmcore run nowhere.yaml path.", "fmcore data "])
def test_a_wrong_beginning_breaks_nothing(line):
    assert isinstance(offered(line), list)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_static_options_of_every_component_are_those_of_its_schema(kind):
    for entry in registry().entries(kind):
        if missing(entry.needs):
            continue  # its class cannot be loaded here; its options are read without
        own = [option.name for option in list_options(entry.load())]
        assert sorted(read_component_options(entry)) == sorted(own), entry.title


def test_a_class_without_source_has_no_static_options():
    assert read_options("no_such_package.module:Class") == {}
    assert read_options("fmcore.errors:nothing") == {}


@pytest.mark.parametrize("shell", list(SHELLS))
def test_the_script_describes_its_installation(call, shell):
    ended = call("completion", shell)
    assert ended.code == 0
    assert f"{shell}_complete" in ended.out
    assert "# for good:" in ended.out


def test_completing_imports_no_torch():
    code = (
        "import sys\nfrom fmcore.cli import main\n"
        "try:\n    main()\nfinally:\n    sys.exit(10 + ('torch' in sys.modules))"
    )
    line = "fmcore run digits sample.solver.name=dopri5 model."
    asked = {VARIABLE: "bash_complete", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asked
    )
    assert (done.returncode, "plain,model.channels=" in done.stdout.split("\n")) == (10, True)


BASH = """\
eval "$(fmcore completion bash)"
ask() {
    COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($2) COMP_CWORD=$3 COMPREPLY=()
    _fmcore_completion fmcore 2>/dev/null
    echo "${COMPREPLY[@]}"
}
ask "fmcore run fashion_q" "fmcore run fashion_q" 2
ask "fmcore run digits path=v" "fmcore run digits path = v" 5
ask "fmcore plugins show torchdiffeq:rk" "fmcore plugins show torchdiffeq : rk" 5
"""


@pytest.fixture
def fmcore_on_path(tmp_path) -> dict[str, str]:
    """The environment of a shell that finds this fmcore first."""
    command = tmp_path / "fmcore"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fmcore "$@"\n')
    command.chmod(0o755)
    return os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_gets_what_it_puts_behind_its_own_breaks(fmcore_on_path):
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH], capture_output=True, text=True, env=fmcore_on_path
    )
    assert done.stdout.splitlines() == ["fashion_quick", "ve vp", "rk4"], done.stderr


FISH = """\
fmcore completion fish | source
complete -C "fmcore benchm"
complete -C "fmcore run digits path=v"
"""


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_shows_whole_descriptions(fmcore_on_path):
    done = subprocess.run(
        ["fish", "--no-config", "-c", FISH], capture_output=True, text=True, env=fmcore_on_path
    )
    described, *keys = done.stdout.splitlines()
    assert described == "benchmark\tMeasure solvers, or the runs of a recipe, over axes.", (
        done.stderr
    )
    assert keys == ["path=ve", "path=vp"]
