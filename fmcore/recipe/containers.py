"""The types made of other types: lists, tuples, mappings, unions and ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import annotated_types

from fmcore.interfaces.options import COMPARISONS
from fmcore.recipe.nodes import MappingNode, Node, ScalarNode, SequenceNode, to_python
from fmcore.recipe.types import Null, Type, TypeMismatch, Validation, has_reference

__all__ = ["Bounded", "ListOf", "MapOf", "OneOf", "TupleOf", "collect_bounds"]


def _require_items(node: Node) -> tuple[Node, ...]:
    if isinstance(node, SequenceNode):
        return node.items
    if isinstance(node, ScalarNode) and isinstance(node.value, str | int | float):
        # str() of an integer of thousands of digits raises
        huge = isinstance(node.value, int) and abs(node.value) >= 10**60
        hide = huge or node.reference is not None
        raise TypeMismatch("" if hide else f"; a list is written [{str(node.value)[:60]}]")
    if (
        isinstance(node, MappingNode)
        and node.entries
        and all(key.isdigit() for key in node.entries)
    ):
        raise TypeMismatch("; there is no item of that index to change")
    raise TypeMismatch


@final
@dataclass(frozen=True)
class ListOf(Type):
    """`list[T]`, `tuple[T, ...]`, `Sequence[T]`: any number of values of one type."""

    item: Type
    make: Callable[[Iterable[Any]], Sequence[Any]] = list

    @property
    def singular(self) -> str:
        return f"a list of {self.item.plural}"

    @property
    def plural(self) -> str:
        return f"lists of {self.item.plural}"

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        if hint := self.item.hint_in_list(node):
            raise TypeMismatch(hint)
        items = _require_items(node)
        checked = (self.item.validate(v, f"{at}.{i}", validation) for i, v in enumerate(items))
        return SequenceNode(node.mark, tuple(checked), key=node.key)

    def build(self, node: Node) -> Any:
        return self.make(self.item.build(child) for child in _require_items(node))


@final
@dataclass(frozen=True)
class TupleOf(Type):
    """`tuple[T, U]`: as many values as types, each of its type."""

    parts: tuple[Type, ...]

    @property
    def singular(self) -> str:
        if len({part.singular for part in self.parts}) == 1:
            return f"a list of {len(self.parts)} {self.parts[0].plural}"
        return f"a list of {', '.join(part.singular for part in self.parts)}"

    @property
    def plural(self) -> str:
        return f"items, each {self.singular}"

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        items = _require_items(node)
        if len(items) != len(self.parts):
            raise TypeMismatch(f" of {len(items)}")
        pairs = zip(self.parts, items, strict=True)
        checked = (part.validate(v, f"{at}.{i}", validation) for i, (part, v) in enumerate(pairs))
        return SequenceNode(node.mark, tuple(checked), key=node.key)

    def build(self, node: Node) -> tuple[Any, ...]:
        pairs = zip(self.parts, _require_items(node), strict=True)
        return tuple(part.build(child) for part, child in pairs)


@final
@dataclass(frozen=True)
class MapOf(Type):
    """`dict[str, T]`: any keys, values of one type."""

    item: Type

    @property
    def singular(self) -> str:
        return f"a mapping of names to {self.item.plural}"

    @property
    def plural(self) -> str:
        return f"mappings of names to {self.item.plural}"

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        if not isinstance(node, MappingNode):
            raise TypeMismatch
        entries = node.entries.items()
        checked = {key: self.item.validate(v, f"{at}.{key}", validation) for key, v in entries}
        return replace(node, entries=checked)

    def build(self, node: Node) -> dict[str, Any]:
        entries = node.entries if isinstance(node, MappingNode) else {}
        return {key: self.item.build(child) for key, child in entries.items()}


@final
@dataclass(frozen=True)
class OneOf(Type):
    """`T | U`: the first type that fits; mostly `T | None`."""

    types: tuple[Type, ...]

    @property
    def singular(self) -> str:
        names = [t.singular for t in self._others]
        return " or ".join(names if len(names) == len(self.types) else [*names, "null"])

    @property
    def plural(self) -> str:
        return f"items, each {self.singular}"

    @property
    def _others(self) -> list[Type]:
        return [t for t in self.types if not isinstance(t, Null)]

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        nullable = len(self._others) < len(self.types)
        if nullable and isinstance(node, ScalarNode) and node.value is None:
            return replace(node, literal=True)
        if len(self._others) == 1:  # its own errors are more precise than "expected T or null"
            return self._others[0].check(node, at, validation)
        found = self._find_fitting(node, at, validation)
        if found is None:
            raise TypeMismatch
        fork, _, checked = found
        validation.merge(fork)
        return checked

    def list_keys(self, node: Node | None) -> Iterator[str]:
        for t in self._others:
            yield from t.list_keys(node)

    def build(self, node: Node) -> Any:
        if isinstance(node, ScalarNode) and node.value is None:
            return None
        if len(self._others) == 1:
            return self._others[0].build(node)
        found = self._find_fitting(node, "", Validation(construct=False))
        return None if found is None else found[1].build(node)

    def _find_fitting(
        self, node: Node, at: str, validation: Validation
    ) -> tuple[Validation, Type, Node] | None:
        """Return the first type that accepts the node: as YAML reads it, or else as it was typed.

        Text accepts everything typed, so that `int | str` would otherwise never be an integer.
        """
        for candidate in (replace(node, text=None), node):
            for t in self._others:
                fork = validation.fork()
                checked = t.validate(candidate, at, fork)
                if not len(fork.diagnostics):
                    return fork, t, replace(checked, text=node.text)
        return None


@final
@dataclass(frozen=True)
class Bounded(Type):
    """`Annotated[T, Gt(0), ...]`: a type with bounds of the package annotated_types.

    A number with bounds is finite, as in fmcore.interfaces.options.
    """

    inner: Type
    bounds: tuple[annotated_types.BaseMetadata, ...]

    @property
    def singular(self) -> str:
        return f"{self.inner.singular} {self._conditions}"

    @property
    def plural(self) -> str:
        return f"{self.inner.plural} {self._conditions}"

    @property
    def _conditions(self) -> str:
        return " and ".join(_describe_bound(bound) for bound in self.bounds)

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        checked = self.inner.check(node, at, validation)
        if has_reference(checked):  # inside a union: checked again once it is resolved
            return checked
        value = to_python(checked)
        if not all(_holds(bound, value) for bound in self.bounds):
            raise TypeMismatch
        if isinstance(value, float) and math.isinf(value):
            raise TypeMismatch("; it has to be finite")
        return checked

    def build(self, node: Node) -> Any:
        return self.inner.build(node)


def collect_bounds(metadata: Iterable[Any]) -> tuple[annotated_types.BaseMetadata, ...]:
    """Return the bounds in an annotation's metadata; groups such as Interval and Len are split."""
    found: list[annotated_types.BaseMetadata] = []
    for item in metadata:
        if isinstance(item, annotated_types.GroupedMetadata):
            found += collect_bounds(item)
        elif isinstance(item, annotated_types.MinLen) and item.min_length == 0:
            continue  # the default of Len, which excludes nothing
        elif isinstance(item, annotated_types.BaseMetadata):
            found.append(item)
    return tuple(found)


def _describe_bound(bound: annotated_types.BaseMetadata) -> str:
    for kind, (attribute, sign, _) in COMPARISONS.items():
        if isinstance(bound, kind):
            return f"{sign} {getattr(bound, attribute)}"
    if isinstance(bound, annotated_types.MultipleOf):
        return f"in multiples of {bound.multiple_of}"
    if isinstance(bound, annotated_types.MinLen):
        return f"of length at least {bound.min_length}"
    if isinstance(bound, annotated_types.MaxLen):
        return f"of length at most {bound.max_length}"
    if isinstance(bound, annotated_types.Predicate):
        return f"for which {getattr(bound.func, '__name__', 'its predicate')} holds"
    return ""


def _holds(bound: annotated_types.BaseMetadata, value: Any) -> bool:
    # A bound on `int | str` applies to the values that have an order or a length.
    number = isinstance(value, int | float)
    for kind, (attribute, _, holds) in COMPARISONS.items():
        if isinstance(bound, kind):
            return not number or holds(value, getattr(bound, attribute))
    if isinstance(bound, annotated_types.MultipleOf):
        return not number or value % bound.multiple_of == 0
    if isinstance(bound, annotated_types.MinLen):
        return number or value is None or len(value) >= bound.min_length
    if isinstance(bound, annotated_types.MaxLen):
        return number or value is None or len(value) <= bound.max_length
    if isinstance(bound, annotated_types.Predicate):
        return bool(bound.func(value))
    return True
