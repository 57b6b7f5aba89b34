"""A finding of `fmcore doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import final

from fmcore.cli.console import State
from fmcore.registry.failure import describe

__all__ = ["Finding", "run_check"]


@final
@dataclass(frozen=True)
class Finding:
    """One checked item.  `text` describes it and, unless `state` is ok, gives the remedy."""

    topic: str
    name: str
    state: State
    text: str


def run_check(topic: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of `check`, and a broken one if it raises."""
    try:
        yield from check()
    except Exception as error:  # one broken part must not hide the other findings
        text, where = describe(error)
        yield Finding(topic, "check", "broken", f"{text} ({where})" if where else text)
