"""A plugin may be one file, named on the command line."""

from __future__ import annotations

import hashlib

import pytest

from fmcore.errors import PluginError
from fmcore.registry.construct import construct

SOURCE = """
from __future__ import annotations
from dataclasses import dataclass
import torch
from fmcore import Source, hookimpl

@dataclass(frozen=True)
class Still(Source):
    level: float = 0.5
    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return torch.full((len(rows), *shape), self.level, dtype=dtype)
    def log_prob(self, x, condition=None):
        return x.flatten(1).sum(1)

@hookimpl
def register_sources(register):
    register("still", Still, summary="does not move")
"""


@pytest.fixture
def write(tmp_path):
    def write(name: str, source: str = SOURCE):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(source, encoding="utf-8")
        return file

    return write


def error_of(registry, file) -> str:
    with pytest.raises(PluginError) as caught:
        registry.add_file(file)
    return str(caught.value)


def test_its_components_are_registered_under_the_files_name_and_hash(site, write):
    registry = site.registry()
    file = write("my-source.py")
    plugin = registry.add_file(file)
    entry = registry.entry("source", "my-source/still")
    assert plugin.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert plugin.file == str(file)
    assert entry.version == f"sha256:{plugin.sha256[:12]}"
    assert construct(entry, {"level": 2.0}).level == 2.0
    assert registry.entry_of(construct(entry, {})) == entry


def test_two_files_are_two_plugins_and_one_file_twice_is_one(site, write):
    registry = site.registry()
    registry.add_file(write("one.py"))
    registry.add_file(write("two.py"))
    registry.add_file(write("one.py"))
    assert [plugin.name for plugin in registry.plugins] == ["one", "two"]
    with pytest.raises(PluginError, match="write one of: one/still, two/still"):
        registry.entry("source", "still")


def test_two_files_of_one_name_are_refused(site, write):
    registry = site.registry()
    registry.add_file(write("one.py"))
    assert "a plugin is called 'one' already; rename the file" in error_of(
        registry, write("other/one.py")
    )


def test_a_missing_file_is_reported(site, tmp_path):
    file = tmp_path / "gone.py"
    assert error_of(site.registry(), file) == (
        f"{file}: no plugin can be read here: No such file or directory"
    )


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("x = 1\n1 / 0", "ZeroDivisionError: division by zero ({file}:2)"),
        ("def f(:", "SyntaxError: "),
        ("raise SystemExit", "SystemExit ({file}:1)"),
        (SOURCE.replace("@hookimpl\n", ""), "'register_sources' lacks its decorator"),
        (SOURCE.replace("register_sources", "register_source"), "there is no hook"),
        (SOURCE + "    1 / 0", "ZeroDivisionError: division by zero ({file}:18)"),
    ],
)
def test_an_error_in_it_is_an_error_and_leaves_nothing_behind(site, write, source, error):
    registry = site.registry()
    file = write("mine.py", source)
    assert error_of(registry, file).startswith(f"{file}: {error.format(file=file)}")
    assert registry.entries("source") == []
    assert registry.plugins == []
