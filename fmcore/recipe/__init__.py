"""Recipes: YAML files that combine components, checked against the components' own signatures.

    recipe = load_recipe("digits", ["train.steps=100"])
    recipe.values, recipe.origin("train.lr"), recipe.digest, recipe.to_yaml()
    path = recipe.build("path")

docs/recipes.md is the manual.  Nothing here imports torch until a component's class is needed.
"""

from __future__ import annotations

from fmcore.recipe.comparing import ABSENT, Difference, diff
from fmcore.recipe.loading import load_recipe
from fmcore.recipe.recipe import Recipe

__all__ = ["ABSENT", "Difference", "Recipe", "diff", "load_recipe"]
