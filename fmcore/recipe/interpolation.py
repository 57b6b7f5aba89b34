r"""`${...}` in values: other keys of the recipe, and environment variables.

    ${train.batch_size}         the value of another key, its default included
    ${oc.env:DATA}              an environment variable
    ${oc.env:DATA,/data}        the same with a default
    \${not.a.reference}         the text itself

The grammar is OmegaConf's, by its parser; what a reference means is decided here, so that `oc.env`
is the only resolver there is.  (OmegaConf's own registry has one that imports modules.)
"""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

from fmcore.errors import did_you_mean
from fmcore.recipe.nodes import MISSING, Block, Faults, Leaf, Node, lookup, mapped, walk
from fmcore.recipe.overrides import value_of
from fmcore.recipe.types import is_open

__all__ = ["escaped", "interpolated"]

MAX_LENGTH = (
    2_000  # of a text with references, and of what it becomes: each may hold many longer ones
)
MAX_DEPTH = 20

_ALONE = re.compile(r"\$\{\s*(\w+(?:\.\w+)*)\s*\}", re.ASCII)
"""A reference to one key and nothing else: the value keeps its type."""

_PARSER_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What OmegaConf's parser lets through on texts that are far from its grammar."""


class _Unresolved(Exception):
    """A reference that has no value; the text says why."""


class _Absent(_Unresolved):
    """A key that the recipe does not have, as far as it is known."""


class _Endless(_Unresolved):
    """A chain of references that comes back or goes on too long: told at every value on the way."""


class _Missing(Exception):
    """A text that refers to `???`: it is missing too."""


class _Elsewhere(_Unresolved):
    """The fault lies in the value referred to, and is told there."""


def interpolated(written: Block, completed: Block | None, faults: Faults) -> Block:
    """`written` with its references resolved, against itself and then against `completed`.

    Without `completed` (nobody knows the defaults yet) references to absent keys stay as they are.
    """
    resolver = _Resolver(written, completed)

    def change(at: tuple[str, ...], leaf: Leaf) -> Leaf:
        try:
            return resolver.leaf(at, leaf)
        except _Elsewhere:
            return leaf
        except _Unresolved as error:
            if completed is not None or not isinstance(error, _Absent):
                faults.add(leaf.mark, f"{'.'.join(at)}: {error}")
            return leaf

    done = mapped(written, change)
    return done if isinstance(done, Block) else written


def escaped(text: str) -> str:
    r"""The text as a recipe writes it so that nothing in it is a reference.

    >>> print(escaped("cost: ${x}"))
    cost: \${x}
    """
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)


@dataclass
class _Resolver:
    written: Node
    completed: Node | None
    done: dict[tuple[str, ...], Leaf] = field(default_factory=dict)
    under_way: list[tuple[str, ...]] = field(default_factory=list)

    def leaf(self, at: tuple[str, ...], leaf: Leaf) -> Leaf:
        """The leaf at a path of keys, without references."""
        if not is_open(leaf):
            return leaf
        if at in self.done:
            return self.done[at]
        if at in self.under_way:
            circle = " -> ".join(".".join(parts) for parts in [*self.under_way, at])
            raise _Endless(f"refers to itself: {circle}")
        if len(self.under_way) >= MAX_DEPTH:
            raise _Endless(f"refers to a value that refers to another, and so on {MAX_DEPTH} times")
        self.under_way.append(at)
        try:
            self.done[at] = self._evaluated(leaf)
        finally:
            self.under_way.pop()
        return self.done[at]

    def _evaluated(self, leaf: Leaf) -> Leaf:
        try:
            result = _Expression(leaf.value, self).value()
        except _Missing:
            return replace(leaf, value=MISSING, literal=True)
        if isinstance(result, Leaf):
            return replace(result, mark=leaf.mark, key=leaf.key, literal=True)
        if len(result) > MAX_LENGTH:
            raise _Unresolved(f"becomes longer than {MAX_LENGTH} characters")
        typed = value_of(result)  # as on the command line, the schema says what the text means
        value = typed.value if isinstance(typed, Leaf) else result
        return Leaf(leaf.mark, value, key=leaf.key, text=result, literal=True)

    def referred(self, parts: tuple[str, ...]) -> Leaf:
        """The value of another key."""
        key = ".".join(parts)
        node = lookup(self.written, parts)
        if node is None and self.completed is not None:
            node = lookup(self.completed, parts)
        if node is None:
            known = [k for k, _ in walk(self.completed)] if self.completed is not None else []
            raise _Absent(
                f"refers to '{key}', which the recipe does not have{did_you_mean(key, known)}"
            )
        if not isinstance(node, Leaf):
            raise _Unresolved(f"refers to '{key}', which is no single value")
        try:
            return self.leaf(parts, node)
        except (_Absent, _Endless):
            raise
        except _Unresolved as error:
            raise _Elsewhere(str(error)) from None


@dataclass
class _Expression:
    """One text with references: a text, or the leaf that is all it refers to."""

    text: str
    resolver: _Resolver

    def value(self) -> Leaf | str:
        from omegaconf.errors import OmegaConfBaseException
        from omegaconf.grammar_parser import parse
        from omegaconf.grammar_visitor import GrammarVisitor

        if len(self.text) > MAX_LENGTH:
            raise _Unresolved(f"is longer than {MAX_LENGTH} characters")
        if alone := _ALONE.fullmatch(self.text):
            return self.resolver.referred(tuple(alone[1].split(".")))
        try:
            tree: Any = parse(self.text)
            key: Any = self._key  # typed to give nodes, content with values
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # about elements left empty
                return str(GrammarVisitor(key, self._environment, memo=None).visit(tree))
        except (_Missing, _Unresolved):
            raise
        except (OmegaConfBaseException, UserWarning, *_PARSER_ERRORS) as error:
            reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
            raise _Unresolved(f"'{self.text[:60]}' is no valid reference: {reason}") from None

    def _key(self, key: Any, memo: Any = None) -> str:
        if key.relative_dots:
            hint = "write the whole key, as in ${train.batch_size}"
            raise _Unresolved(f"'{key.raw}' begins with a dot; {hint}")
        leaf = self.resolver.referred(tuple(key.parts))
        if leaf.value == MISSING:
            raise _Missing
        return _word(leaf.value) if leaf.text is None else leaf.text

    def _environment(self, name: str, args: tuple[Any, ...], args_str: tuple[str, ...]) -> str:
        if name != "oc.env":
            known = "${oc.env:NAME} and references to other keys, as in ${train.batch_size}"
            raise _Unresolved(f"there is no '{name}' in recipes, only {known}")
        if len(args) not in (1, 2):
            raise _Unresolved("oc.env takes a name and perhaps a default: ${oc.env:DATA,/data}")
        variable = str(args[0])
        if variable in os.environ:
            return os.environ[variable]
        if len(args) == 1:
            raise _Unresolved(
                f"the environment variable '{variable}' is not set; set it, "
                f"or write ${{oc.env:{variable},DEFAULT}}"
            )
        return args[1] if isinstance(args[1], str) else args_str[1]


def _word(value: Any) -> str:
    """A value inside a text."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
