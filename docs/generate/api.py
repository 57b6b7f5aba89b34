"""A mkdocs hook: one page for each public module, with an entry for every name of its `__all__`.

The modules are those of `PUBLIC_MODULES` in tests/test_laws.py; mkdocstrings reads the names.
"""

from __future__ import annotations

import ast
import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

__all__ = ["on_config", "on_files", "public_modules"]

LAWS = Path(__file__).parents[2] / "tests" / "test_laws.py"


def public_modules() -> list[str]:
    """Return `fmcore` and the other modules that plugins may import from, sorted."""
    tree = ast.parse(LAWS.read_text(encoding="utf-8"))
    values = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PUBLIC_MODULES"
    ]
    return ["fmcore", *sorted(values[0])]


def on_config(config: Any) -> None:
    """Add the pages to the menu's section `Python`."""
    menu = next(section["Python"] for section in config.nav if "Python" in section)
    menu.extend({module: _page(module)} for module in public_modules())


def on_files(files: Files, *, config: Any) -> None:
    """Add a page for each module, which mkdocstrings fills."""
    for module in public_modules():
        files.append(File.generated(config, _page(module), content=_text(module)))


def _text(module: str) -> str:
    parts = [f"# `{module}`", f"::: {module}"]
    public = importlib.import_module(module)
    for name in public.__all__ if hasattr(public, "__path__") else ():
        # A function called like the file that it is in: mkdocstrings takes the name for the file.
        if find_spec(f"{module}.{name}"):
            parts += [f"::: {module}.{name}.{name}\n    options: {{show_root_heading: true}}"]
    return "\n\n".join(parts) + "\n"


def _page(module: str) -> str:
    return f"reference/api/{module}.md"
