"""What the README shows works as printed."""

import re
import shlex
from pathlib import Path

import pytest

from fmcore import load_recipe

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def block(language: str, beginning: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(text for text in found if text.startswith(beginning))


def test_the_recipe_is_one(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(block("yaml", "data:"))
    assert load_recipe(file).values["train"]["steps"] == 1400


def test_the_plugin_is_proved_by_the_kit(tmp_path, fmcore_command):
    file = tmp_path / "my_path.py"
    file.write_text(block("python", "# my_path.py"))
    done = fmcore_command("plugins", "check", "quadratic", "--plugin", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout


def test_the_misspelt_option_is_answered_as_shown(fmcore_command):
    done = fmcore_command("run", "digits", "path.sgima_min=0")
    assert done.returncode == 2
    assert done.stderr.strip() in README


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fewer = '"train.steps=5", "sample.count=16", "evaluate.count=4"'
    code = block("python", "import fmcore\n").replace('"train.steps=500"', fewer)
    assert fewer in code
    exec(compile(code, "README.md", "exec"), {})
    assert "tensor" in capsys.readouterr().out


def test_every_file_that_is_named_exists():
    root = Path(__file__).parents[2]
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (root / target).exists(), target


@pytest.mark.parametrize("line", re.findall(r"^    (fmcore [a-z1]+ .*?)(?:  .*)?$", README, re.M))
def test_every_command_that_is_shown_is_one(line, fmcore_command):
    words = shlex.split(line.split("#")[0])
    done = fmcore_command(words[1], "--help")
    assert done.returncode == 0, done.stderr
