"""`fmcore plugins new`: the plugin that it creates installs and passes its own tests unchanged."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fmcore.errors import REMEDIES
from fmcore.registry import registry
from fmcore.registry.kinds import KINDS


def python(*words: str, **more) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False, **more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_plugin_of_each_kind_installs_and_passes_its_own_tests(call, tmp_path):
    folders = [f"my-{kind}" for kind in KINDS]
    for kind, folder in zip(KINDS, folders, strict=True):
        ended = call("plugins", "new", folder, "--kind", kind)
        assert (ended.code, ended.err) == (0, "")
        assert f"The {kind} is in my_{kind}/{kind}.py." in ended.out
    where = tmp_path / "site-packages"
    quiet = ("-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index")
    python("pip", "install", *quiet, "--target", str(where), *(f"./{f}" for f in folders))
    search = [str(where), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(search)}
    listed = python("fmcore", "plugins", env=environment)
    words = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib")
    passed = python("pytest", *words, *(f"{f}/tests" for f in folders), env=environment)
    for kind in KINDS:
        assert f"my_{kind}" in listed
    assert " passed" in passed
    assert "failed" not in passed


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_complete_and_pass_ruff(call, tmp_path, kind):
    call("plugins", "new", "Acme.Fine-Thing", "--kind", kind, "--out", "here")
    folder = tmp_path / "here"
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert files == {
        "README.md",
        "acme_fine_thing/__init__.py",
        f"acme_fine_thing/{kind}.py",
        "pyproject.toml",
        "recipe.yaml",
        f"tests/test_{kind}.py",
    }
    assert not [name for name in files if "$" in (folder / name).read_text()]
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "Acme.Fine-Thing"
    assert project["dependencies"][0].startswith("fmcore-flow>=")
    assert project["entry-points"]["fmcore"] == {"acme_fine_thing": "acme_fine_thing"}
    python("ruff", "check", "--isolated", "--line-length", "100", "--select", "E,F,I,UP,B", "here")
    python("ruff", "format", "--isolated", "--line-length", "100", "--check", "here")
    assert "class AcmeFineThing(" in (folder / f"acme_fine_thing/{kind}.py").read_text()


@pytest.mark.parametrize("name", ["1st", "my path", "-x", "a--b", "../up", "päth", ""])
def test_a_name_that_is_not_valid_for_a_distribution_is_refused(call, tmp_path, name):
    ended = call("plugins", "new", "--kind", "path", "--", name)
    assert ended.code == 2
    assert "cannot name a distribution: use letters and digits" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["fmcore", "Torch", "random", "lambda", "tests"])
def test_a_name_that_would_hide_another_module_is_refused(call, name):
    ended = call("plugins", "new", name, "--kind", "path")
    assert (ended.code, ended.err) == (
        2,
        f"error: '{name.lower()}' is a keyword or another module's name; choose another name\n",
    )


def test_the_name_of_an_installed_plugin_is_refused(call):
    installed = registry().plugins[0].name
    ended = call("plugins", "new", installed, "--kind", "path")
    assert ended.err == f"error: a plugin called '{installed}' is installed; choose another name\n"


def test_an_existing_folder_is_refused_and_left_as_it_is(call, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    ended = call("plugins", "new", "mine", "--kind", "path")
    assert ended.code == 2
    assert ended.err == "error: mine exists and is not empty; choose another folder with --out\n"
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("existed", [False, True])
def test_an_error_while_writing_leaves_nothing(call, tmp_path, monkeypatch, existed):
    folder = tmp_path / "mine"
    if existed:
        folder.mkdir()
    write = Path.write_text

    def fail_at_the_recipe(file, text, **more):
        if file.name == "recipe.yaml":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, text, **more)

    monkeypatch.setattr(Path, "write_text", fail_at_the_recipe)
    ended = call("plugins", "new", "mine", "--kind", "path")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"error: mine cannot be written: {REMEDIES[errno.ENOSPC]}\n"
    assert list(tmp_path.rglob("*")) == ([folder] if existed else [])
