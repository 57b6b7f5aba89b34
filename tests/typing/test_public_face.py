"""Whoever imports fmcore gets types and completion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fmcore

ROOT = Path(__file__).parents[2]


def test_a_user_s_script_has_the_types_it_asserts():
    """Every `type: ignore` of the script is needed, as mypy is strict: misuse is seen."""
    mypy = [sys.executable, "-m", "mypy", "tests/typing/user.py"]  # its cache is `make test`'s
    done = subprocess.run(mypy, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


def test_completion_offers_the_public_names_and_no_other():
    assert dir(fmcore) == sorted(fmcore.__all__)
    assert all(getattr(fmcore, name) is not None for name in fmcore.__all__)


def test_every_public_name_says_what_it_is():
    undocumented = [
        name
        for name in fmcore.__all__
        if isinstance(getattr(fmcore, name), type) and not getattr(fmcore, name).__doc__
    ]
    assert undocumented == []


def test_the_package_says_that_it_is_typed():
    assert (Path(fmcore.__file__).parent / "py.typed").exists()
