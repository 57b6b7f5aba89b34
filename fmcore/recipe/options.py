"""The options of a component or a section: validate them against their types, build their values.

Which options a class has is read from its constructor by schema.py.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fmcore.errors import FmcoreError, PluginError, did_you_mean
from fmcore.recipe.catalog import current_folder
from fmcore.recipe.merging import merge
from fmcore.recipe.moved import moved
from fmcore.recipe.nodes import (
    MappingNode,
    Mark,
    Node,
    ScalarNode,
    SequenceNode,
    from_python,
    redact,
)
from fmcore.recipe.signatures import REQUIRED, read_parameters
from fmcore.recipe.types import Type, Validation
from fmcore.registry import entry_of, registry
from fmcore.registry.kinds import KINDS

__all__ = [
    "ListOptions",
    "Option",
    "build_options",
    "construct_once",
    "list_keys",
    "missing_space",
    "missing_space_in_key",
    "to_node",
    "validate_options",
]


MAX_KEYS = 3


@dataclass(frozen=True)
class Option:
    """One option of a component or a section.

    `default` is the Python value, REQUIRED where there is none; the framework fills in `given`
    options where a recipe omits them.
    """

    name: str
    annotation: Any
    type: Type
    default: Any = REQUIRED
    given: bool = False

    @property
    def required(self) -> bool:
        """Whether a recipe has to set it."""
        return self.default is REQUIRED and not self.given

    @property
    def type_text(self) -> str:
        """The values that it takes: `a number > 0`."""
        return self.type.singular


ListOptions = Callable[[type, Sequence[str]], tuple[Option, ...]]
"""List the options of `target(...)`, of which the second argument names the given ones."""


def validate_options(
    own: Iterable[Option],
    block: MappingNode,
    what: str,
    at: str,
    validation: Validation,
    noun: str = "option",
) -> dict[str, Node]:
    """Return the options `own` in their order, with the values in `block` and their defaults.

    Unknown and missing options are added to `validation`.  `what` is how messages call the thing
    that has the options, `at` its key.
    """
    known = {option.name: option for option in own}
    for key, child in block.entries.items():  # unknown ones first: a misspelt key is also missing
        if key not in known:
            hint = missing_space_in_key(key, child) or moved(what, key)
            hint = hint or _hint_inside(key, known, block, at) or did_you_mean(key, known)
            hint = hint or f"; {noun}s: {', '.join(known) or 'none'}"
            validation.diagnostics.add(child.origin, f"{what} has no {noun} '{key[:60]}'{hint}")
    # a relative path as default is relative to the current folder, as in Python
    source = "default" if noun == "section" else f"default of {what}"
    default = Mark(source, folder=current_folder())
    checked: dict[str, Node] = {}
    for name, option in known.items():
        try:
            node = _complete(option, block.entries.get(name), default, validation)
        except PluginError as error:
            validation.diagnostics.add(block.mark, f"{what}: {error}")
            continue
        if node is not None:
            key = f"{at}.{name}" if at else name
            checked[name] = option.type.validate(node, key, validation)
        elif option.required:
            message = f"{what} needs the {noun} '{name}': {option.type_text}"
            validation.diagnostics.add(block.mark, message)
    return checked


def _hint_inside(key: str, own: Mapping[str, Option], block: MappingNode, at: str) -> str:
    """Return `; did you mean 'train.steps'?` if options of these options are called `key`."""
    if key == "name":  # every component has one
        return ""
    found = [inner for inner in list_keys(own.values(), block) if inner.endswith(f".{key}")]
    names = [f"'{at}.{inner}'" if at else f"'{inner}'" for inner in found]
    # many options share a name such as `count`, and a long list is no hint
    return f"; did you mean {' or '.join(names)}?" if 0 < len(names) <= MAX_KEYS else ""


def list_keys(own: Iterable[Option], node: Node | None) -> Iterator[str]:
    """Yield the dotted keys of options and of the options in their values."""
    entries = node.entries if isinstance(node, MappingNode) else {}
    for option in own:
        yield option.name
        child = entries.get(option.name)
        if child is None and option.default is not REQUIRED and not option.given:
            child = to_node(option.default, Mark("default"))
        yield from (f"{option.name}.{inner}" for inner in option.type.list_keys(child))


def missing_space_in_key(key: str, child: Node) -> str:
    """Return a hint for a key such as `steps:3` without a value, '' for others."""
    is_null = isinstance(child, ScalarNode) and child.value is None
    return missing_space(ScalarNode(child.mark, key)) if is_null else ""


def missing_space(node: Node) -> str:
    """Return a hint for text such as `steps:3`, which YAML does not read as a mapping."""
    text = node.value if isinstance(node, ScalarNode) else None
    pair = re.fullmatch(r"(\w+):(\S+)", text) if isinstance(text, str) else None
    return f"; write a space after the colon: {pair[1]}: {pair[2]}" if pair else ""


def _complete(option: Option, node: Node | None, mark: Mark, validation: Validation) -> Node | None:
    """Return the option's node merged into its default: the lowest layer of every recipe."""
    if option.default is REQUIRED or option.given:  # the framework fills in given options
        return node
    if node is None:
        return to_node(option.default, mark) if validation.defaults else None
    if isinstance(node, MappingNode) and not isinstance(option.default, Mapping):
        # `{}` clears what a recipe inherited, and then the options of the default count again
        node = replace(node, clears=False)
    is_text = isinstance(node, ScalarNode) and isinstance(node.value, str)
    if isinstance(node, MappingNode) or is_text:  # text may name the default's component
        return merge(to_node(option.default, mark), node)
    return node


def build_options(own: Iterable[Option], block: MappingNode) -> dict[str, Any]:
    """Return the Python values of the options in a validated block."""
    types = {option.name: option.type for option in own}
    return {name: types[name].build(node) for name, node in block.entries.items() if name in types}


def construct_once(made: Type, block: MappingNode, what: str, validation: Validation) -> None:
    """Build a value once, to add what its constructor refuses and no type expresses."""
    try:
        made.build(block)
    except FmcoreError as error:
        text = redact(str(error), block)
        mark = _find_culprit(block, text)
        validation.diagnostics.add(mark, text if what in text else f"{what}: {text}")
        validation.diagnostics.cause = error


def _find_culprit(block: MappingNode, message: str) -> Mark:
    """Return the place of the option that a constructor's message names, or else of the whole."""
    for name, node in block.entries.items():
        written = not node.mark.source.startswith("default")
        if name != "name" and written and re.search(rf"\b{re.escape(name)}\b", message):
            return node.mark
    return block.entries.get("name", block).mark


def to_node(value: Any, mark: Mark, *, literal: bool = True) -> Node:
    """Return the nodes of a Python value, such as a default.

    Components and settings become mappings of their options.
    """
    if isinstance(value, Mapping):
        entries = {str(k): to_node(v, mark, literal=literal) for k, v in value.items()}
        return MappingNode(mark, entries)
    if isinstance(value, list | tuple):
        return SequenceNode(mark, tuple(to_node(v, mark, literal=literal) for v in value))
    if isinstance(value, type) or not (_is_component(value) or dataclasses.is_dataclass(value)):
        return from_python(value, mark, literal=literal)
    names = [parameter.name for parameter in read_parameters(type(value))]
    entries = {name: to_node(_read_attribute(value, name), mark) for name in names}
    if _is_component(value):
        name = ScalarNode(mark, _registered_name(value), literal=True)
        return MappingNode(mark, {"name": name, **entries})
    return MappingNode(mark, entries)


def _is_component(value: Any) -> bool:
    return getattr(type(value), "kind", None) in KINDS


def _read_attribute(value: Any, option: str) -> Any:
    """Return the option as the component stores it."""
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
