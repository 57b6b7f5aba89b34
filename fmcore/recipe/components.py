"""The types of options that have options themselves: components and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from fmcore.errors import ComponentError, PluginError
from fmcore.recipe.nodes import MISSING, MappingNode, Node, ScalarNode
from fmcore.recipe.options import (
    ListOptions,
    Option,
    build_options,
    construct_once,
    validate_options,
)
from fmcore.recipe.types import Str, Type, TypeMismatch, Validation, has_reference
from fmcore.registry import registry
from fmcore.registry.construct import construct
from fmcore.registry.kinds import AUTO, KINDS

__all__ = ["Component", "Settings"]

# A component's options may hold components: reading the options of a class (schema.py) makes these
# types, which read the options of other classes.  They are handed the function that does so.


@final
@dataclass(frozen=True)
class Settings(Type):
    """A dataclass: a mapping of its fields."""

    target: type
    list_options: ListOptions

    singular = "a mapping of options"
    plural = "mappings of options"

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        if isinstance(node, ScalarNode) and isinstance(node.value, self.target):
            return node  # an instance given in Python
        if not isinstance(node, MappingNode):
            raise TypeMismatch
        fork = validation.fork()
        own = self.list_options(self.target, ())
        checked = replace(node, entries=validate_options(own, node, at, at, fork))
        if fork.is_constructible:
            construct_once(self, checked, at, fork)
        validation.merge(fork)
        return checked

    def build(self, node: Node) -> Any:
        if not isinstance(node, MappingNode):
            return node.value if isinstance(node, ScalarNode) else None
        return self.target(**build_options(self.list_options(self.target, ()), node))


@final
@dataclass(frozen=True)
class Component(Type):
    """An interface: a registered component's name, or a mapping of `name` and its options."""

    interface: Any
    list_options: ListOptions

    @property
    def kind(self) -> str:
        """The kind of component, a key of KINDS."""
        return str(self.interface.kind)

    @property
    def singular(self) -> str:
        return f"{_with_article(self._noun)} (its name, or a mapping with `name`)"

    @property
    def plural(self) -> str:
        return f"{self._noun}s (names, or mappings with `name`)"

    @property
    def _noun(self) -> str:
        return "data set" if self.kind == "data" else self.kind

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        if isinstance(node, ScalarNode) and isinstance(node.value, self.interface):
            return node  # an instance given in Python
        block = _to_mapping(node)
        if "name" not in block.entries:
            known = ", ".join(registry().names(self.kind)) or "none"
            validation.add_error(node, at, f"{at} needs a name; installed: {known}")
            return node
        name = Str().validate(block.entries["name"], f"{at}.name", validation)
        block = replace(block, entries={**block.entries, "name": name})
        known_name = _known_name(name)
        if known_name is None:
            return block
        return self._check_options(block, known_name, at, validation)

    def _check_options(
        self, block: MappingNode, name: str, at: str, validation: Validation
    ) -> Node:
        what = f"{self.kind} '{name}'"
        entries = dict(block.entries)
        name_node = entries.pop("name")
        try:
            own = self._list_own_options(name, what)
        except PluginError as error:
            message = str(error) if f"'{name}'" in str(error) else f"{what}: {error}"
            validation.add_error(name_node, at, message)
            return block
        if isinstance(name_node, ScalarNode):  # a registered name is no secret
            name_node = replace(name_node, reference=None)
        fork = validation.fork()
        derived = {o.name for o in own} & set(KINDS[self.kind].derived)
        automatic = {k: v for k, v in entries.items() if k in derived and _is_automatic(v)}
        typed = {k: v for k, v in entries.items() if k not in automatic}
        options = validate_options(own, replace(block, entries=typed), what, at, fork)
        options |= automatic
        checked = replace(block, entries={"name": name_node, **options})
        # A model needs arguments that only the data decide, and may be too large to build for a
        # check.
        if fork.is_constructible and KINDS[self.kind].light:
            construct_once(self, checked, what, fork)
        validation.merge(fork)
        return checked

    def build(self, node: Node, given: Mapping[str, Any] | None = None) -> Any:
        """Return the component; `given` are arguments that a recipe may omit."""
        if not isinstance(node, MappingNode):
            return node.value if isinstance(node, ScalarNode) else None
        entry = registry().entry(self.kind, _known_name(node.entries["name"]) or "")
        own = self.list_options(entry.load(), ())
        arguments = build_options(own, node)
        accepted = {option.name for option in own}
        kind = KINDS[self.kind]
        for name, value in (given or {}).items():
            if name not in accepted and name not in (*kind.given, *kind.derived):
                raise ComponentError(f"{entry.title} takes no argument '{name}'")
            if name in accepted:
                arguments.setdefault(name, value)
        for name in kind.derived:
            if name in accepted and arguments.get(name) == AUTO:
                if name not in (given or {}):
                    raise ComponentError(
                        f"{entry.title}: '{name}: auto' needs data to read it from"
                    )
                arguments[name] = (given or {})[name]
        for option in own:
            if option.required and option.name not in arguments:
                what = f"{entry.kind} '{entry.name}'"
                raise ComponentError(f"{what} needs the option '{option.name}': {option.type_text}")
        return construct(entry, arguments)

    def _list_own_options(self, name: str, what: str) -> tuple[Option, ...]:
        target = registry().entry(self.kind, name).load()
        if not issubclass(target, self.interface):
            interface = _with_article(self.interface.__name__)
            raise PluginError(f"{what} is not {interface}")
        found = self.list_options(target, KINDS[self.kind].given)
        if any(option.name == "name" for option in found):
            raise PluginError(
                f"{what} has an option called 'name', which is reserved; its author has to rename "
                "it"
            )
        return found


def _to_mapping(node: Node) -> MappingNode:
    """Return the mapping that a bare name means: `path: ot` is `path: {name: ot}`."""
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        return MappingNode(node.mark, {"name": node}, key=node.key)
    if not isinstance(node, MappingNode):
        raise TypeMismatch
    return node


def _known_name(node: Node) -> str | None:
    """Return the name, or None if it is not text, `???` or an unresolved reference."""
    text = node.value if isinstance(node, ScalarNode) else None
    return text if isinstance(text, str) and text != MISSING and not has_reference(node) else None


def _is_automatic(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value == AUTO


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0].upper() in "AEIOU" else f"a {noun}"
