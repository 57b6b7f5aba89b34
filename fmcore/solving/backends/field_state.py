"""What a field keeps outside of its tensors: what it counts in Python, and where its weights lie.

A compiled or recorded step does not run the field's Python again, so its counters are moved on by
hand, and a graph is of use only as long as the weights stay where they were.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any, Generic, TypeVar, final

from torch import nn

__all__ = ["Counters", "PerField", "addresses", "recognizer"]

Kept = TypeVar("Kept")
Result = TypeVar("Result")
COUNTERS = ("nfe", "forwards")
"""What fmcore's fields count in."""


@final
class Counters:
    """The counters of `field` and of the fields that it wraps."""

    def __init__(self, field: Any) -> None:
        self._places = [
            (part, name)
            for part in _parts(field)
            for name in COUNTERS
            if not isinstance(getattr(type(part), name, None), property)
            and isinstance(getattr(part, name, None), int)
        ]

    def read(self) -> tuple[int, ...]:
        """Where they stand."""
        return tuple(getattr(part, name) for part, name in self._places)

    def write(self, values: tuple[int, ...]) -> None:
        """Set them to what `read` gave."""
        for (part, name), value in zip(self._places, values, strict=True):
            setattr(part, name, value)

    def apart(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """`function(*arguments)`, which finds the counters at 0; what it counts is added to them.

        A compiler takes a counter's value for a constant, and compiles again for every other one.
        """
        before = self.read()
        self.write((0,) * len(before))
        try:
            return function(*arguments)
        finally:
            self.add(before)

    def add(self, values: tuple[int, ...], times: int = 1) -> None:
        """Move them on by `times` times `values`."""
        now = self.read()
        self.write(tuple(a + times * b for a, b in zip(now, values, strict=True)))


@final
class PerField(Generic[Kept]):
    """One value for each field, for as long as the field lives; methods belong to their object.

    A field that cannot be referred to weakly gets a new value each time.
    """

    def __init__(self, make: Callable[[Any], Kept]) -> None:
        self._make = make
        self._kept: dict[int, tuple[Any, dict[Any, Kept]]] = {}

    def of(self, field: Any) -> Kept:
        """The value of this field."""
        owner, name = _owner(field)
        key = id(owner)
        if key not in self._kept:
            try:
                watch = weakref.ref(owner, lambda _: self._kept.pop(key, None))
            except TypeError:
                return self._make(field)
            self._kept[key] = (watch, {})
        values = self._kept[key][1]
        if name not in values:
            values[name] = self._make(field)
        return values[name]


def recognizer(field: Any) -> Callable[[Any], bool]:
    """Tells whether it is given `field`, without keeping it alive."""
    owner, name = _owner(field)
    try:
        watch: Callable[[], Any] = weakref.ref(owner)
    except TypeError:
        watch = lambda: owner  # noqa: E731  # stands for a reference

    def recognizes(other: Any) -> bool:
        its_owner, its_name = _owner(other)
        return its_owner is watch() and its_name is name

    return recognizes


def addresses(field: Any) -> tuple[Any, ...]:
    """Where the weights of the networks lie that `field` is or holds, and whether each trains."""
    networks = [part for part in _parts(field) if isinstance(part, nn.Module)]
    return tuple(
        (network.training, *(p.data_ptr() for p in chain(network.parameters(), network.buffers())))
        for network in networks
    )


def _owner(field: Any) -> tuple[Any, Any]:
    """An object and its method, made anew at each access; or the field itself."""
    return getattr(field, "__self__", field), getattr(field, "__func__", None)


def _parts(field: Any) -> Iterator[Any]:
    """The field, what it holds if it is one of fmcore's, and what it closes over if it is a
    function.
    """
    seen: set[int] = set()
    pending = [field]
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        pending += _inside(part)


def _inside(part: Any) -> list[Any]:
    owner = getattr(part, "__self__", None)
    found = [] if owner is None else [owner]
    found += [cell.cell_contents for cell in getattr(part, "__closure__", None) or ()]
    if is_dataclass(part) and not isinstance(part, type):
        found += [getattr(part, item.name, None) for item in fields(part)]
    return [value for value in found if callable(value)]
