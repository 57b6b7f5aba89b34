"""The blocks on the pages work: code runs, recipes load, commands print what is shown.

By language:
    python   runs, page by page in one namespace, with the conformance suites (`class Test...`)
    yaml     loads as a recipe; one without `data` extends `digits`
    console  lines after `$` run and print what follows; `...` matches any text.  Numbers are
             compared to 1 %, except those of runs, which the tests make with tiny budgets
    sh       commands, options and keys exist, but do not run; the same for indented lines
    toml     parses; text and mermaid are not code
A block whose first line is a file name, `# board.yaml`, is written to that file.  A block under a
comment `<!-- not run: why -->` does not run.
"""

from __future__ import annotations

import contextlib
import io
import math
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

from fmcore import RecipeError, load_recipe
from fmcore.cli import command_line
from fmcore.cli.outcome import exit_code_of
from fmcore.registry import forget
from fmcore.testing import Suite, run_suite

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {str(file.relative_to(ROOT)): file for file in sorted(DOCS.rglob("*.md"))}
PAGES["README.md"] = ROOT / "README.md"

BLOCK = re.compile(r"(?:^<!-- (.*?) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = r"# ([\w-]+\.(?:py|yaml|toml))\n"
SHELL_LINE = re.compile(r"^    (?:\$ )?(fmcore .*)$(?!\n    error:)", re.MULTILINE)
FIGURE = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")
FRACTION = re.compile(r"(\d+\.\d+(?:e[-+]?\d+)?|\d+e[-+]?\d+)")
HASH = re.compile(r"sha256:[0-9a-f]+")
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b|\[|\.\.\.|^[A-Z]$")

TINY = {
    "run": [
        "train.steps=2",
        "train.batch_size=32",
        "train.lr_schedule.warmup=0",
        "sample.count=8",
        "evaluate.count=4",
    ],
    "table1": ["train.steps=2", "train.batch_size=32", "sample.count=8", "evaluate.count=4"],
    "sample": ["count=8"],
    "evaluate": ["count=4"],
    "benchmark": ["samples=4"],
}
"""What makes a command short enough for a test."""

OF_RUNS = {*TINY, "compare", "report"}
"""Commands whose numbers depend on how a run was trained."""

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
"""Suites that fail on a page on purpose, and the tests that fail."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `mark` is the comment above it."""

    mark: str
    language: str
    text: str

    @property
    def file(self) -> str:
        """Its file name, if the first line is one."""
        named = re.match(FILE, self.text)
        return named[1] if named else ""


def blocks(text: str) -> list[Block]:
    return [Block(mark or "", language, body) for mark, language, body in BLOCK.findall(text)]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder like a reader's: with `recipes/` and `examples/`, and the built-in plugins only."""
    for name in ("recipes", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    yield tmp_path
    forget()


@pytest.mark.parametrize("page", PAGES)
def test_every_block_works_as_shown(page, place):
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
    recipe = yaml.safe_load(text)
    named = re.match(FILE, text)
    file = Path(named[1] if named else "block.yaml")
    file.write_text(text if {"data", "extends"} & recipe.keys() else f"extends: digits\n{text}")
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
    """The output of a command, in UTF-8 as on a terminal."""

    encoding = "utf-8"


def run_command(words: Sequence[str], shown: str) -> None:
    """Run `fmcore ...` here and compare what it prints."""
    forget()
    tiny = [] if "--dry-run" in words or "--help" in words else TINY.get(words[0], [])
    out, err = Written(), Written()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = exit_code_of(lambda: command_line.main([*words, *tiny], standalone_mode=False))
    printed = out.getvalue() + (err.getvalue() if code == 2 else "")
    ends_well = not re.search(r"^(error:|✗)", shown, re.MULTILINE)
    assert ends_well == (code == 0), (
        f"fmcore {' '.join(words)} ended with {code}:\n{printed}{err.getvalue()}"
    )
    if not shown:
        return
    if words[0] in OF_RUNS and "--dry-run" not in words:
        shown, printed = FIGURE.sub("#", plain(shown)), FIGURE.sub("#", plain(printed))
    assert prints(shown, printed), printed


def prints(shown: str, printed: str) -> bool:
    """Whether `printed` is the text `shown`, with fractions equal to 1 %."""
    parts = FRACTION.split(plain(shown))  # text and fractions in turn
    text = [re.escape(part).replace(re.escape("..."), ".*") for part in parts[::2]]
    found = re.fullmatch(FRACTION.pattern.join(text), plain(printed), re.DOTALL)
    pairs = zip(parts[1::2], found.groups(), strict=True) if found else ()
    return found is not None and all(
        math.isclose(float(a), float(b), rel_tol=0.01) for a, b in pairs
    )


def plain(text: str) -> str:
    """The text without the widths of its columns, and without the hash of a plugin's file."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return HASH.sub("sha256:#", "\n".join(line for line in lines if line))


def read_command(line: str) -> None:
    """Assert that the command and its options exist, and that a recipe that it runs is valid."""
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
    forget()
    files = [after for word, after in pairwise(words) if word == "--plugin"]
    if not all(Path(file).exists() for file in files):
        return  # the page does not show the file of this plugin
    context = command.make_context("run", list(words), resilient_parsing=True)
    load_recipe(context.params["recipe"], context.params["overrides"], partial=True)


def given(page: str) -> dict[str, Any]:
    """The names that a page assumes: on paths.md, a trained run."""
    if page != "docs/paths.md":
        return {}
    from types import SimpleNamespace

    from fmcore import create
    from fmcore.flow.gaussian_mixture import eight_gaussians

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
def test_a_wrong_command_would_be_found(line, place):
    with pytest.raises((AssertionError, RecipeError)):
        read_command(line)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["plugins", "ls", "--kind", "path"], "KIND NAME\n"),
        (["recipes", "check", "digits", "path=otto"], ""),
        (["run", "checkerboard", "--dry-run"], "...\nactivations 197.1 MiB ...\n"),
    ],
)
def test_a_wrong_output_would_be_found(words, shown, place):
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
def test_a_block_that_does_not_run_has_a_reason(page):
    for block in blocks(PAGES[page].read_text(encoding="utf-8")):
        assert block.mark == "" or re.match(r"not run: \w.{8,}", block.mark), block.mark
