"""What to type instead of arguments that begin with no command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from fmcore.errors import FmcoreError
from fmcore.recipe.catalog import SUFFIXES, list_recipes
from fmcore.registry import registry

__all__ = ["guess_command", "guess_component", "guess_dataset", "guess_recipe"]

OTHER_NAMES = {
    "train": "run",
    "fit": "run",
    "resume": "run",
    "generate": "sample",
    "draw": "sample",
    "eval": "evaluate",
    "test": "evaluate",
    "plot": "report",
    "list": "recipes",
    "ls": "recipes",
    "show": "recipes show",
    "check": "recipes check",
    "new": "plugins new",
    "solvers": "plugins --kind solver",
    "paths": "plugins --kind path",
}
"""The names of commands in other programs, and what is closest to each."""


def guess_command(args: Sequence[str]) -> str:
    """Return what to type after `fmcore`, '' if unknown."""
    first, *rest = args
    if first == "help":
        return shlex.join([*rest[:1], "--help"])
    if first == "version":
        return "--version"
    if first in OTHER_NAMES:
        return " ".join([OTHER_NAMES[first], *map(shlex.quote, rest)])
    if _is_recipe(first):
        return shlex.join(["run", *args])
    return shlex.join(["report", first]) if Path(first, "recipe.yaml").is_file() else ""


def guess_recipe(args: Sequence[str]) -> str:
    """Return what to type after `fmcore recipes`, '' if unknown."""
    return shlex.join(["show", *args]) if _is_recipe(args[0]) else ""


def guess_component(args: Sequence[str]) -> str:
    """Return what to type after `fmcore plugins`, '' if unknown."""
    return shlex.join(["show", *args]) if registry().find(args[0]) else ""


def guess_dataset(args: Sequence[str]) -> str:
    """Return what to type after `fmcore data`, '' if unknown."""
    known = args[0] in registry().names("data") or Path(args[0]).exists() or _is_recipe(args[0])
    return shlex.join(["show", *args]) if known else ""


def _is_recipe(text: str) -> bool:
    if Path(text).suffix in SUFFIXES:
        return True
    try:
        return any(text in (recipe.name, recipe.qualified) for recipe in list_recipes())
    except FmcoreError:  # a broken plugin must not hide that the command is unknown
        return False
