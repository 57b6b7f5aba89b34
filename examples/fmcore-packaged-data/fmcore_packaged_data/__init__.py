"""Datasets made from files that a package manager installs, and a recipe for each."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer the datasets; their modules, which need torch, are imported when they are used."""
    register("emoji", "fmcore_packaged_data.emoji:Emoji", summary="colour emoji, 64x64")
    register("photos", "fmcore_packaged_data.photos:Photos", summary="patches of photographs")


@hookimpl
def register_recipes(register: Register) -> None:
    """Offer a recipe for each dataset."""
    register("emoji64", "fmcore_packaged_data:recipes/emoji64.yaml", summary="emoji, by category")
    register("photos32", "fmcore_packaged_data:recipes/photos32.yaml", summary="patches of photos")
