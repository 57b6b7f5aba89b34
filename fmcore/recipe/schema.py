"""The schema of a component, read from its constructor: the signature is the only place where
options are declared.

For the plugin system: `prepared(target, options, what)` checks the options of a call from Python
and builds those that are given by name, and `check_options` does the first half alone;
`options(target)` lists what there is to set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from fmcore.errors import ComponentError
from fmcore.recipe.annotations import type_of
from fmcore.recipe.nodes import Block, Mark, from_python
from fmcore.recipe.signatures import REQUIRED, parameters
from fmcore.recipe.types import Reading, Type

__all__ = ["Option", "check_options", "options", "prepared"]


@dataclass(frozen=True)
class Option:
    """One option of a component or a section.

    `default` is the Python value, REQUIRED where there is none; `given` ones are filled in by the
    framework where a recipe leaves them out.
    """

    name: str
    annotation: Any
    type: Type
    default: Any = REQUIRED
    given: bool = False

    @property
    def required(self) -> bool:
        """Whether a recipe has to say it."""
        return self.default is REQUIRED and not self.given

    @property
    def type_text(self) -> str:
        """What values it takes, in words: `a number > 0`."""
        return self.type.text


def options(target: type, given: Sequence[str] = ()) -> tuple[Option, ...]:
    """The options of `target(...)`, in the order of its signature.

    Raises PluginError, addressed to the author, where the signature cannot be a schema: `**kwargs`,
    an argument without a type, or a type that no recipe could write.
    """
    return _options(target, tuple(given))


@cache
def _options(target: type, given: tuple[str, ...]) -> tuple[Option, ...]:
    return tuple(
        Option(
            p.name, p.annotation, type_of(p.annotation, target, p.name), p.default, p.name in given
        )
        for p in parameters(target)
    )


def check_options(target: type, options: Mapping[str, Any], what: str) -> list[str]:
    """What is wrong with calling `target(**options)`, one message each; `what` is, say, `path
    'ot'`.

    Values may be Python's own (components, tuples, pathlib paths) or what a recipe would say
    (names, mappings, lists).
    """
    return [message for _, message in _read(target, options, what)[1].faults.found]


def prepared(target: type, options: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The arguments for `target(...)`: `options` checked, components given by name or mapping
    built.

    Raises ComponentError with all messages of `check_options`.
    """
    read, reading = _read(target, options, what)
    if len(reading.faults):
        told = (message for _, message in reading.faults.found)
        raise ComponentError("\n".join(m if m.startswith(what) else f"{what}: {m}" for m in told))
    return build_options(target, read)


def build_options(target: type, block: Block) -> dict[str, Any]:
    """The Python values of the options in a block that was read."""
    types = {option.name: option.type for option in options(target)}
    return {name: types[name].build(node) for name, node in block.entries.items() if name in types}


def _read(target: type, given: Mapping[str, Any], what: str) -> tuple[Block, Reading]:
    from fmcore.recipe.components import read_options

    reading = Reading(construct=False, defaults=False)
    block = Block(_PYTHON, {k: from_python(v, _PYTHON) for k, v in given.items()})
    read = read_options(options(target), block, what, "", reading)
    for key in reading.missing:
        reading.faults.add(_PYTHON, f"{what}: {key} must be given")
    return Block(_PYTHON, read), reading


_PYTHON = Mark("Python")
