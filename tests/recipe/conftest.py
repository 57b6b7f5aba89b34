"""Recipes over the components of kit.py, and a folder to write them to."""

from __future__ import annotations

import importlib
import pkgutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import fmcore.registry
from fmcore import RecipeError, load_recipe
from fmcore.registry import Registry

# A module that is first imported while the registry is patched, below, would keep the patched one.
for module in pkgutil.walk_packages(fmcore.__path__, "fmcore."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

BASIC = """\
seed: 7
data: {name: files, root: /data}
path: {name: ot, sigma_min: 1e-3}
model: net
train: {steps: 100, lr: 1e-4}
sample: {solver: {name: adaptive, rtol: 1e-3}}
evaluate: {metrics: [likelihood, {name: distance, moments: [1, 2, 3]}]}
"""


@pytest.fixture(scope="session")
def kit() -> Registry:
    """The components of kit.py and no others."""
    registry = Registry([])
    registry.add_file(Path(__file__).with_name("kit.py"))
    return registry


@pytest.fixture(autouse=True)
def only_the_kit(kit: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Recipes see the kit alone; messages show files relative to the test's own folder."""
    monkeypatch.setattr(fmcore.registry, "_discovered", lambda: kit)
    monkeypatch.chdir(tmp_path)


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a recipe and returns its file."""

    def written(text: str, name: str = "r.yaml") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    return written


@pytest.fixture
def basic(write: Write) -> Path:
    """A valid recipe that sets something in every section."""
    return write(BASIC)


def faults_of(source: object, overrides: tuple[str, ...] | list[str] = ()) -> list[str]:
    """The errors that load_recipe raises."""
    with pytest.raises(RecipeError) as caught:
        load_recipe(source, overrides)  # type: ignore[arg-type]
    return list(caught.value.faults)


@pytest.fixture
def faults() -> Callable[..., list[str]]:
    """`faults(source, overrides)`: the messages of an invalid recipe."""
    return faults_of
