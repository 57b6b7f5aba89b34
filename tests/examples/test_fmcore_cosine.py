"""examples/fmcore-cosine is a real distribution: it installs offline, passes its own tests, and is
used from a recipe as the built-in paths are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "fmcore-cosine"

RECIPE = """\
data: {name: toy, count: 256}
path: {name: offset_cosine, offset: 0.02}
model: {name: mlp, width: 16, depth: 1}
train: {steps: 4, batch_size: 32}
sample: {solver: {name: euler, nfe: 4}, count: 8}
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A folder with the distribution in it and nothing else."""
    copy, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for file in EXAMPLE.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            place = copy / file.relative_to(EXAMPLE)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*pip, *offline, str(copy)], check=True, capture_output=True)
    return target


def python(target, *words, cwd):
    env = {k: v for k, v in os.environ.items() if not k.startswith("FMCORE_")}
    env |= {"PYTHONPATH": str(target), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests_pass(target):
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests")]
    out = python(target, *tests, cwd=EXAMPLE)
    assert " passed" in out
    assert "failed" not in out


def test_its_path_is_used_from_a_recipe(target, tmp_path):
    (tmp_path / "mine.yaml").write_text(RECIPE)
    run = ["-m", "fmcore", "run", "mine.yaml", "--out", "run", "--quiet"]
    python(target, *run, cwd=tmp_path)
    made = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "fmcore_cosine" in json.dumps(made)
    assert "offset: 0.02" in (tmp_path / "run" / "recipe.yaml").read_text()
