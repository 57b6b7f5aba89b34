"""What is published: one version, a whole sdist, licences that are listed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fmcore

ROOT = Path(fmcore.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_version_stands_in_one_place():
    assert fmcore.__version__ == version("fmcore-flow") == PROJECT["version"]
    written = re.compile(rf"['\"]{re.escape(PROJECT['version'])}['\"]")
    files = [*(ROOT / "fmcore").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    assert [str(file) for file in files if written.search(file.read_text("utf-8"))] == []


def test_the_page_of_licences_lists_what_pyproject_asks_for():
    page = (ROOT / "docs" / "licences.md").read_text("utf-8")
    table = page.partition("## What fmcore names")[2].partition("## What these")[0]
    listed = set(re.findall(r"^\| ([\w.-]+) \|", table, re.M)) - {"package"}
    extras = PROJECT["optional-dependencies"]
    users = [r for name, own in extras.items() if name not in ("test", "docs") for r in own]
    asked = {
        canonicalize_name(Requirement(text).name) for text in [*PROJECT["dependencies"], *users]
    }
    assert listed == asked, "write it anew: python tools/licences.py > docs/licences.md"


def test_no_licence_is_left_open():
    page = (ROOT / "docs" / "licences.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    assert [
        row for row in rows if "UNKNOWN" in row or "not stated" in row or "|  | http" in row
    ] == []


def test_the_sdist_holds_all_that_is_needed_and_makes_the_same_wheel(tmp_path):
    """Raises, with what is lacking, unless tests, docs and recipes are in it."""
    command = [sys.executable, str(ROOT / "tools" / "release.py"), str(tmp_path / "dist")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "dist").iterdir())) == 2


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(1800)
def test_it_installs_and_runs_without_network(tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "release.py"), str(tmp_path), "--install"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_container_is_not_root_and_copies_what_there_is():
    text = (ROOT / "Containerfile").read_text("utf-8")
    steps = text.rpartition("FROM ")[2]
    assert re.search(r"^USER (?!root\b)\w+$", steps, re.M)
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ")]
    own = [name for names in copied for name in names if not name.startswith(("--", "/"))]
    assert [name for name in own if not (ROOT / name).exists()] == []
    extras = set(PROJECT["optional-dependencies"])
    assert set(re.findall(r"\.\[([\w,]+)\]", text)[0].split(",")) <= extras
