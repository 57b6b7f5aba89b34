"""The types of options: validate a node, describe what is expected, build the Python value.

Validation checks a node and completes it (defaults written out, numbers in their normal form);
building converts the result to constructor arguments.  The types made of other types are in
containers.py, those of components and settings in components.py.
"""

from __future__ import annotations

import math
import numbers
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from fmcore.errors import PluginError, did_you_mean
from fmcore.recipe.nodes import (
    COMMAND_LINE,
    MISSING,
    Diagnostics,
    Mark,
    Node,
    ScalarNode,
    describe,
    redact,
)
from fmcore.recipe.typed_words import unclosed

__all__ = [
    "Bool",
    "Choice",
    "FilePath",
    "Float",
    "Int",
    "Null",
    "Str",
    "Type",
    "TypeMismatch",
    "Validation",
    "has_reference",
]


class TypeMismatch(Exception):
    """A value is not of the expected type; the text, if any, is a hint to append to the message."""


@dataclass
class Validation:
    """The findings of one pass over a recipe: errors, and required values that are missing (`???`).

    `unresolved` counts the `${...}` met.  With `construct`, components are also constructed, so
    that their constructors can object; with `defaults`, omitted options get their defaults.
    """

    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    missing: dict[str, Mark] = field(default_factory=dict)
    unresolved: int = 0
    construct: bool = True
    defaults: bool = True

    @property
    def is_constructible(self) -> bool:
        """Whether the validated value can be constructed: no error, nothing missing."""
        found = len(self.diagnostics) or self.missing or self.unresolved
        return self.construct and not found

    def add_error(self, node: Node, at: str, message: str) -> None:
        """Add an error about `node`, the value of key `at`."""
        if _is_comma_list(node):
            message = (
                f"{at}={node.text} gives several values; a list is written [{node.text}], "
                "and axes are for `fmcore benchmark`"
            )
        self.diagnostics.add(node.mark, redact(message, node))

    def fork(self) -> Validation:
        """Return an empty validation with the same settings, to discard or to `merge`."""
        return Validation(construct=self.construct, defaults=self.defaults)

    def merge(self, fork: Validation) -> None:
        """Add the findings of a fork."""
        self.diagnostics.found |= fork.diagnostics.found
        self.diagnostics.cause = self.diagnostics.cause or fork.diagnostics.cause
        self.missing |= fork.missing
        self.unresolved += fork.unresolved


class Type(ABC):
    """A type of option.  `singular` and `plural` describe its values in messages."""

    @property
    @abstractmethod
    def singular(self) -> str:
        """As in `expected a number, got ...`."""

    @property
    @abstractmethod
    def plural(self) -> str:
        """As in `a list of numbers`."""

    @abstractmethod
    def check(self, node: Node, at: str, validation: Validation) -> Node:
        """Return the node in its complete form.  Raises TypeMismatch if it is of another type."""

    @abstractmethod
    def build(self, node: Node) -> Any:
        """Return the Python value of a checked node."""

    def hint_in_list(self, node: Node) -> str:
        """Return what to append to the message for `node` in the place of a list of these."""
        return ""

    def list_keys(self, node: Node | None) -> Iterator[str]:
        """Yield the dotted keys of the options in a value of this type; `node` may name which."""
        yield from ()

    @final
    def validate(self, node: Node, at: str, validation: Validation) -> Node:
        """Return the node in its complete form, or as it is after adding an error.

        `???` and unresolved references pass: they are counted, and checked once they have a value.
        """
        if has_reference(node):
            validation.unresolved += 1
            return node
        if isinstance(node, ScalarNode) and node.value == MISSING:
            validation.missing[at] = node.mark
            return node
        try:
            return self.check(node, at, validation)
        except TypeMismatch as mismatch:
            hint = unclosed(node) or mismatch
            message = f"{at}: expected {self.singular}, got {describe(node)}{hint}"
            validation.add_error(node, at, message)
        except PluginError as error:
            validation.add_error(node, at, f"{at}: {error}")
        return node


def has_reference(node: Node) -> bool:
    """Return whether the node is a scalar with an unresolved reference, `${...}`."""
    return (
        isinstance(node, ScalarNode)
        and isinstance(node.value, str)
        and not node.literal
        and "${" in node.value
    )


def _is_comma_list(node: Node) -> bool:
    """Return whether the node is a comma list of the command line, as in `path=ot,vp`."""
    text = node.text or ""
    from_environment = isinstance(node, ScalarNode) and node.reference is not None
    quoted_or_yaml = text[:1] in "[{\"'"
    return node.mark == COMMAND_LINE and "," in text and not (quoted_or_yaml or from_environment)


class _Scalar(Type):
    """A type that depends on the value of a scalar alone."""

    @abstractmethod
    def convert(self, value: Any) -> Any:
        """Return the normal form of `value`.  Raises TypeMismatch."""

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        if not isinstance(node, ScalarNode):
            raise TypeMismatch
        # A number from the environment is recorded as its value: a run must be reproducible
        # without its environment, and secrets are text.
        return replace(node, value=self.convert(node.value), literal=True, reference=None)

    def build(self, node: Node) -> Any:
        return node.value if isinstance(node, ScalarNode) else None


@final
@dataclass(frozen=True)
class Int(_Scalar):
    """`int`: 64-bit integers; `1e5` and `true` are not."""

    singular = "an integer"
    plural = "integers"

    def convert(self, value: Any) -> int:
        # bool is a subclass of int, but `steps: true` is a mistake
        if isinstance(value, numbers.Integral) and not isinstance(value, bool):
            if not -(2**63) <= int(value) < 2**63:  # the range of torch.int64
                raise TypeMismatch("; it has to fit in 64 bits")
            return int(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            raise TypeMismatch(f"; write {int(value)}")  # beyond 2^53, the digits are not exact
        raise TypeMismatch


@final
@dataclass(frozen=True)
class Float(_Scalar):
    """`float`: integers too, but not NaN, which is not equal to itself."""

    singular = "a number"
    plural = "numbers"

    def convert(self, value: Any) -> float:
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            raise TypeMismatch
        try:
            number = float(value)
        except OverflowError:  # an integer beyond 1.8e308
            raise TypeMismatch from None
        if math.isnan(number):
            raise TypeMismatch
        return number


@final
@dataclass(frozen=True)
class Bool(_Scalar):
    """`bool`: true or false."""

    singular = "true or false"
    plural = "items, each true or false"

    def convert(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        # YAML 1.1 read these words as booleans, so that users still write them
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(value).lower())
        raise TypeMismatch(f"; write {meant}" if meant else "")


@final
@dataclass(frozen=True)
class Null(_Scalar):
    """`None`."""

    singular = "null"
    plural = "nulls"

    def convert(self, value: Any) -> None:
        if value is not None:
            raise TypeMismatch


class _Textual(_Scalar):
    """Text; from the command line and the environment, exactly what was typed."""

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        reference = node.reference if isinstance(node, ScalarNode) else None
        if node.text is not None and _replaces_value(node.text, node):
            node = ScalarNode(node.mark, node.text, key=node.key, text=node.text)
        checked = super().check(node, at, validation)
        # free text may be secret
        return replace(checked, reference=reference) if isinstance(checked, ScalarNode) else checked

    def convert(self, value: Any) -> str:
        if isinstance(value, str):
            return str(value)
        simple = isinstance(value, int | float)
        raise TypeMismatch("; put it in quotes if it is meant as text" if simple else "")


def _replaces_value(typed: str, node: Node) -> bool:
    """Return whether typed text counts and not the value that YAML reads in it.

    `data.root=123` is the text 123 and `data.root=` is empty text, but `data.root=null` is null.
    """
    if not isinstance(node, ScalarNode):
        return True
    return not typed if node.value is None else not isinstance(node.value, str)


@final
@dataclass(frozen=True)
class Str(_Textual):
    """`str`."""

    singular = "text"
    plural = "texts"


@final
@dataclass(frozen=True)
class FilePath(_Textual):
    """`pathlib.Path`, written as text.

    A relative path in a recipe file is relative to the file's folder, one on the command line or
    in the environment to the current folder; both are recorded as absolute paths, since a run
    folder is opened from elsewhere.  Paths given to a constructor in Python stay as they are.
    """

    singular = "a file path"
    plural = "file paths"

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        checked = super().check(node, at, validation)
        if not isinstance(checked, ScalarNode) or not checked.mark.folder:
            return checked
        path = os.path.expanduser(checked.value)
        if not os.path.isabs(path):
            path = os.path.normpath(os.path.join(checked.mark.folder, path))
        return replace(checked, value=path)

    def build(self, node: Node) -> Path:
        return Path(super().build(node))


@final
@dataclass(frozen=True)
class Choice(_Scalar):
    """`Literal[...]`: one of a few values."""

    values: tuple[Any, ...]

    @property
    def singular(self) -> str:
        names = [_to_yaml(value) for value in self.values]
        return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

    @property
    def plural(self) -> str:
        return f"items, each {self.singular}"

    def check(self, node: Node, at: str, validation: Validation) -> Node:
        if node.text is not None and node.text in self.values:  # as typed: the choice "1", not 1
            return ScalarNode(node.mark, node.text, key=node.key, text=node.text, literal=True)
        return super().check(node, at, validation)

    def convert(self, value: Any) -> Any:
        for choice in self.values:
            if type(choice) is type(value) and choice == value:  # True == 1 == 1.0 in Python
                return choice
        texts = [choice for choice in self.values if isinstance(choice, str)]
        raise TypeMismatch(did_you_mean(value, texts) if isinstance(value, str) else "")


def _to_yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)
