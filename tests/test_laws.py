"""The laws of the house that can be read off the imports (docs/architecture.md)."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fmcore

ROOT = Path(fmcore.__file__).parents[1]
CORE = sorted((ROOT / "fmcore").rglob("*.py"))
PLUGINS = sorted(folder for folder in (ROOT / "plugins").iterdir() if folder.is_dir())
PLUGIN_FILES = [file for folder in PLUGINS for file in sorted(folder.rglob("*.py"))]

PUBLIC_MODULES = {
    "fmcore.errors",
    "fmcore.interfaces.levels",
    "fmcore.runs.files",
    "fmcore.flow.likelihood",
    "fmcore.solving",
    "fmcore.testing",
    "fmcore.interfaces.time_sampling",
}
"""What a plugin author may import beside the names of `fmcore` itself; each has an `__all__`."""

LIGHT = [
    *(ROOT / "fmcore" / "cli").rglob("*.py"),
    *(ROOT / "fmcore" / "registry").rglob("*.py"),
    *(ROOT / "fmcore" / "recipe").rglob("*.py"),
    *(folder / "__init__.py" for folder in PLUGINS),
]
"""Files that are read before a command knows that it will compute anything."""


def imports(file: Path) -> Iterator[tuple[str, str | None, int]]:
    """(module, name or None, line) of every import of a file, wherever it stands."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute here"
            yield from ((node.module, alias.name, node.lineno) for alias in node.names)


def module_of(file: Path) -> str:
    base = ROOT / "plugins" if ROOT / "plugins" in file.parents else ROOT
    parts = file.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top(module: str) -> str:
    return module.split(".")[0]


def test_the_core_imports_no_plugin():
    plugins = {folder.name for folder in PLUGINS}
    assert plugins
    assert not [
        f"{file}:{line}: {module}"
        for file in CORE
        for module, _, line in imports(file)
        if top(module) in plugins
    ]


def test_a_plugin_uses_only_public_names_of_fmcore():
    assert not [
        f"{file}:{line}: {module}{f'.{name}' if name else ''}"
        for file in PLUGIN_FILES
        for module, name, line in imports(file)
        if top(module) == "fmcore" and not is_public(module, name)
    ]


def test_a_plugin_imports_no_other_plugin():
    plugins = {folder.name for folder in PLUGINS}
    assert not [
        f"{file}:{line}: {module}"
        for file in PLUGIN_FILES
        for module, _, line in imports(file)
        if top(module) in plugins - {top(module_of(file))}
    ]


def is_public(module: str, name: str | None) -> bool:
    if module != "fmcore" and module not in PUBLIC_MODULES:
        return False
    return name is None or name in importlib.import_module(module).__all__


def test_every_public_name_of_fmcore_can_be_imported():
    for name in fmcore.__all__:
        assert getattr(fmcore, name) is not None


def module_level(file: Path) -> Iterator[tuple[str, int]]:
    """(module, line) of the imports that run when the file is imported."""
    pending: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module), node.lineno
        pending += ast.iter_child_nodes(node)


def test_what_the_command_line_reads_imports_no_torch_at_module_level():
    assert not [
        f"{file}:{line}"
        for file in LIGHT
        for module, line in module_level(file)
        if top(module) == "torch"
    ]


def in_a_process(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


def test_importing_every_light_module_leaves_torch_out():
    names = sorted({module_of(file) for file in LIGHT})
    in_a_process(
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["plugins"],
        ["plugins", "--help"],
        ["plugins", "ls", "--json"],
        ["recipes", "--help"],
        ["recipes", "ls"],
        ["doctor", "--help"],
    ],
    ids=" ".join,
)
def test_help_and_listings_leave_torch_out(words):
    in_a_process(
        "import sys\n"
        "from fmcore.cli import command_line\n"
        f"command_line.main({words}, standalone_mode=False)\n"
        "assert 'torch' not in sys.modules\n"
    )
