"""Recipes: YAML files that combine components, checked against the components' signatures.

    recipe = load_recipe("digits", ["train.steps=100"])
    recipe.values, recipe.origin("train.lr"), recipe.digest, recipe.to_yaml()
    path = recipe.build("path")

docs/recipes.md is the manual.  Torch is imported when the class of a component is needed, not
before.

From text to components:

    yaml -> nodes -> load (merging, overrides) -> interpolation -> schema -> recipe
    signatures -> schema: types, containers, options, components
"""
