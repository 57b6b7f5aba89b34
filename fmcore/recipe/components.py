"""The types with options of their own: components, chosen by `name`, and settings, by dataclass."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from fmcore import plugins
from fmcore.errors import ComponentError, FmcoreError, PluginError
from fmcore.kinds import KINDS
from fmcore.plugins.construct import construct
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import MISSING, Block, Items, Leaf, Mark, Node, from_python, plain
from fmcore.recipe.scalars import Text
from fmcore.recipe.schema import Option, build_options, options
from fmcore.recipe.signatures import REQUIRED
from fmcore.recipe.types import Misfit, Reading, Type, is_open
from fmcore.suggest import did_you_mean

__all__ = ["Component", "Settings", "default_node", "read_options"]

_WORDS = {"data": "data set"}


@final
@dataclass(frozen=True)
class Settings(Type):
    """A dataclass: a mapping of its fields."""

    target: type

    text = "a mapping of options"
    many = "mappings of options"

    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        if isinstance(node, Leaf) and isinstance(node.value, self.target):
            return node  # made in Python
        if not isinstance(node, Block):
            raise Misfit
        inside = reading.trial()
        read = replace(node, entries=read_options(options(self.target), node, at, at, inside))
        if inside.whole:
            _try(self, read, at, inside)
        reading.take(inside)
        return read

    def build(self, node: Node) -> Any:
        if not isinstance(node, Block):
            return node.value if isinstance(node, Leaf) else None
        return self.target(**build_options(self.target, node))


@final
@dataclass(frozen=True)
class Component(Type):
    """An interface: a registered component's name, or a mapping of `name` and its options."""

    interface: Any

    @property
    def kind(self) -> str:
        """The kind of component, a key of KINDS."""
        return str(self.interface.kind)

    @property
    def text(self) -> str:
        word = _article(_WORDS.get(self.kind, self.kind))
        return f"{word} (its name, or a mapping with `name`)"

    @property
    def many(self) -> str:
        return f"{_WORDS.get(self.kind, self.kind)}s (names, or mappings with `name`)"

    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        if isinstance(node, Leaf) and isinstance(node.value, self.interface):
            return node  # made in Python
        block = _as_block(node)
        if "name" not in block.entries:
            known = ", ".join(plugins.registry().names(self.kind)) or "none"
            reading.fault(node, at, f"{at} needs a name; installed: {known}")
            return node
        name = Text().read(block.entries["name"], f"{at}.name", reading)
        block = replace(block, entries={**block.entries, "name": name})
        if not _is_known(name):
            return block
        return self._with_options(block, str(plain(name)), at, reading)

    def _with_options(self, block: Block, name: str, at: str, reading: Reading) -> Block:
        what = f"{self.kind} '{name}'"
        entries = dict(block.entries)
        name_node = entries.pop("name")
        try:
            own = self._options(name, what)
        except PluginError as error:
            message = str(error) if f"'{name}'" in str(error) else f"{what}: {error}"
            reading.fault(name_node, at, message)
            return block
        inside = reading.trial()
        read = read_options(own, replace(block, entries=entries), what, at, inside)
        done = replace(block, entries={"name": name_node, **read})
        if inside.whole and not KINDS[self.kind].given:
            _try(self, done, what, inside)
        reading.take(inside)
        return done

    def build(self, node: Node, given: Mapping[str, Any] | None = None) -> Any:
        if not isinstance(node, Block):
            return node.value if isinstance(node, Leaf) else None
        entry = plugins.registry().entry(self.kind, _name_of(node))
        target = entry.load()
        arguments = build_options(target, node)
        accepted = {option.name for option in options(target)}
        for name, value in (given or {}).items():
            if name not in accepted and name not in KINDS[self.kind].given:
                raise ComponentError(f"{entry.title} takes no argument '{name}'")
            if name in accepted:
                arguments.setdefault(name, value)
        return construct(entry, arguments)

    def _options(self, name: str, what: str) -> tuple[Option, ...]:
        target = plugins.registry().entry(self.kind, name).load()
        if not issubclass(target, self.interface):
            raise PluginError(f"{what} is not {_article(self.interface.__name__)}")
        found = options(target, KINDS[self.kind].given)
        if any(option.name == "name" for option in found):
            raise PluginError(
                f"{what} has an option called 'name', which is taken; its author has to rename it"
            )
        return found


def read_options(
    own: Iterable[Option], block: Block, what: str, at: str, reading: Reading, noun: str = "option"
) -> dict[str, Node]:
    """The options `own` in their order, as `block` gives them, completed by their defaults.

    Unknown and missing ones are told to `reading`; `what` is how messages call the thing that has
    the options.
    """
    known = {option.name: option for option in own}
    for key, child in block.entries.items():
        if key not in known:
            hint = did_you_mean(key, known) or f"; {noun}s: {', '.join(known) or 'none'}"
            reading.faults.add(child.origin, f"{what} has no {noun} '{key[:60]}'{hint}")
    default = Mark("default" if noun == "section" else f"default of {what}")
    read: dict[str, Node] = {}
    for name, option in known.items():
        try:
            node = _completed(option, block.entries.get(name), default, reading)
        except PluginError as error:
            reading.faults.add(block.mark, f"{what}: {error}")
            continue
        if node is not None:
            read[name] = option.type.read(node, f"{at}.{name}" if at else name, reading)
        elif option.required:
            reading.faults.add(block.mark, f"{what} needs the {noun} '{name}': {option.type_text}")
    return read


def _completed(option: Option, node: Node | None, mark: Mark, reading: Reading) -> Node | None:
    """The option's node on top of its default: the lowest layer of every recipe."""
    if option.default is REQUIRED:
        return node
    if node is None:
        return default_node(option.default, mark) if reading.defaults else None
    mergeable = isinstance(node, Block) or (isinstance(node, Leaf) and isinstance(node.value, str))
    return merge(default_node(option.default, mark), node) if mergeable else node


def default_node(value: Any, mark: Mark, *, literal: bool = True) -> Node:
    """The nodes of a Python value, such as a default; components and settings become mappings."""
    if isinstance(value, Mapping):
        entries = {str(k): default_node(v, mark, literal=literal) for k, v in value.items()}
        return Block(mark, entries)
    if isinstance(value, list | tuple):
        return Items(mark, tuple(default_node(v, mark, literal=literal) for v in value))
    if isinstance(value, type) or not (_is_component(value) or dataclasses.is_dataclass(value)):
        return from_python(value, mark, literal=literal)
    names = [option.name for option in options(type(value))]
    entries = {name: default_node(_kept(value, name), mark) for name in names}
    if _is_component(value):
        return Block(mark, {"name": Leaf(mark, _registered_name(value), literal=True), **entries})
    return Block(mark, entries)


def _is_component(value: Any) -> bool:
    return getattr(type(value), "kind", None) in KINDS


def _kept(value: Any, option: str) -> Any:
    """The option as the component keeps it."""
    if not hasattr(value, option):
        raise PluginError(
            f"{type(value).__name__} is the default of an option, but cannot be written down as it "
            f"keeps no attribute '{option}'; its author has to keep it"
        )
    return getattr(value, option)


def _registered_name(value: Any) -> str:
    entry = plugins.entry_of(value)
    if entry is None:
        raise PluginError(
            f"{type(value).__name__} is the default of an option, but no recipe can name it; "
            f"its author has to register it by the hook {KINDS[type(value).kind].hook}"
        )
    same = [e for e in plugins.registry().entries(entry.kind) if e.name == entry.name]
    return entry.name if len(same) == 1 else entry.qualified


def _as_block(node: Node) -> Block:
    if isinstance(node, Leaf) and isinstance(node.value, str):
        return Block(node.mark, {"name": node}, key=node.key)
    if not isinstance(node, Block):
        raise Misfit
    return node


def _is_known(name: Node) -> bool:
    """Whether the name was read as text, and is neither `???` nor `${...}`."""
    text = name.value if isinstance(name, Leaf) else None
    return isinstance(text, str) and text != MISSING and not is_open(name)


def _name_of(block: Block) -> str:
    name = block.entries["name"]
    return str(name.value) if isinstance(name, Leaf) else ""


def _try(made: Type, block: Block, what: str, reading: Reading) -> None:
    """Build it once: its constructor may object to what no type can express."""
    try:
        made.build(block)
    except FmcoreError as error:
        message = str(error) if what in str(error) else f"{what}: {error}"
        reading.faults.add(_culprit(block, str(error)), message)
        reading.faults.cause = error


def _culprit(block: Block, message: str) -> Mark:
    """Where the option stands that a constructor's message speaks of, or else the whole."""
    for name, node in block.entries.items():
        written = not node.mark.source.startswith("default")
        if name != "name" and written and re.search(rf"\b{re.escape(name)}\b", message):
            return node.mark
    return block.entries.get("name", block).mark


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0].upper() in "AEIOU" else f"a {noun}"
