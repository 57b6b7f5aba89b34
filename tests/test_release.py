"""The published distribution: one version, a complete sdist, and a working installation."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import fmcore

ROOT = Path(fmcore.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PICTURES = {".gif", ".jpg", ".pdf", ".png", ".svg", ".webp"}


def test_only_pyproject_contains_the_version():
    assert fmcore.__version__ == version("fmcore-flow") == PROJECT["version"]
    written = re.compile(rf"['\"]{re.escape(PROJECT['version'])}['\"]")
    files = [*(ROOT / "fmcore").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    assert [str(file) for file in files if written.search(file.read_text("utf-8"))] == []


def test_the_sdist_is_complete_and_no_command_left_a_picture_in_its_root(tmp_path):
    """`fmcore explain` draws into the current folder, which may be the checkout."""
    command = [sys.executable, str(ROOT / "tools" / "release.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        root = [Path(name) for name in archive.getnames() if name.count("/") == 1]
    assert Path("LICENSE") in [file.relative_to(file.parts[0]) for file in root]
    assert [file.name for file in root if file.suffix in PICTURES] == []


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(1800)
def test_it_installs_and_runs_without_network(tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "release.py"), str(tmp_path), "--install"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
