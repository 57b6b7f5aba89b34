"""What `fmcore doctor` found out, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import final

from fmcore.cli.console import State
from fmcore.registry.failure import describe

__all__ = ["Finding", "examined"]


@final
@dataclass(frozen=True)
class Finding:
    """`text` says what is so and, unless `state` is ok, what to do.  Only `broken` fails."""

    topic: str
    name: str
    state: State
    text: str


def examined(topic: str, examine: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of `examine`; an examination that fails is a finding, too."""
    try:
        yield from examine()
    except Exception as error:  # the doctor has to finish, whatever is broken
        text, where = describe(error)
        yield Finding(topic, "examination", "broken", f"{text} ({where})" if where else text)
