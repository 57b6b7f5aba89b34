"""The exceptions of fmcore, and the exit code of a command that one of them ends.

FmcoreError                    1  the run failed
├── UserError                  2  something the user gave is wrong; printed without a traceback
│   ├── RecipeError               a recipe or an override: one located message per fault
│   ├── PluginError               a plugin or component is not found, not loadable or ambiguous
│   ├── ComponentError            an option of a component, or incompatible components
│   ├── DataError                 data, weights or references, missing or not what they claim
│   │   └── MissingSplitError     a dataset that has no such split
│   ├── CheckpointError           a checkpoint that is corrupt, or of another run
│   └── RunError                  a run folder that is not what the command needs
├── SolverError                1  a solve failed and its solver has `throw=True`
├── TrainingError              1  training cannot continue (a loss that is not finite)
├── ExpectationError           3  the run finished, but a bound under `expect:` was missed
└── Interrupted              130  stopped by a signal, after saving a checkpoint
"""

from __future__ import annotations

import difflib
import errno
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar, TextIO

__all__ = [
    "REMEDIES",
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
    "similar_to",
]

SIMILAR = 0.65
"""The least `difflib` ratio of a suggestion: 'fdi' suggests 'fid' (0.67), but 'nothing' does not
suggest 'flow_matching' (0.60)."""

REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space, then give the same command again",
    errno.EDQUOT: "the disk quota is used up: free some space, then give the same command again",
    errno.EFBIG: "the file is larger than this system allows (see ulimit -f)",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ELOOP: "it is a link, and nothing is written through one: remove it",
    errno.EACCES: "no permission to write there: choose another folder",
    errno.EPERM: "no permission to write there: choose another folder",
    errno.ENOENT: "no file can be created there: choose another folder",
    errno.ENOTDIR: "a file is where a folder should be: choose another folder",
    errno.EEXIST: "a file is where a folder should be: choose another folder",
    errno.EISDIR: "a folder is where the file should be: choose another name",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}
"""What to do about an error of the system in writing a file, by its number."""


class FmcoreError(Exception):
    """The base class of all exceptions that fmcore raises."""

    exit_code: ClassVar[int] = 1


class UserError(FmcoreError):
    """An error in what the user gave: the message states what, where and what to do."""

    exit_code: ClassVar[int] = 2


class RecipeError(UserError):
    """All errors of a recipe; `faults` holds one message per error, each with its place."""

    def __init__(self, faults: str | Iterable[str]) -> None:
        messages = (faults,) if isinstance(faults, str) else faults
        self.faults: tuple[str, ...] = tuple(_escape_control(message) for message in messages)
        super().__init__("\n".join(self.faults))


class PluginError(UserError):
    """A plugin or a component is not found, not loadable, or its name is ambiguous."""


class ComponentError(UserError):
    """An option of a component is invalid, or components are incompatible."""


class DataError(UserError):
    """Data, weights or reference files that are missing or not what they claim to be."""


class MissingSplitError(DataError):
    """A dataset has no such split; its other split can be read."""


class CheckpointError(UserError):
    """A checkpoint that is corrupt, or belongs to another run or network."""


class RunError(UserError):
    """A run folder that the command cannot use."""


class SolverError(FmcoreError):
    """A solve failed for at least one sample, and its solver has `throw=True`."""


class TrainingError(FmcoreError):
    """Training cannot continue; the message names the step and the last valid checkpoint."""


class ExpectationError(FmcoreError):
    """The run finished, but a bound under the recipe's `expect:` was missed."""

    exit_code: ClassVar[int] = 3


class Interrupted(FmcoreError):
    """Stopped by a signal, after saving; the message says how to resume."""

    exit_code: ClassVar[int] = 130


class FmcoreWarning(UserWarning):
    """A request could not be met; the result is returned nevertheless."""


def _escape_control(text: str) -> str:
    """Return the text with control characters as escapes: a recipe may hold terminal commands."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the choice most similar to `word`, '' if none is.

    >>> did_you_mean("sgima_min", ["sigma_min", "source"])
    "; did you mean 'sigma_min'?"
    """
    similar = similar_to(word, choices)
    return f"; did you mean '{similar}'?" if similar else ""


def similar_to(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice most similar to `word`, upper and lower case alike; None if none is."""
    folded = {choice.casefold(): choice for choice in choices}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=SIMILAR)
    return folded[near[0]] if near else None


@contextmanager
def route_warnings(sink: Callable[[str], object]) -> Iterator[None]:
    """Send the text of FmcoreWarnings to `sink` inside this context, instead of to stderr."""
    with warnings.catch_warnings():
        original = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, FmcoreWarning):
                sink(str(message))
            else:
                original(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
