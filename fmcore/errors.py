"""Everything fmcore raises on purpose, and the exit code each one ends the command with.

FmcoreError                    1  the run failed
├── UserError                  2  something the user gave is wrong; printed without a traceback
│   ├── RecipeError               a recipe or an override: one located message per fault
│   ├── PluginError               a plugin cannot be found, loaded or told from another
│   ├── ComponentError            an option of a component, or components that do not go together
│   ├── DataError                 data, weights or references, missing or not what they claim
│   │   └── MissingSplitError     a dataset that has no such split
│   ├── CheckpointError           a checkpoint that is unreadable, torn or of another run
│   └── RunError                  a run folder that is not what the command needs
├── SolverError                1  a solve ended badly and `throw=True` asked to hear of it
├── TrainingError              1  training cannot go on (a loss that is not finite)
├── ExpectationError           3  the run finished, but a bound under `expect:` was missed
└── Interrupted              130  stopped by a signal, after saving a checkpoint
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar, TextIO

__all__ = [
    "CheckpointError",
    "ComponentError",
    "DataError",
    "ExpectationError",
    "FmcoreError",
    "FmcoreWarning",
    "Interrupted",
    "MissingSplitError",
    "PluginError",
    "RecipeError",
    "RunError",
    "SolverError",
    "TrainingError",
    "UserError",
    "did_you_mean",
    "route_warnings",
]


class FmcoreError(Exception):
    """The root: whatever fmcore raises on purpose is one of these."""

    exit_code: ClassVar[int] = 1


class UserError(FmcoreError):
    """Something the user gave is wrong: the message says what, where and what to do."""

    exit_code: ClassVar[int] = 2


class RecipeError(UserError):
    """All that is wrong with a recipe, one located message per fault in `faults`."""

    def __init__(self, faults: str | Iterable[str]) -> None:
        told = (faults,) if isinstance(faults, str) else faults
        self.faults: tuple[str, ...] = tuple(_printable(fault) for fault in told)
        super().__init__("\n".join(self.faults))


class PluginError(UserError):
    """A plugin, or a component in one, cannot be found, loaded or told from another."""


class ComponentError(UserError):
    """An option of a component is wrong, or components do not go together; says why."""


class DataError(UserError):
    """Data, weights or reference files that are missing or not what they claim to be."""


class MissingSplitError(DataError):
    """A dataset has no such split; its other split can be read."""


class CheckpointError(UserError):
    """A checkpoint that is unreadable, torn or belongs to something else."""


class RunError(UserError):
    """A run folder that is not what the command needs."""


class SolverError(FmcoreError):
    """A solve ended badly for at least one sample, and the caller asked to be told."""


class TrainingError(FmcoreError):
    """Training cannot go on; the message names the step and the last good checkpoint."""


class ExpectationError(FmcoreError):
    """The run finished, but a bound under the recipe's `expect:` was missed."""

    exit_code: ClassVar[int] = 3


class Interrupted(FmcoreError):
    """Stopped by a signal, after saving; the message says how to go on."""

    exit_code: ClassVar[int] = 130


class FmcoreWarning(UserWarning):
    """Said beside a result that is given all the same: something asked for was not to be had."""


def _printable(text: str) -> str:
    """Control characters, meant for the terminal by a stranger's recipe, written as escapes."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest choice, or nothing: to be put behind an error's first
    half.

    >>> did_you_mean("sgima_min", ["sigma_min", "source"])
    "; did you mean 'sigma_min'?"
    """
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


@contextmanager
def route_warnings(say: Callable[[str], object]) -> Iterator[None]:
    """Meanwhile `say` hears every FmcoreWarning, instead of Python's own two lines with a path."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, FmcoreWarning):
                say(str(message))
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
