"""examples/fmcore-every-kind has a component of every kind, in one distribution.

tests/cli/test_new.py runs the suites of the same components.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fmcore.registry.kinds import KINDS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "fmcore-every-kind"


def python(*words, **more):
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, **more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_what_the_templates_write():
    python(str(ROOT / "tools" / "every_kind.py"), "--check")


def test_it_installs_and_its_recipes_are_valid(tmp_path):
    copy, target = tmp_path / "source", tmp_path / "target"
    for file in EXAMPLE.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            place = copy / file.relative_to(EXAMPLE)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    quiet = ["--quiet", "--disable-pip-version-check"]
    python("-m", "pip", "install", *quiet, *offline, str(copy))
    search = [str(target), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(search), "NO_COLOR": "1"}
    listed = python("-m", "fmcore", "plugins", "ls", env=environment)
    assert [kind for kind in KINDS if f"every_{kind} " not in listed] == []
    recipes = [str(EXAMPLE / "recipes" / f"{kind}.yaml") for kind in KINDS]
    checked = python("-m", "fmcore", "recipes", "check", *recipes, env=environment)
    assert checked.count(": ok") == len(KINDS)
