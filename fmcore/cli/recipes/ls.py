"""`fmcore recipes ls`: list the recipes that have a name."""

from __future__ import annotations

import re
from pathlib import Path

import click

from fmcore.cli.console import print_json, table
from fmcore.cli.options import json_option, plugin_option
from fmcore.recipe.catalog import NamedRecipe, display_path, list_recipes

__all__ = ["ls"]


@click.command(short_help="List the recipes that have a name (default).")
@plugin_option
@json_option
def ls(as_json: bool) -> None:
    """List the recipes of fmcore and of plugins, each with its first comment.

    \b
      fmcore recipes ls --json
    """
    found = list_recipes()
    if as_json:
        print_json([_as_dict(recipe) for recipe in found])
        return
    rows = [(r.name, description(r.file), r.provider, display_path(r.file)) for r in found]
    table(("NAME", "DESCRIPTION", "FROM", "FILE"), rows, spare=("FROM", "FILE"))


def description(file: Path) -> str:
    """Return the recipe's first comment line, without the command after it."""
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            first = lines.readline(500).strip()
    except OSError:
        return ""
    return re.split(r"\s{2,}", first.lstrip("# "))[0] if first.startswith("#") else ""


def _as_dict(recipe: NamedRecipe) -> dict[str, str]:
    return {
        "name": recipe.name,
        "description": description(recipe.file),
        "from": recipe.provider,
        "file": str(recipe.file),
    }
