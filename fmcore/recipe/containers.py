"""The types made of other types: lists, tuples, mappings, alternatives and ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import annotated_types

from fmcore.recipe.nodes import Block, Items, Leaf, Node, plain
from fmcore.recipe.scalars import Null
from fmcore.recipe.types import Misfit, Reading, Type, is_open

__all__ = ["Bounded", "ListOf", "MapOf", "OneOf", "TupleOf", "bounds_of"]


def _items(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Items):
        return node.items
    if isinstance(node, Leaf) and isinstance(node.value, str | int | float):
        huge = isinstance(node.value, int) and abs(node.value) >= 10**60  # too long to write out
        raise Misfit("" if huge else f"; a list is written [{str(node.value)[:60]}]")
    if isinstance(node, Block) and node.entries and all(key.isdigit() for key in node.entries):
        raise Misfit("; there is no item of that index to change")
    raise Misfit


@final
@dataclass(frozen=True)
class ListOf(Type):
    """`list[T]`, `tuple[T, ...]`, `Sequence[T]`: any number of values of one type."""

    item: Type
    make: Callable[[Iterable[Any]], Sequence[Any]] = list

    @property
    def text(self) -> str:
        return f"a list of {self.item.many}"

    @property
    def many(self) -> str:
        return f"lists of {self.item.many}"

    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        read = (self.item.read(v, f"{at}.{i}", reading) for i, v in enumerate(_items(node)))
        return Items(node.mark, tuple(read), key=node.key)

    def build(self, node: Node) -> Any:
        return self.make(self.item.build(child) for child in _items(node))


@final
@dataclass(frozen=True)
class TupleOf(Type):
    """`tuple[T, U]`: that many values, each of its type."""

    parts: tuple[Type, ...]

    @property
    def text(self) -> str:
        if len({part.text for part in self.parts}) == 1:
            return f"a list of {len(self.parts)} {self.parts[0].many}"
        return f"a list of {', '.join(part.text for part in self.parts)}"

    @property
    def many(self) -> str:
        return f"items, each {self.text}"

    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        items = _items(node)
        if len(items) != len(self.parts):
            raise Misfit(f" of {len(items)}")
        pairs = zip(self.parts, items, strict=True)
        read = (part.read(v, f"{at}.{i}", reading) for i, (part, v) in enumerate(pairs))
        return Items(node.mark, tuple(read), key=node.key)

    def build(self, node: Node) -> tuple[Any, ...]:
        return tuple(
            part.build(child) for part, child in zip(self.parts, _items(node), strict=True)
        )


@final
@dataclass(frozen=True)
class MapOf(Type):
    """`dict[str, T]`: any keys, values of one type."""

    item: Type

    @property
    def text(self) -> str:
        return f"a mapping of names to {self.item.many}"

    @property
    def many(self) -> str:
        return f"mappings of names to {self.item.many}"

    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        if not isinstance(node, Block):
            raise Misfit
        read = {key: self.item.read(v, f"{at}.{key}", reading) for key, v in node.entries.items()}
        return replace(node, entries=read)

    def build(self, node: Node) -> dict[str, Any]:
        entries = node.entries if isinstance(node, Block) else {}
        return {key: self.item.build(child) for key, child in entries.items()}


@final
@dataclass(frozen=True)
class OneOf(Type):
    """`T | U`: the first that fits; `T | None` is the common one."""

    types: tuple[Type, ...]

    @property
    def text(self) -> str:
        words = [t.text for t in self._others]
        return " or ".join(words if len(words) == len(self.types) else [*words, "null"])

    @property
    def many(self) -> str:
        return f"items, each {self.text}"

    @property
    def _others(self) -> list[Type]:
        return [t for t in self.types if not isinstance(t, Null)]

    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        nullable = len(self._others) < len(self.types)
        if nullable and isinstance(node, Leaf) and node.value is None:
            return replace(node, literal=True)
        if len(self._others) == 1:
            return self._others[0].accept(node, at, reading)
        found = self._fitting(node, at, reading)
        if found is None:
            raise Misfit
        trial, _, read = found
        reading.take(trial)
        return read

    def build(self, node: Node) -> Any:
        if isinstance(node, Leaf) and node.value is None:
            return None
        if len(self._others) == 1:
            return self._others[0].build(node)
        found = self._fitting(node, "", Reading(construct=False))
        return None if found is None else found[1].build(node)

    def _fitting(self, node: Node, at: str, reading: Reading) -> tuple[Reading, Type, Node] | None:
        """The first type that reads the node without a fault: by its value, then by its text."""
        for candidate in (replace(node, text=None), node):
            for t in self._others:
                trial = reading.trial()
                read = t.read(candidate, at, trial)
                if not len(trial.faults):
                    return trial, t, replace(read, text=node.text)
        return None


@final
@dataclass(frozen=True)
class Bounded(Type):
    """`Annotated[T, Gt(0), ...]`: a type with bounds of the package annotated_types."""

    inner: Type
    bounds: tuple[annotated_types.BaseMetadata, ...]

    @property
    def text(self) -> str:
        return f"{self.inner.text} {self._words}"

    @property
    def many(self) -> str:
        return f"{self.inner.many} {self._words}"

    @property
    def _words(self) -> str:
        return " and ".join(_in_words(bound) for bound in self.bounds)

    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        read = self.inner.accept(node, at, reading)
        if is_open(read):
            return read
        value = plain(read)
        if not all(_holds(bound, value) for bound in self.bounds):
            raise Misfit
        if isinstance(value, float) and math.isinf(value):  # an open range still means a number
            raise Misfit("; it has to be finite")
        return read

    def build(self, node: Node) -> Any:
        return self.inner.build(node)


_COMPARISONS: tuple[tuple[type, str, str, Callable[[Any, Any], bool]], ...] = (
    (annotated_types.Gt, "gt", ">", lambda value, bound: value > bound),
    (annotated_types.Ge, "ge", ">=", lambda value, bound: value >= bound),
    (annotated_types.Lt, "lt", "<", lambda value, bound: value < bound),
    (annotated_types.Le, "le", "<=", lambda value, bound: value <= bound),
)


def bounds_of(metadata: Iterable[Any]) -> tuple[annotated_types.BaseMetadata, ...]:
    """The bounds among an annotation's metadata, groups such as Interval and Len taken apart."""
    found: list[annotated_types.BaseMetadata] = []
    for item in metadata:
        if isinstance(item, annotated_types.GroupedMetadata):
            found += bounds_of(item)
        elif isinstance(item, annotated_types.MinLen) and item.min_length == 0:
            continue  # Len's own default
        elif isinstance(item, annotated_types.BaseMetadata):
            found.append(item)
    return tuple(found)


def _in_words(bound: annotated_types.BaseMetadata) -> str:
    for kind, attribute, sign, _ in _COMPARISONS:
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
    number = isinstance(value, int | float)
    for kind, attribute, _, holds in _COMPARISONS:
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
