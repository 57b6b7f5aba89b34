"""What an option's type can do: read a node, say what it expects, and build a Python value.

Reading checks a node and completes it (defaults written out, numbers in their plain form); building
turns what was read into constructor arguments.  Both go through the whole recipe by the same few
classes.
"""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from fmcore.errors import PluginError, did_you_mean
from fmcore.recipe.nodes import COMMAND_LINE, MISSING, Faults, Leaf, Mark, Node, described

__all__ = [
    "Choice",
    "FilePath",
    "Flag",
    "Misfit",
    "Null",
    "Number",
    "Reading",
    "Text",
    "Type",
    "Whole",
    "is_open",
]


class Misfit(Exception):
    """A value is not what its type expects; the text, if any, is a hint to add to the message."""


@dataclass
class Reading:
    """What one pass over a recipe finds: faults, and the values that are still to be given (`???`).

    `open` counts the interpolations met.  `construct` says whether components are also made once,
    so that their constructors can object; `defaults` whether options left out are written out.
    """

    faults: Faults = field(default_factory=Faults)
    missing: dict[str, Mark] = field(default_factory=dict)
    open: int = 0
    construct: bool = True
    defaults: bool = True

    @property
    def whole(self) -> bool:
        """Whether what was read can be made: nothing wrong, nothing missing."""
        return self.construct and not (len(self.faults) or self.missing or self.open)

    def fault(self, node: Node, at: str, message: str) -> None:
        """Say what is wrong with `node`, the value of key `at`."""
        if several(node):
            message = (
                f"{at}={node.text} gives several values; a list is written [{node.text}], "
                "and axes are for `fmcore benchmark`"
            )
        self.faults.add(node.mark, message)

    def trial(self) -> Reading:
        """A reading of its own, to be thrown away or `take`n."""
        return Reading(construct=self.construct, defaults=self.defaults)

    def take(self, other: Reading) -> None:
        """Add what a trial found."""
        self.faults.found |= other.faults.found
        self.faults.cause = self.faults.cause or other.faults.cause
        self.missing |= other.missing
        self.open += other.open


class Type(ABC):
    """A type of option.  `text` and `many` say what it expects, for one value and for several."""

    @property
    @abstractmethod
    def text(self) -> str:
        """As in `expected a number, got ...`."""

    @property
    @abstractmethod
    def many(self) -> str:
        """As in `a list of numbers`."""

    @abstractmethod
    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        """The node in its complete form.  Raises Misfit if it is none of this type."""

    @abstractmethod
    def build(self, node: Node) -> Any:
        """The Python value of an accepted node."""

    @final
    def read(self, node: Node, at: str, reading: Reading) -> Node:
        """`accept`, with misfits told to `reading`; values that are not there yet pass through."""
        if is_open(node):
            reading.open += 1
            return node
        if isinstance(node, Leaf) and node.value == MISSING:
            reading.missing[at] = node.mark
            return node
        try:
            return self.accept(node, at, reading)
        except Misfit as misfit:
            reading.fault(node, at, f"{at}: expected {self.text}, got {described(node)}{misfit}")
        except PluginError as error:
            reading.fault(node, at, f"{at}: {error}")
        return node


def is_open(node: Node) -> bool:
    """Whether the node still holds an interpolation, `${...}`."""
    return (
        isinstance(node, Leaf)
        and isinstance(node.value, str)
        and not node.literal
        and "${" in node.value
    )


def several(node: Node) -> bool:
    """Whether the node is a comma list of the command line, as in `path=ot,vp`."""
    text = node.text or ""
    return node.mark == COMMAND_LINE and "," in text and text[0] not in "[{\"'"


class _Scalar(Type):
    """A type that looks at the value of a leaf alone."""

    @abstractmethod
    def convert(self, value: Any) -> Any:
        """The plain form of `value`.  Raises Misfit."""

    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        if not isinstance(node, Leaf):
            raise Misfit
        return replace(node, value=self.convert(node.value), literal=True)

    def build(self, node: Node) -> Any:
        return node.value if isinstance(node, Leaf) else None


@final
@dataclass(frozen=True)
class Whole(_Scalar):
    """`int`: integers; `1e5` and `true` are none."""

    text = "an integer"
    many = "integers"

    def convert(self, value: Any) -> int:
        if isinstance(value, numbers.Integral) and not isinstance(value, bool):
            if not -(2**63) <= int(value) < 2**63:
                raise Misfit("; it has to fit in 64 bits")
            return int(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            raise Misfit(f"; write {int(value)}")
        raise Misfit


@final
@dataclass(frozen=True)
class Number(_Scalar):
    """`float`: integers too, but not NaN, which is not equal to itself."""

    text = "a number"
    many = "numbers"

    def convert(self, value: Any) -> float:
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            raise Misfit
        try:
            number = float(value)
        except OverflowError:
            raise Misfit from None
        if math.isnan(number):
            raise Misfit
        return number


@final
@dataclass(frozen=True)
class Flag(_Scalar):
    """`bool`: true or false."""

    text = "true or false"
    many = "items, each true or false"

    def convert(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(value).lower())
        raise Misfit(f"; write {meant}" if meant else "")


@final
@dataclass(frozen=True)
class Null(_Scalar):
    """`None`."""

    text = "null"
    many = "nulls"

    def convert(self, value: Any) -> None:
        if value is not None:
            raise Misfit


class _Textual(_Scalar):
    """Text; on the command line, whatever was typed."""

    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        typed, null = node.text, isinstance(node, Leaf) and node.value is None
        if typed is not None and not _is_text(node) and not (null and typed):
            return Leaf(node.mark, typed, key=node.key, text=typed, literal=True)
        return super().accept(node, at, reading)

    def convert(self, value: Any) -> str:
        if isinstance(value, str):
            return str(value)
        simple = isinstance(value, int | float)
        raise Misfit("; put it in quotes if it is meant as text" if simple else "")


@final
@dataclass(frozen=True)
class Text(_Textual):
    """`str`."""

    text = "text"
    many = "texts"


@final
@dataclass(frozen=True)
class FilePath(_Textual):
    """`pathlib.Path`, written as text."""

    text = "a file path"
    many = "file paths"

    def build(self, node: Node) -> Path:
        return Path(super().build(node))


@final
@dataclass(frozen=True)
class Choice(_Scalar):
    """`Literal[...]`: one of a few values."""

    values: tuple[Any, ...]

    @property
    def text(self) -> str:
        words = [_word(value) for value in self.values]
        return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

    @property
    def many(self) -> str:
        return f"items, each {self.text}"

    def accept(self, node: Node, at: str, reading: Reading) -> Node:
        if node.text is not None and node.text in self.values:
            return Leaf(node.mark, node.text, key=node.key, text=node.text, literal=True)
        return super().accept(node, at, reading)

    def convert(self, value: Any) -> Any:
        for choice in self.values:
            if type(choice) is type(value) and choice == value:
                return choice
        words = [choice for choice in self.values if isinstance(choice, str)]
        raise Misfit(did_you_mean(value, words) if isinstance(value, str) else "")


def _is_text(node: Node) -> bool:
    return isinstance(node, Leaf) and isinstance(node.value, str)


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)
