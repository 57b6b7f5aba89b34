r"""Resolve `${...}` in values: other keys of the recipe, and environment variables.

    ${train.batch_size}         the value of another key, or its default
    ${oc.env:DATA}              an environment variable
    ${oc.env:DATA,/data}        the same with a default
    \${not.a.reference}         the text itself

The notation is OmegaConf's.  `oc.env` is the only resolver, since OmegaConf's others can import
modules and a recipe must not run code.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace

from fmcore.errors import did_you_mean
from fmcore.recipe.catalog import current_folder
from fmcore.recipe.nodes import (
    MISSING,
    Diagnostics,
    MappingNode,
    Node,
    ScalarNode,
    lookup,
    map_scalars,
    walk,
)
from fmcore.recipe.overrides import parse_value
from fmcore.recipe.types import has_reference

__all__ = ["escape", "interpolate"]

# Each of many values may refer to a longer one, so that a small file could fill the memory.
MAX_LENGTH = 2_000  # of a text with references, and of what it becomes
MAX_DEPTH = 20  # of references to references, far below Python's recursion limit

_OPENING = re.compile(r"(\\*)\$\{")
_ALONE = re.compile(r"\$\{\s*(\w+(?:\.\w+)*)\s*\}")
"""A reference to one key and nothing else: the value keeps its type."""
_INNERMOST = re.compile(r"\$\{([^{}]*)\}")
_HELD = re.compile(r"\0(\d+)\0")
_VARIABLE = re.compile(
    r"""\s* (?P<name>[^\s,'"]+) \s*
    (?: , \s* (?P<default> "[^"]*" | '[^']*' | \[.*\] | [^\s,'"\[] [^,]*? ) \s* )?""",
    re.VERBOSE,
)


class _Unresolved(Exception):
    """A reference without a value; the text is the reason."""


class _UnknownKey(_Unresolved):
    """A key that the recipe does not have; its defaults may not be known yet."""


class _Endless(_Unresolved):
    """A chain of references that is circular or too long: an error of every value in it."""


class _Missing(Exception):
    """A text that refers to `???`, which makes it missing too."""


class _InvalidElsewhere(_Unresolved):
    """The value referred to has an error, which is reported at its own place."""


def interpolate(
    written: MappingNode, completed: MappingNode | None, diagnostics: Diagnostics
) -> MappingNode:
    """Return `written` with its references resolved, against itself and then against `completed`.

    Without `completed`, when the defaults are not known yet, references to absent keys remain.
    """
    resolver = _Resolver(written, completed)

    def change(at: tuple[str, ...], scalar: ScalarNode) -> ScalarNode:
        try:
            return resolver.resolve(at, scalar)
        except _InvalidElsewhere:  # one error for one mistake
            return scalar
        except _Unresolved as error:
            if completed is not None or not isinstance(error, _UnknownKey):
                diagnostics.add(scalar.mark, f"{'.'.join(at)}: {error}")
            return scalar

    resolved = map_scalars(written, change)
    return resolved if isinstance(resolved, MappingNode) else written


def escape(text: str) -> str:
    r"""Return the text as a recipe writes it so that nothing in it is a reference.

    >>> print(escape("cost: ${x}"))
    cost: \${x}
    """
    return _OPENING.sub(lambda match: match[1] * 2 + r"\${", text)


@dataclass
class _Resolver:
    written: Node
    completed: Node | None
    done: dict[tuple[str, ...], ScalarNode] = field(default_factory=dict)
    active: list[tuple[str, ...]] = field(default_factory=list)

    def resolve(self, at: tuple[str, ...], scalar: ScalarNode) -> ScalarNode:
        """Return the scalar at a path of keys, without references."""
        if not has_reference(scalar):
            return scalar
        if at in self.done:
            return self.done[at]
        if at in self.active:
            circle = " -> ".join(".".join(parts) for parts in [*self.active, at])
            raise _Endless(f"refers to itself: {circle}")
        if len(self.active) >= MAX_DEPTH:
            raise _Endless(f"refers to a value that refers to another, and so on {MAX_DEPTH} times")
        self.active.append(at)
        try:
            self.done[at] = self._evaluate(scalar)
        finally:
            self.active.pop()
        return self.done[at]

    def _evaluate(self, scalar: ScalarNode) -> ScalarNode:
        expression = _Expression(scalar.value, self)
        try:
            result = expression.evaluate()
        except _Missing:
            return replace(scalar, value=MISSING, literal=True)
        if isinstance(result, str) and len(result) > MAX_LENGTH:
            raise _Unresolved(f"becomes longer than {MAX_LENGTH} characters")
        if isinstance(result, str):
            parsed = parse_value(result)  # as on the command line, the schema decides the type
            value = parsed.value if isinstance(parsed, ScalarNode) else result
            result = ScalarNode(scalar.mark, value, text=result)
        folder = scalar.mark.folder if expression.folder is None else expression.folder
        return replace(
            result,
            mark=replace(scalar.mark, folder=folder),
            key=scalar.key,
            literal=True,
            reference=scalar.value if expression.from_environment else None,
        )

    def refer(self, key: str, shown: str) -> ScalarNode:
        """Return the value of another key, which messages call `shown`."""
        parts = tuple(key.split("."))
        node = lookup(self.written, parts)
        if node is None and self.completed is not None:
            node = lookup(self.completed, parts)
        if node is None:
            known = [k for k, _ in walk(self.completed)] if self.completed is not None else []
            hint = did_you_mean(key, known)
            raise _UnknownKey(f"refers to '{shown}', which the recipe does not have{hint}")
        if not isinstance(node, ScalarNode):
            raise _Unresolved(f"refers to '{shown}', which is no single value")
        try:
            return self.resolve(parts, node)
        except (_UnknownKey, _Endless):
            raise
        except _Unresolved as error:
            raise _InvalidElsewhere(str(error)) from None


@dataclass
class _Expression:
    """One text with references, which are replaced from the innermost outwards.

    In the text, a number between NULs replaces a resolved reference, so that its value is not
    searched for references.  `held` has the values and how messages show them: not as values from
    the environment, which may be secret.
    """

    text: str
    resolver: _Resolver
    held: list[tuple[str, str]] = field(default_factory=list)
    from_environment: bool = False
    folder: str | None = None  # that a path is relative to, if the text begins with a reference

    def evaluate(self) -> ScalarNode | str:
        """Return the text, or the scalar that is all it refers to."""
        if len(self.text) > MAX_LENGTH:
            raise _Unresolved(f"is longer than {MAX_LENGTH} characters")
        if alone := _ALONE.fullmatch(self.text):
            scalar = self.resolver.refer(alone[1], alone[1])
            self.from_environment, self.folder = scalar.reference is not None, scalar.mark.folder
            return scalar
        if "\0" in self.text:
            raise _Unresolved("holds a NUL character")
        text = _OPENING.sub(self._unescape, self.text)
        while match := _INNERMOST.search(text):
            value, is_secret, folder = self._read(match[1])
            shown = f"${{{self._restore(match[1], shown=True)}}}" if is_secret else value
            self.from_environment |= is_secret
            if match.start() == 0:
                self.folder = folder
            text = text[: match.start()] + self._hold(value, shown) + text[match.end() :]
        if "${" in text:
            raise _Unresolved(f"'{self.text[:60]}' is no valid reference")
        return self._restore(text)

    def _unescape(self, opening: re.Match[str]) -> str:
        r"""Hold the backslashes before `${`, each for two, and the `${` itself after an odd one."""
        backslashes, is_escaped = divmod(len(opening[1]), 2)
        literal = "\\" * backslashes + "${" * is_escaped
        return self._hold(literal, literal) * bool(literal) + "${" * (not is_escaped)

    def _hold(self, value: str, shown: str) -> str:
        self.held.append((value, shown))
        return f"\0{len(self.held) - 1}\0"

    def _restore(self, text: str, *, shown: bool = False) -> str:
        return _HELD.sub(lambda match: self.held[int(match[1])][shown], text)

    def _read(self, inner: str) -> tuple[str, bool, str | None]:
        """Return the value between `${` and `}`, whether it may be secret, and its folder."""
        name, colon, arguments = inner.partition(":")
        key, shown = self._restore(name).strip(), self._restore(name, shown=True).strip()
        if colon and key == "oc.env":
            return self._read_variable(arguments)
        if colon:
            known = "${oc.env:NAME} and references to other keys, as in ${train.batch_size}"
            raise _Unresolved(f"there is no '{shown}' in recipes, only {known}")
        if key.startswith("."):
            hint = "write the whole key, as in ${train.batch_size}"
            raise _Unresolved(f"'{shown}' begins with a dot; {hint}")
        scalar = self.resolver.refer(key, shown)
        return _to_text(scalar), scalar.reference is not None, scalar.mark.folder

    def _read_variable(self, arguments: str) -> tuple[str, bool, str | None]:
        match = _VARIABLE.fullmatch(arguments)
        if match is None:
            raise _Unresolved("oc.env takes a name and perhaps a default: ${oc.env:DATA,/data}")
        name, default = self._restore(match["name"]), match["default"]
        if name in os.environ:
            return os.environ[name], True, current_folder()
        if default is None:
            shown = self._restore(match["name"], shown=True)
            raise _Unresolved(
                f"the environment variable '{shown}' is not set; set it, "
                f"or write ${{oc.env:{shown},DEFAULT}}"
            )
        unquoted = default[1:-1] if default[0] in "'\"" else default
        return self._restore(unquoted), False, None


def _to_text(scalar: ScalarNode) -> str:
    if scalar.value == MISSING:
        raise _Missing
    if scalar.text is not None:
        return scalar.text
    if scalar.value is None or isinstance(scalar.value, bool):
        return {None: "null", True: "true", False: "false"}[scalar.value]
    return str(scalar.value)
