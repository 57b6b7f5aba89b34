"""What may follow what has been typed of a `KEY=VALUE`: keys from the schema, values from choices
and from what is registered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from fmcore.cli.completion_schema import Outline, outline, outline_of
from fmcore.errors import FmcoreError
from fmcore.recipe.catalog import find
from fmcore.recipe.load import composed
from fmcore.recipe.nodes import Block, Faults, Leaf, lookup
from fmcore.registry import registry

__all__ = ["SECTIONS", "Chosen", "continuations"]

SECTIONS = "fmcore.recipe.sections:Sections"


@final
@dataclass(frozen=True)
class Chosen:
    """Which component a key names so far: by the overrides typed before, or by the recipe.

    `within` is the section that keys are given without, as `count=64` is for `fmcore sample`.
    """

    recipe: str | Path | None = None
    overrides: Sequence[str] = ()
    within: str = ""

    def name(self, key: str) -> str:
        """The component's name; empty if it is not known."""
        for override in reversed(self.overrides):
            typed, _, value = override.partition("=")
            if typed in (key, f"{key}.name") and value and not value.startswith("{"):
                return value
        return self._of_recipe(f"{self.within}.{key}" if self.within else key)

    def _of_recipe(self, key: str) -> str:
        if self.recipe is None:
            return ""
        try:
            node = lookup(composed(find(self.recipe), Faults()), key.split("."))
        except FmcoreError:  # it will be told when the command runs
            return ""
        if isinstance(node, Block):
            node = node.entries.get("name")
        return node.value if isinstance(node, Leaf) and isinstance(node.value, str) else ""


def continuations(typed: str, options: Mapping[str, Outline], chosen: Chosen) -> Iterator[str]:
    """The words that `typed` may become, one step further: `train.` before `train.lr=`."""
    key, equals, value = typed.partition("=")
    *parents, last = key.split(".")
    for depth, parent in enumerate(parents, 1):
        if parent not in options:
            return
        options = _inside(options[parent], ".".join(parents[:depth]), chosen)
    if equals:
        words = _values(options[last]) if last in options else ()
        yield from (f"{key}={word}" for word in words if word.startswith(value))
        return
    for name, option in options.items():
        if name.startswith(last):
            whole = ".".join([*parents, name])
            if option.inside or (option.kind and not option.many):
                yield f"{whole}."
            if not option.inside:
                yield f"{whole}="


def _inside(option: Outline, key: str, chosen: Chosen) -> Mapping[str, Outline]:
    """The options of settings, or of the component that is chosen."""
    if option.inside:
        return outline(option.inside)
    if not option.kind:
        return {}
    name = chosen.name(key) or option.default
    entries = [e for e in registry().entries(option.kind) if name in (e.name, e.qualified)]
    own = outline_of(entries[0]) if len(entries) == 1 else {}
    names = tuple(registry().names(option.kind))
    return {"name": Outline("name", choices=names), **own}


def _values(option: Outline) -> list[str]:
    words = [*option.choices, *(registry().names(option.kind) if option.kind else ())]
    return [f"[{word}]" for word in words] if option.many else words
