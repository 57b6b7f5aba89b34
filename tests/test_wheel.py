"""The wheel holds what the commands need outside a checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

import fmcore

ROOT = Path(fmcore.__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as opened:
        yield opened


def test_it_holds_every_module_template_and_recipe(wheel):
    held = set(wheel.namelist())
    sources = [file.relative_to(ROOT) for file in (ROOT / "fmcore").rglob("*.py")]
    sources += [file.relative_to(ROOT) for file in (ROOT / "fmcore").rglob("*.tmpl")]
    sources += [f.relative_to(ROOT) for f in (ROOT / "fmcore/report/templates").iterdir()]
    sources += [file.relative_to(ROOT / "plugins") for file in (ROOT / "plugins").rglob("*.py")]
    recipes = (ROOT / "recipes").rglob("*.yaml")
    sources += [Path("fmcore/_recipes") / file.relative_to(ROOT / "recipes") for file in recipes]
    assert {str(file) for file in [*sources, Path("fmcore/py.typed")]} <= held


def test_it_holds_nothing_of_the_tests_and_tools(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    plugins = {folder.name for folder in (ROOT / "plugins").iterdir() if folder.is_dir()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"fmcore", *plugins}


def test_its_entry_points_name_every_built_in_plugin(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    points = ConfigParser()
    points.read_string(wheel.read(name).decode())
    plugins = {folder.name for folder in (ROOT / "plugins").iterdir() if folder.is_dir()}
    assert dict(points["fmcore"]) == {plugin: plugin for plugin in plugins}
    assert dict(points["console_scripts"]) == {"fmcore": "fmcore.cli:main"}
