"""Complete a `KEY=VALUE`: keys from the schema, values from choices and registered components."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from fmcore.cli.completion_schema import StaticOption, read_component_options, read_options
from fmcore.errors import FmcoreError
from fmcore.recipe.catalog import find_recipe
from fmcore.recipe.load import compose
from fmcore.recipe.nodes import Diagnostics, MappingNode, ScalarNode, lookup
from fmcore.registry import registry

__all__ = ["SECTIONS", "TypedWords", "complete_key"]

SECTIONS = "fmcore.recipe.sections:Sections"


@final
@dataclass(frozen=True)
class TypedWords:
    """The recipe and the overrides typed so far, which select the components of keys.

    `section` is the one that keys are relative to: `fmcore sample` takes `count=64`.
    """

    recipe: str | Path | None = None
    overrides: Sequence[str] = ()
    section: str = ""

    def find_component(self, key: str) -> str:
        """Return the name of the component at a key, '' if it is not known."""
        for override in reversed(self.overrides):
            typed, _, value = override.partition("=")
            # `path={name: vp}` is not parsed: completion has milliseconds
            if typed in (key, f"{key}.name") and value and not value.startswith("{"):
                return value
        return self._find_in_recipe(f"{self.section}.{key}" if self.section else key)

    def _find_in_recipe(self, key: str) -> str:
        if self.recipe is None:
            return ""
        try:
            node = lookup(compose(find_recipe(self.recipe), Diagnostics()), key.split("."))
        except FmcoreError:  # the command reports it when it runs
            return ""
        if isinstance(node, MappingNode):
            node = node.entries.get("name")
        name = node.value if isinstance(node, ScalarNode) else None
        return name if isinstance(name, str) else ""


def complete_key(
    typed: str, options: Mapping[str, StaticOption], words: TypedWords
) -> Iterator[str]:
    """Yield the completions of `typed`, one step further: `train.` before `train.lr=`."""
    key, equals, value = typed.partition("=")
    *parents, last = key.split(".")
    for depth, parent in enumerate(parents, 1):
        if parent not in options:
            return
        options = _read_inner_options(options[parent], ".".join(parents[:depth]), words)
    if equals:
        values = _list_values(options[last]) if last in options else ()
        yield from (f"{key}={word}" for word in values if word.startswith(value))
        return
    for name, option in options.items():
        if name.startswith(last):
            whole = ".".join([*parents, name])
            if option.settings or (option.kind and not option.is_list):
                yield f"{whole}."
            if not option.settings:
                yield f"{whole}="


def _read_inner_options(
    option: StaticOption, key: str, words: TypedWords
) -> Mapping[str, StaticOption]:
    """Return the options of a mapping: of settings, or of the component selected so far."""
    if option.settings:
        return read_options(option.settings)
    if not option.kind:
        return {}
    name = words.find_component(key) or option.default
    entries = [e for e in registry().entries(option.kind) if name in (e.name, e.qualified)]
    own = read_component_options(entries[0]) if len(entries) == 1 else {}
    names = tuple(registry().names(option.kind))
    return {"name": StaticOption("name", choices=names), **own}


def _list_values(option: StaticOption) -> list[str]:
    values = [*option.choices, *(registry().names(option.kind) if option.kind else ())]
    return [f"[{value}]" for value in values] if option.is_list else values
