"""The commit in run.json is fmcore's own, and reading it disturbs nobody's repository."""

import os
import shutil
import subprocess

import pytest

from fmcore.runs import provenance

if shutil.which("git") is None:
    pytest.skip("needs git", allow_module_level=True)


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a package `fmcore` inside, from which this module seems to be imported."""
    package = tmp_path / "lib" / "fmcore"
    (package / "runs").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "__file__", str(package / "runs" / "provenance.py"))
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "theirs")
    return tmp_path


def test_the_commit_of_a_repository_around_an_installed_fmcore_is_not_recorded(repository):
    assert provenance._git_commit() is None


def test_the_commit_of_fmcore_itself_is_recorded_with_a_mark_for_changes(repository):
    git(repository, "add", "lib")
    git(repository, "commit", "-q", "-m", "ours")
    commit = git(repository, "rev-parse", "HEAD")
    assert provenance._git_commit() == commit
    (repository / "lib" / "fmcore" / "__init__.py").write_text("changed = True\n")
    assert provenance._git_commit() == f"{commit}+"


def test_git_is_asked_without_taking_its_lock(repository):
    git(repository, "add", "lib")
    git(repository, "commit", "-q", "-m", "ours")
    file, index = repository / "lib" / "fmcore" / "__init__.py", repository / ".git" / "index"
    os.utime(file, (1, 1))  # now `git status` would refresh the index, if it may
    before = index.read_bytes()
    assert provenance._git_commit() is not None
    assert index.read_bytes() == before
