"""What `python docs/generate` writes is what the code says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fmcore.cli import command_line
from fmcore.registry import registry
from fmcore.registry.kinds import KINDS

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "library.ipynb"
COMMANDS = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs/reference/recipes.md").read_text(encoding="utf-8")


def test_the_reference_pages_and_the_notebook_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "docs/generate", "--check"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},  # the terminal's width changes nothing
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}run: python docs/generate"


@pytest.mark.parametrize("words", [(), ("run",), ("plugins",), ("data", "pack"), ("benchmark",)])
def test_the_page_of_commands_is_what_help_prints(words, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    command_line.main([*words, "--help"], prog_name="fmcore", standalone_mode=False)
    printed = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert f"```text\n{printed}\n```" in COMMANDS


def test_every_built_in_component_has_a_section():
    own = [e for kind in KINDS for e in registry().entries(kind) if e.plugin.startswith("fmcore_")]
    assert len(own) > 60
    assert [e.name for e in own if f"### {e.kind} `{e.name}`\n" not in REFERENCE] == []


@pytest.mark.parametrize("key", ["checkpoint_every", "label_dropout", "guidance", "expect"])
def test_keys_of_the_sections_are_listed(key):
    assert f"| `{key}` |" in REFERENCE


def test_the_notebook_is_one_and_holds_no_output():
    made = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert all(cell.get("outputs", []) == [] for cell in made["cells"])
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.reads(NOTEBOOK.read_text(encoding="utf-8"), as_version=4))
