"""The state of a field outside its tensors: its counters in Python, and its weights' addresses.

A compiled or recorded step does not run the field's Python code again, so its counters are advanced
separately, and a CUDA graph is valid only as long as the weights keep their addresses.
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
"""The attributes in which fmcore's fields count."""


@final
class Counters:
    """The counters of `field` and of the fields that it wraps."""

    def __init__(self, field: Any) -> None:
        self._counters = [
            (part, name)
            for part in _parts(field)
            for name in COUNTERS
            # A property, as `Guided.forwards`, is the sum of counters that are found anyway.
            if not isinstance(getattr(type(part), name, None), property)
            and isinstance(getattr(part, name, None), int)
        ]

    def read(self) -> tuple[int, ...]:
        """Return their values."""
        return tuple(getattr(part, name) for part, name in self._counters)

    def write(self, values: tuple[int, ...]) -> None:
        """Set them to values of `read`."""
        for (part, name), value in zip(self._counters, values, strict=True):
            setattr(part, name, value)

    def apart(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return `function(*arguments)`, run with counters at 0; add what it counts afterwards.

        torch.compile treats a counter's value as a constant, and would compile again for each.
        """
        before = self.read()
        self.write((0,) * len(before))
        try:
            return function(*arguments)
        finally:
            self.add(before)

    def add(self, values: tuple[int, ...], times: int = 1) -> None:
        """Add `times` times `values` to them."""
        now = self.read()
        self.write(tuple(a + times * b for a, b in zip(now, values, strict=True)))


@final
class PerField(Generic[Kept]):
    """A cache with one value for each field, dropped with the field; for a method, with its object.

    A field without weak references gets a new value at each call.
    """

    def __init__(self, make: Callable[[Any], Kept]) -> None:
        self._make = make
        self._kept: dict[int, tuple[Any, dict[Any, Kept]]] = {}

    def of(self, field: Any) -> Kept:
        """Return the value of this field, made at the first call."""
        owner, name = _owner(field)
        key = id(owner)
        if key not in self._kept:
            try:
                # An id is reused after its object is gone, so the entry must go with it.
                reference = weakref.ref(owner, lambda _: self._kept.pop(key, None))
            except TypeError:
                return self._make(field)
            self._kept[key] = (reference, {})
        values = self._kept[key][1]
        if name not in values:
            values[name] = self._make(field)
        return values[name]


def recognizer(field: Any) -> Callable[[Any], bool]:
    """Return a function that tests whether its argument is `field`, without keeping it alive."""
    owner, name = _owner(field)
    try:
        reference: Callable[[], Any] = weakref.ref(owner)
    except TypeError:
        reference = lambda: owner  # noqa: E731  # for objects without weak references

    def recognizes(other: Any) -> bool:
        other_owner, other_name = _owner(other)
        return other_owner is reference() and other_name is name

    return recognizes


def addresses(field: Any) -> tuple[Any, ...]:
    """Return the addresses of the weights of all networks in `field`, and whether each trains."""
    networks = [part for part in _parts(field) if isinstance(part, nn.Module)]
    return tuple(
        (network.training, *(p.data_ptr() for p in chain(network.parameters(), network.buffers())))
        for network in networks
    )


def _owner(field: Any) -> tuple[Any, Any]:
    """Return the object and the function of a method, or the field and None.

    Each access of a method makes a new object, so that the identity of methods has no meaning.
    """
    return getattr(field, "__self__", field), getattr(field, "__func__", None)


def _parts(field: Any) -> Iterator[Any]:
    """Yield the field, the callable fields of a dataclass, and what a function closes over."""
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
    # A lambda around a network is the usual way to bind a condition.
    found += [cell.cell_contents for cell in getattr(part, "__closure__", None) or ()]
    if is_dataclass(part) and not isinstance(part, type):
        held = [getattr(part, item.name, None) for item in fields(part)]
        found += held
        # the other fields of a guidance, by name
        found += [value for each in held if isinstance(each, dict) for value in each.values()]
    return [value for value in found if callable(value)]
