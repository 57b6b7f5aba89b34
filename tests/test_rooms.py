"""The rooms of the core depend downwards only, and no modules import each other in a circle.

Every import counts: at module level, inside functions, and under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
from pathlib import Path

import fmcore

CORE = Path(fmcore.__file__).parent

ROOMS = (
    "errors",
    "hookspecs",
    "interfaces",
    "registry",
    "recipe",
    "solving",
    "runs",
    "flow",
    "training",
    "report",
    "stages",
    "testing",
    "benchmark",
    "cli",
)
"""From the ground up.  `fmcore/__init__.py` (the public names) and `__main__` are above all."""


def name_of(file: Path) -> str:
    parts = ("fmcore", *file.relative_to(CORE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in CORE.rglob("*.py")}


def imported_by(file: Path) -> set[str]:
    """The modules of the core that a file imports, wherever the import is written."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found & set(MODULES)


IMPORTS = {module: imported_by(file) for module, file in MODULES.items()}


def floor(module: str) -> int:
    parts = module.split(".")
    return ROOMS.index(parts[1]) if len(parts) > 1 and parts[1] in ROOMS else len(ROOMS)


def test_the_core_has_these_rooms_and_four_modules_of_its_own() -> None:
    folders = {f.name for f in CORE.iterdir() if f.is_dir() and any(f.glob("*.py"))}
    assert folders == set(ROOMS) - {"errors", "hookspecs"}
    assert {f.stem for f in CORE.glob("*.py")} == {"__init__", "__main__", "errors", "hookspecs"}


def test_rooms_depend_downwards_only() -> None:
    assert [
        f"{module} imports {target}"
        for module, targets in sorted(IMPORTS.items())
        for target in sorted(targets)
        if floor(target) > floor(module)
    ] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    reached: dict[str, set[str]] = {}
    for module in IMPORTS:
        seen: set[str] = set()
        pending = list(IMPORTS[module])
        while pending:
            target = pending.pop()
            if target not in seen:
                seen.add(target)
                pending += IMPORTS[target]
        reached[module] = seen
    assert [module for module, seen in reached.items() if module in seen] == []


def test_solving_has_at_most_36_files() -> None:
    files = [f for f in (CORE / "solving").rglob("*.py") if f.name != "__init__.py"]
    assert len(files) <= 36
