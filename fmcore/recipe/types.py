"""What an option's type can do: read a node, say what it expects, and build a Python value.

Reading checks a node and completes it (defaults written out, numbers in their plain form); building
turns what was read into constructor arguments.  Both go through the whole recipe by the same few
classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, final

from fmcore.errors import PluginError
from fmcore.recipe.faults import Faults, described
from fmcore.recipe.nodes import COMMAND_LINE, MISSING, Leaf, Mark, Node

__all__ = ["Misfit", "Reading", "Type", "is_open"]


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
