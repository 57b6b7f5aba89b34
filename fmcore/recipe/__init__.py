"""Recipes: YAML files that combine components, checked against the components' own signatures."""

from __future__ import annotations

from fmcore.recipe.loading import load_recipe
from fmcore.recipe.recipe import Recipe

__all__ = ["Recipe", "load_recipe"]
