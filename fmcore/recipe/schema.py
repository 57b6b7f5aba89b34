"""The schema of a component, read from its constructor: the signature is the only place where
options are declared.

For the plugin system: `prepared(target, options, what)` checks the options of a call from Python
and builds those that are given by name, and `check_options` does the first half alone;
`options(target)` lists what there is to set.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import pathlib
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, Union, final, get_args, get_origin

from fmcore.errors import ComponentError, FmcoreError, PluginError, did_you_mean
from fmcore.recipe.containers import Bounded, ListOf, MapOf, OneOf, TupleOf, bounds_of
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import MISSING, Block, Items, Leaf, Mark, Node, from_python, plain
from fmcore.recipe.signatures import REQUIRED, parameters
from fmcore.recipe.types import (
    Choice,
    FilePath,
    Flag,
    Misfit,
    Null,
    Number,
    Reading,
    Text,
    Type,
    Whole,
    is_open,
)
from fmcore.registry import entry_of, registry
from fmcore.registry.construct import construct
from fmcore.registry.kinds import KINDS

__all__ = [
    "Component",
    "Option",
    "Settings",
    "check_options",
    "default_node",
    "options",
    "prepared",
    "read_options",
    "type_of",
]


@dataclass(frozen=True)
class Option:
    """One option of a component or a section.

    `default` is the Python value, REQUIRED where there is none; `given` ones are filled in by the
    framework where a recipe leaves them out.
    """

    name: str
    annotation: Any
    type: Type
    default: Any = REQUIRED
    given: bool = False

    @property
    def required(self) -> bool:
        """Whether a recipe has to say it."""
        return self.default is REQUIRED and not self.given

    @property
    def type_text(self) -> str:
        """What values it takes, in words: `a number > 0`."""
        return self.type.text


def options(target: type, given: Sequence[str] = ()) -> tuple[Option, ...]:
    """The options of `target(...)`, in the order of its signature.

    Raises PluginError, addressed to the author, where the signature cannot be a schema: `**kwargs`,
    an argument without a type, or a type that no recipe could write.
    """
    return _options(target, tuple(given))


@cache
def _options(target: type, given: tuple[str, ...]) -> tuple[Option, ...]:
    return tuple(
        Option(
            p.name, p.annotation, type_of(p.annotation, target, p.name), p.default, p.name in given
        )
        for p in parameters(target)
    )


def check_options(target: type, options: Mapping[str, Any], what: str) -> list[str]:
    """What is wrong with calling `target(**options)`, one message each; `what` is, say, `path
    'ot'`.

    Values may be Python's own (components, tuples, pathlib paths) or what a recipe would say
    (names, mappings, lists).
    """
    return [message for _, message in _read(target, options, what)[1].faults.found]


def prepared(target: type, options: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The arguments for `target(...)`: `options` checked, components given by name or mapping
    built.

    Raises ComponentError with all messages of `check_options`.
    """
    read, reading = _read(target, options, what)
    if len(reading.faults):
        told = (message for _, message in reading.faults.found)
        raise ComponentError("\n".join(m if m.startswith(what) else f"{what}: {m}" for m in told))
    return build_options(target, read)


def build_options(target: type, block: Block) -> dict[str, Any]:
    """The Python values of the options in a block that was read."""
    types = {option.name: option.type for option in options(target)}
    return {name: types[name].build(node) for name, node in block.entries.items() if name in types}


def _read(target: type, given: Mapping[str, Any], what: str) -> tuple[Block, Reading]:

    reading = Reading(construct=False, defaults=False)
    block = Block(_PYTHON, {k: from_python(v, _PYTHON) for k, v in given.items()})
    read = read_options(options(target), block, what, "", reading)
    for key in reading.missing:
        reading.faults.add(_PYTHON, f"{what}: {key} must be given")
    return Block(_PYTHON, read), reading


_PYTHON = Mark("Python")


_SCALARS: dict[Any, Type] = {
    bool: Flag(),
    int: Whole(),
    float: Number(),
    str: Text(),
    None: Null(),
    types.NoneType: Null(),
    pathlib.Path: FilePath(),
}

_SUPPORTED = (
    "int, float, bool, str, None, pathlib.Path, Literal, a union of these, list[T], tuple[T, ...], "
    "tuple[T, U], dict[str, T], a dataclass, or an interface of fmcore"
)


def type_of(annotation: Any, target: type, option: str) -> Type:
    """The type behind an annotation of `target`'s argument `option`.

    Raises PluginError, addressed to the author, for annotations that a recipe has no values for.
    """
    found = _type_of(annotation)
    if found is None:
        raise PluginError(
            f"{target.__module__}:{target.__qualname__}: option '{option}' has the type "
            f"{_named(annotation)}, which a recipe cannot write; its author has to use {_SUPPORTED}"
        )
    return found


def _type_of(annotation: Any) -> Type | None:
    try:
        if annotation in _SCALARS:
            return _SCALARS[annotation]
    except TypeError:  # unhashable: no type at all
        return None
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return _class(annotation)
    if origin is Literal:
        return Choice(arguments)
    if origin is Annotated:
        inner, bounds = _type_of(arguments[0]), bounds_of(arguments[1:])
        return Bounded(inner, bounds) if inner and bounds else inner
    return _container(origin, arguments)


def _container(origin: Any, arguments: tuple[Any, ...]) -> Type | None:
    if origin in (dict, collections.abc.Mapping):
        value = _type_of(arguments[1])
        return MapOf(value) if value and arguments[0] is str else None
    parts = [_type_of(a) for a in arguments if a is not Ellipsis]
    known = tuple(part for part in parts if part is not None)
    if len(known) < len(parts) or not known:
        return None
    if origin in (Union, types.UnionType):
        return OneOf(known)
    if origin is list:
        return ListOf(known[0])
    if origin is tuple:
        return ListOf(known[0], tuple) if arguments[-1] is Ellipsis else TupleOf(known)
    return ListOf(known[0], tuple) if origin is collections.abc.Sequence else None


def _class(annotation: Any) -> Type | None:

    if isinstance(annotation, typing.NewType):
        return _type_of(annotation.__supertype__)
    if type(annotation).__name__ == "TypeAliasType":  # `type X = ...` of Python 3.12
        return _type_of(annotation.__value__)
    if not isinstance(annotation, type):
        return None
    if getattr(annotation, "kind", None) in KINDS:
        return Component(annotation)
    return Settings(annotation) if dataclasses.is_dataclass(annotation) else None


def _named(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)


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
            known = ", ".join(registry().names(self.kind)) or "none"
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
        entry = registry().entry(self.kind, _name_of(node))
        target = entry.load()
        arguments = build_options(target, node)
        accepted = {option.name for option in options(target)}
        for name, value in (given or {}).items():
            if name not in accepted and name not in KINDS[self.kind].given:
                raise ComponentError(f"{entry.title} takes no argument '{name}'")
            if name in accepted:
                arguments.setdefault(name, value)
        checked = prepared(target, arguments, f"{entry.kind} '{entry.name}'")
        return construct(entry, checked)

    def _options(self, name: str, what: str) -> tuple[Option, ...]:
        target = registry().entry(self.kind, name).load()
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
    if option.default is REQUIRED or option.given:  # the framework fills in what is given
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
    entry = entry_of(value)
    if entry is None:
        raise PluginError(
            f"{type(value).__name__} is the default of an option, but no recipe can name it; "
            f"its author has to register it by the hook {KINDS[type(value).kind].hook}"
        )
    same = [e for e in registry().entries(entry.kind) if e.name == entry.name]
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
