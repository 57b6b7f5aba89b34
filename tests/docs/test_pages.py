"""Every block on every page is what it says: code runs, recipes load, commands print what is shown.

By language:
    python   runs, page by page in one namespace; suites (`class Test...`) among it are run as well
    yaml     loads as a recipe; without `data` it is laid on `digits`
    console  lines after `$` run, with tiny budgets, and print what follows; `...` stands for
             anything, and figures of a run are not compared
    sh       commands are read, not run: command, options and keys exist; so are indented lines
    toml     is read; text and mermaid are no code
A block named by its first line, `# board.yaml`, is there as a file.  One under a comment
`<!-- not run: why -->` is only written down.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from fmcore import RecipeError, load_recipe, plugins
from fmcore.cli import command_line
from fmcore.cli.outcome import exit_code_of
from fmcore.testing import Suite, run_suite

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {str(file.relative_to(ROOT)): file for file in sorted(DOCS.rglob("*.md"))}
PAGES["README.md"] = ROOT / "README.md"

BLOCK = re.compile(r"(?:^<!-- (.*?) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = r"# ([\w-]+\.(?:py|yaml|toml))\n"
SHELL_LINE = re.compile(r"^    (?:\$ )?(fmcore .*)$(?!\n    error:)", re.MULTILINE)
FIGURE = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")
HASH = re.compile(r"sha256:[0-9a-f]+")
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b|\[|\.\.\.|^[A-Z]$")

TINY = {
    "run": [
        "train.steps=2",
        "train.batch_size=32",
        "train.warmup=0",
        "sample.count=8",
        "evaluate.count=4",
    ],
    "table1": ["train.steps=2", "train.batch_size=32", "sample.count=8", "evaluate.count=4"],
    "sample": ["count=8"],
    "evaluate": ["count=4"],
    "benchmark": ["samples=4"],
}
"""What makes a command short enough for a test."""

SHORTER = {
    "docs/paths.md": {"50_000": "64"},
    "README.md": {'"train.steps=500"': '"train.steps=5", "sample.count=16", "evaluate.count=4"'},
}
"""The same for the Python of a page."""

SEEN_FAILING = {
    "docs/metrics.md": {
        "TestSpread": {
            "test_no_samples_give_no_number",
            "test_samples_of_another_shape_are_refused",
        }
    },
}
"""Suites that a page shows failing, and what fails."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `mark` is the comment above it."""

    mark: str
    language: str
    text: str

    @property
    def file(self) -> str:
        """Its file's name, if the first line says one."""
        named = re.match(FILE, self.text)
        return named[1] if named else ""


def blocks(text: str) -> list[Block]:
    return [Block(mark or "", language, body) for mark, language, body in BLOCK.findall(text)]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder as a reader's: with `recipes/` and `examples/`, and no plugin but the built-in."""
    for name in ("recipes", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    yield tmp_path
    plugins.registry.cache_clear()


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_what_it_says(page, place):
    text = PAGES[page].read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"} | given(page)
    for block in blocks(text):
        if block.file:
            (place / block.file).write_text(block.text, encoding="utf-8")
        if not block.mark.startswith("not run: "):
            READERS[block.language](block.text, page, names)
    for line in SHELL_LINE.findall(BLOCK.sub("", text)):
        read_command(line.split("   ")[0])
    suites = {n: c for n, c in names.items() if n.startswith("Test") and issubclass(c, Suite)}
    failing = {n: {r.name for r in run_suite(c) if not r.passed} for n, c in suites.items()}
    assert {n: f for n, f in failing.items() if f} == SEEN_FAILING.get(page, {})


def run_python(text: str, page: str, names: dict[str, Any]) -> None:
    for long, short in SHORTER.get(page, {}).items():
        text = text.replace(long, short)
    exec(compile(text, page, "exec", dont_inherit=True), names)


def read_yaml(text: str, page: str, names: dict[str, Any]) -> None:
    said = yaml.safe_load(text)
    named = re.match(FILE, text)
    file = Path(named[1] if named else "block.yaml")
    file.write_text(text if {"data", "extends"} & said.keys() else f"extends: digits\n{text}")
    load_recipe(file, partial=True)


def read_toml(text: str, page: str, names: dict[str, Any]) -> None:
    assert tomllib.loads(text)


def read_shell(text: str, page: str, names: dict[str, Any]) -> None:
    for line in text.splitlines():
        if line.startswith("fmcore "):
            read_command(line)


def run_console(text: str, page: str, names: dict[str, Any]) -> None:
    assert text.startswith("$ ")
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        if command.startswith("sed "):
            subprocess.run(command, shell=True, check=True)
        elif command.startswith("fmcore "):
            run_command(shlex.split(command, comments=True)[1:], shown)
        else:
            raise AssertionError(f"only fmcore and sed can be run: {command}")


READERS = {
    "python": run_python,
    "yaml": read_yaml,
    "toml": read_toml,
    "console": run_console,
    "sh": read_shell,
    "bash": read_shell,
    "": read_shell,
    "text": lambda *_: None,
    "mermaid": lambda *_: None,
}


class Written(io.StringIO):
    """What a command wrote, to something that can write any sign."""

    encoding = "utf-8"


def run_command(words: Sequence[str], shown: str) -> None:
    """Run `fmcore ...` here and compare what it prints."""
    plugins.registry.cache_clear()
    tiny = [] if "--dry-run" in words or "--help" in words else TINY.get(words[0], [])
    out, err = Written(), Written()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = exit_code_of(lambda: command_line.main([*words, *tiny], standalone_mode=False))
    printed = out.getvalue() + (err.getvalue() if code == 2 else "")
    ends_well = not re.search(r"^(error:|✗)", shown, re.MULTILINE)
    assert ends_well == (code == 0), (
        f"fmcore {' '.join(words)} ended with {code}:\n{printed}{err.getvalue()}"
    )
    if shown:
        assert re.fullmatch(pattern(shown), masked(printed), re.DOTALL), printed


def masked(text: str) -> str:
    """The text without its figures and the widths of its columns."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return FIGURE.sub("#", HASH.sub("sha256:#", "\n".join(line for line in lines if line)))


def pattern(shown: str) -> str:
    return re.escape(masked(shown)).replace(re.escape("..."), ".*")


def read_command(line: str) -> None:
    """Look whether there is such a command with such options; where it runs a recipe, whether the
    recipe takes what it says."""
    words = shlex.split(line, comments=True)[1:]
    context = click.Context(command_line, info_name="fmcore")
    command: click.Command = command_line
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"no command {words[0]!r}: {line}"
        command, words = found, words[1:]
    known = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}
    asked = {word for word in words if word.startswith("-")}
    if isinstance(command, click.Group):
        return
    assert asked <= known | {"--version"}, f"no option {asked - known}: {line}"
    if command.name == "run" and not any(PLACEHOLDER.search(word) for word in words):
        read_run(command, words)


def read_run(command: click.Command, words: list[str]) -> None:
    plugins.registry.cache_clear()
    files = [after for word, after in pairwise(words) if word == "--plugin"]
    if not all(Path(file).exists() for file in files):
        return  # a plugin of which the page shows no file
    context = command.make_context("run", list(words), resilient_parsing=True)
    load_recipe(context.params["recipe"], context.params["overrides"], partial=True)


def given(page: str) -> dict[str, Any]:
    """What a page takes as known: on paths.md, a trained run."""
    if page != "docs/paths.md":
        return {}
    from types import SimpleNamespace

    from fmcore import create
    from fmcore.solving.closed_form import eight_gaussians

    path = create("path", "linear")
    run = SimpleNamespace(field=lambda: eight_gaussians(path))
    return {"fmcore": __import__("fmcore"), "path": path, "run": run} | {
        "solver": create("solver", "midpoint", nfe=4)
    }


@pytest.mark.parametrize(
    "line",
    [
        "fmcore runn digits",
        "fmcore run digits --ot runs/x",
        "fmcore run digits train.stesp=5",
        "fmcore run digit",
        "fmcore plugins shw ot",
    ],
)
def test_a_command_that_is_none_would_be_found(line, place):
    with pytest.raises((AssertionError, RecipeError)):
        read_command(line)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["plugins", "ls", "--kind", "path"], "KIND NAME\n"),
        (["recipes", "check", "digits", "path=otto"], ""),
    ],
)
def test_an_output_that_is_another_would_be_found(words, shown, place):
    with pytest.raises(AssertionError):
        run_command(words, shown)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_link_named_exists(page):
    text = PAGES[page].read_text(encoding="utf-8")
    named = re.findall(r"`((?:fmcore|plugins|tests|examples|benchmarks|recipes)/[\w./-]+)`", text)
    linked = re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[\w-]+)?\)", text)
    missing = [n for n in named if not (ROOT / n).exists()]
    missing += [link for link in linked if not (PAGES[page].parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_says_why(page):
    for block in blocks(PAGES[page].read_text(encoding="utf-8")):
        assert block.mark == "" or re.match(r"not run: \w.{8,}", block.mark), block.mark
