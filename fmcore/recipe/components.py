"""The types of options that have options themselves: components and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, final

from fmcore.errors import ComponentError, PluginError
from fmcore.recipe.nodes import MISSING, MappingNode, Node, ScalarNode, to_python
from fmcore.recipe.options import (
    ListOptions,
    Option,
    build_options,
    construct_once,
    list_keys,
    missing_space,
    missing_space_in_key,
    validate_options,
)
from fmcore.recipe.typed_words import unclosed
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
    """A dataclass: a mapping of its fields.

    A class may name one of its fields in `shorthand`: a single value is then the value of that
    field, as in `teacher: runs/a` for `teacher: {run: runs/a}`.
    """

    target: type
    list_options: ListOptions

    @property
    def singular(self) -> str:
        if self._shorthand:
            return f"its `{self._shorthand}`, a mapping of options"
        return "a mapping of options"

    @property
    def plural(self) -> str:
        return "mappings of options"

    @property
    def _shorthand(self) -> str | None:
        return getattr(self.target, "shorthand", None)

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        if isinstance(node, ScalarNode) and isinstance(node.value, self.target):
            return node  # an instance given in Python
        if self._shorthand and isinstance(node, ScalarNode) and isinstance(node.value, str):
            node = MappingNode(node.mark, {self._shorthand: node}, key=node.key)
        if not isinstance(node, MappingNode):
            raise TypeMismatch(missing_space(node))
        if self._shorthand:
            node = _with_shorthand(node, self._shorthand)
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

    def list_keys(self, node: Node | None) -> Iterator[str]:
        yield from list_keys(self.list_options(self.target, ()), node)


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
        noun = self._noun if self.kind == "guidance" else f"{self._noun}s"
        return f"{noun} (names, or mappings with `name`)"

    def hint_in_list(self, node: Node) -> str:
        if not isinstance(node, MappingNode) or any(key.isdigit() for key in node.entries):
            return ""
        unnamed = "" if "name" in node.entries else "name: NAME, "
        given = ", ".join(f"{key}: {_short(value)}" for key, value in node.entries.items())
        known = ", ".join(registry().names(self.kind))
        return f"; a list is written [{{{unnamed}{given}}}], with a NAME of {known}"

    @property
    def _noun(self) -> str:
        return "data set" if self.kind == "data" else self.kind

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        if isinstance(node, ScalarNode) and isinstance(node.value, self.interface):
            return node  # an instance given in Python
        if unclosed(node):
            raise TypeMismatch
        block = _to_mapping(node)
        if "name" not in block.entries:
            known = ", ".join(registry().names(self.kind)) or "none"
            hints = (missing_space_in_key(key, child) for key, child in block.entries.items())
            hint = next(filter(None, hints), "")
            validation.add_error(node, at, f"{at} needs a name{hint}; installed: {known}")
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

    def list_keys(self, node: Node | None) -> Iterator[str]:
        named = node.entries.get("name") if isinstance(node, MappingNode) else node
        name = None if named is None else _known_name(named)
        if name is not None:
            with suppress(PluginError):  # an unknown component, which has a message of its own
                yield from list_keys(self._list_own_options(name, self.kind), node)

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


def _with_shorthand(node: MappingNode, option: str) -> MappingNode:
    """Return the mapping with a single value that was merged into it as its `option`.

    Merging keeps single values as `name`, since most are names of components.  Of a single value
    and the option, the one that was merged last counts.
    """
    if "name" not in node.entries:
        return node
    # the order of the entries is that of merging
    last = [key for key in node.entries if key in ("name", option)][-1]
    others = {k: v for k, v in node.entries.items() if k not in ("name", option)}
    return replace(node, entries={option: node.entries[last], **others})


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


def _short(node: Node) -> str:
    """Return a number as it is, and an ellipsis for anything else, which may be long or secret."""
    number = isinstance(node, ScalarNode) and isinstance(node.value, float | int)
    return str(to_python(node))[:20] if number and not has_reference(node) else "..."


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0].upper() in "AEIOU" else f"a {noun}"
