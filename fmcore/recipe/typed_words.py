"""Arguments that a shell split or expanded, recognised before they are parsed as `key=value`."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Sequence

from fmcore.errors import RecipeError
from fmcore.recipe.nodes import COMMAND_LINE, Node, ScalarNode

__all__ = ["find_split_words", "require_whole", "unclosed"]

NAME = r"[A-Za-z_][\w-]*"
KEY = rf"{NAME}(?:\.[\w-]+)*"
SPACED = (
    rf"({KEY})(?: = | =|= )([^\s=]+)",
    # without a sign, only a key with a dot is known to be one
    rf"({NAME}(?:\.[\w-]+)+) ([^\s=]+)",
)
"""Two or three arguments, joined by spaces."""

ONE_ARGUMENT = re.compile(rf"({KEY})(?:\s+=\s*|:\s+)(\S.*)", re.DOTALL)
"""`train.steps: 3`, `train.steps = 3` in quotes."""

CLOSING = {"{": "}", "[": "]"}


def find_split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that are `key=value` or cannot be mended, and a message for all others.

    >>> find_split_words(["seed=1", "train.steps", "=", "3"])
    (['seed=1'], ["'train.steps = 3': write it without spaces: train.steps=3"])
    """
    expanded = _expanded_braces(words)
    messages = [
        f"{' '.join(group)}: the shell expanded braces; put the setting in quotes: {quoted}"
        for group, quoted in expanded
    ]
    rest = [word for word in words if not any(word in group for group, _ in expanded)]
    kept: list[str] = []
    while rest:
        taken, message = _mend(rest)
        if message is None:
            kept.append(rest[0])
        else:
            messages.append(message)
        rest = rest[taken:]
    return kept, messages


def require_whole(words: Sequence[str]) -> None:
    """Raise RecipeError for words that a shell split or expanded: before a prefix hides them."""
    faults = find_split_words(words)[1]
    if faults:
        raise RecipeError(f"{COMMAND_LINE}: {fault}" for fault in faults)


def unclosed(node: Node) -> str:
    """Return a hint for text that begins a list or mapping and does not end it, '' for others."""
    text = node.value if isinstance(node, ScalarNode) else None
    bracket = _unclosed_bracket(text) if isinstance(text, str) else ""
    return (
        f"; it has no closing '{bracket}': put a value with spaces or braces in quotes, as in "
        "'model={name: mlp, width: 64}'"
        if bracket
        else ""
    )


def _mend(words: Sequence[str]) -> tuple[int, str | None]:
    """Return how many words belong together at the beginning, and what to write instead."""
    if _is_open(words[0]):
        return _mend_bracket(words)
    if pair := ONE_ARGUMENT.fullmatch(words[0]):
        return 1, _without_spaces(words[0], pair[1], pair[2])
    for taken in (3, 2):
        joined = " ".join(words[:taken])
        for pattern in SPACED if len(words) >= taken else ():
            if pair := re.fullmatch(pattern, joined):
                return taken, _without_spaces(joined, pair[1], pair[2])
    return 1, None


def _without_spaces(typed: str, key: str, value: str) -> str:
    return f"'{typed[:60]}': write it without spaces: {shlex.quote(f'{key}={value}')}"


def _mend_bracket(words: Sequence[str]) -> tuple[int, str | None]:
    """Join the words up to the one that closes the brackets of the first."""
    for taken in range(2, len(words) + 1):
        joined = " ".join(words[:taken])
        if not _is_open(joined):
            return taken, (
                f"{joined[:80]}: the shell split it at spaces; put it in quotes: "
                f"{shlex.quote(joined)}"
            )
    return 1, None  # an error unless the option is text, which may hold anything


def _is_open(text: str) -> bool:
    key, equals, value = text.partition("=")
    return bool(equals and re.fullmatch(KEY, key) and _unclosed_bracket(value))


def _unclosed_bracket(value: str) -> str:
    """Return the bracket that would close the innermost open one of a list or mapping, or ''."""
    open_brackets: list[str] = []
    quote = ""
    for character in value if value[:1] in CLOSING else "":
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in CLOSING:
            open_brackets.append(CLOSING[character])
        elif open_brackets and character == open_brackets[-1]:
            open_brackets.pop()
    return open_brackets[-1] if open_brackets else ""


def _expanded_braces(words: Sequence[str]) -> list[tuple[list[str], str]]:
    """Return what a shell made of `key={name:a,b:c}`, and the setting that was meant."""
    values: dict[str, list[str]] = defaultdict(list)
    for word in words:
        key, equals, value = word.partition("=")
        if equals and re.fullmatch(r"\w+:\S+", value):
            values[key].append(value)
    found = []
    for key, parts in values.items():
        if len(parts) > 1 and any(part.startswith("name:") for part in parts):
            inner = ", ".join(part.replace(":", ": ", 1) for part in parts)
            found.append(([f"{key}={part}" for part in parts], f"'{key}={{{inner}}}'"))
    return found
