"""Recipes: YAML files that combine components, checked against the components' own signatures.

    recipe = load_recipe("digits", ["train.steps=100"])
    recipe.values, recipe.origin("train.lr"), recipe.digest, recipe.to_yaml()
    path = recipe.build("path")

docs/recipes.md is the manual.  Nothing here imports torch until a component's class is needed, and
`fmcore.create` (create.py) imports no YAML.
"""
