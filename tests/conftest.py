"""What several packages' tests share: plugins to install, and the command line as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import pytest

from fmcore.registry import Registry

HEAD = "from fmcore import hookimpl\n\n\n"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own, handed on to the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FMCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@dataclass(frozen=True)
class Site:
    """A folder on `sys.path` in which a test installs plugin distributions."""

    root: Path

    def install(
        self, plugin: str, source: str, *, version: str = "1.0", distribution: str | None = None
    ) -> Path:
        """Install module `plugin` with `source` below an import of hookimpl; returns its file."""
        file = self.root / f"{plugin}.py"
        file.write_text(HEAD + source, encoding="utf-8")
        self.declare(distribution or plugin, version, {plugin: plugin})
        return file

    def declare(self, distribution: str, version: str, points: dict[str, str]) -> None:
        """Write the metadata of a distribution with these entry points."""
        folder = self.root / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(exist_ok=True)
        head = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (folder / "METADATA").write_text(head, encoding="utf-8")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (folder / "entry_points.txt").write_text(f"[fmcore]\n{lines}", encoding="utf-8")

    def registry(self, allow: str = "") -> Registry:
        """A registry of what is installed here, and of nothing else."""
        found = distributions(path=[str(self.root)])
        return Registry([p for d in found for p in d.entry_points.select(group="fmcore")], allow)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty folder to install plugins in; modules imported from it are forgotten afterwards."""
    root = tmp_path / "site"
    root.mkdir()
    monkeypatch.syspath_prepend(root)
    before = set(sys.modules)
    yield Site(root)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(root)):
            del sys.modules[name]


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def fmcore_command(tmp_path: Path) -> Command:
    """Runs `fmcore ...` as a process in a folder of its own, with a site and environment."""

    def run(*words: str, site: Site | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        cleared = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("FMCORE_") or k == "FMCORE_CACHE"
        }
        path = {"PYTHONPATH": str(site.root)} if site else {}
        return subprocess.run(
            [sys.executable, "-m", "fmcore", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=cleared | path | {"NO_COLOR": "1"} | env,
            timeout=120,
        )

    return run
