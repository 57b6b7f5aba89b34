"""Where the runs of a sweep are made: in this process, in processes of their own, or in jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, final

from fmcore.errors import ExpectationError, FmcoreError, Interrupted, RecipeError, did_you_mean
from fmcore.recipe.nodes import to_python
from fmcore.recipe.overrides import parse_value
from fmcore.recipe.recipe import Recipe
from fmcore.registry import registry
from fmcore.runs.files import write_text
from fmcore.runs.folder import RunFolder
from fmcore.runs.signals import PARENT
from fmcore.stages.run import run

__all__ = [
    "ENGINES",
    "Engine",
    "InProcess",
    "Processes",
    "RunningMember",
    "SweepRun",
    "is_finished",
    "member_command",
    "raise_failure",
    "read_engine",
]

ENGINES = ("process", "submitit")


@final
@dataclass(frozen=True)
class SweepRun:
    """A run to be made: its title, recipe and folder."""

    title: str
    recipe: Recipe
    folder: Path


class RunningMember(Protocol):
    """A run that was started."""

    def ended(self) -> bool:
        """Return whether the run has ended."""

    def check(self) -> None:
        """Raise the FmcoreError of an ended run that failed."""

    def stop(self) -> None:
        """Ask the run to save and end."""

    def join(self) -> None:
        """Wait until a stopped run has ended."""


class Engine(Protocol):
    """Starts the runs of a sweep."""

    @property
    def pause(self) -> float:
        """Seconds between two looks at the runs."""

    def start(self, planned: SweepRun) -> RunningMember:
        """Start or resume a run.  Raises FmcoreError if that fails."""


def read_engine(text: str) -> tuple[str, Mapping[str, Any]]:
    """Return the name and the options of an engine, from a name or `{name: ..., option: ...}`.

    Raises RecipeError for an unknown engine, and for options of an engine that has none.
    """
    value = to_python(parse_value(text))
    options = dict(value) if isinstance(value, dict) else {"name": value}
    if "name" not in options or text.count("{") != text.count("}"):
        raise RecipeError(
            f"engine {text[:60]!r}: write '{{name: submitit, timeout_min: 60}}', in quotes and "
            "with a space after each colon"
        )
    name = options.pop("name")
    if name not in ENGINES:
        hint = "; did you mean 'submitit'?" if name == "slurm" else did_you_mean(str(name), ENGINES)
        raise RecipeError(
            f"no engine '{str(name)[:60]}'{hint or ';'} engines: {', '.join(ENGINES)}"
        )
    if options and name == "process":
        raise RecipeError(f"engine 'process' has no options, got {', '.join(map(str, options))}")
    return name, options


def member_command(planned: SweepRun, device: str | None) -> list[str]:
    """Write the recipe of a run next to its folder, and return the command that makes the run."""
    # outside the run folder, which must hold nothing before its recipe.yaml
    place = planned.folder.with_name(f"{planned.folder.name}.recipe")
    file = place / f"{planned.recipe.name}.yaml"
    write_text(file, planned.recipe.to_yaml())
    command = [sys.executable, "-m", "fmcore", "run", str(file), "--out", str(planned.folder), "-q"]
    command += ["--device", device] if device else []
    return command + [word for p in registry().plugins if p.file for word in ("--plugin", p.file)]


def raise_failure(code: int, errors: str) -> None:
    """Raise the FmcoreError of a command that ended with exit code `code`; a missed bound is none.

    Raises Interrupted if the command was stopped.
    """
    if code in (0, ExpectationError.exit_code):
        return
    message = errors.strip() or f"exit code {code}"
    if code == Interrupted.exit_code:
        raise Interrupted(message.splitlines()[-1])
    raise FmcoreError(message.rpartition("error: ")[2])


def is_finished(planned: SweepRun) -> bool:
    """Return whether all results of the run are there, so that making it again only checks them."""
    measured = RunFolder(planned.folder, lambda line: None).facts().get("measured")
    return isinstance(measured, dict) and measured.get("digest") == planned.recipe.digest


@final
@dataclass(frozen=True)
class _Ended:
    """A run that succeeded."""

    def ended(self) -> bool:
        return True

    def check(self) -> None:
        """Nothing to raise."""

    def stop(self) -> None:
        """Nothing to stop."""

    def join(self) -> None:
        """Nothing to wait for."""


@final
@dataclass(frozen=True)
class InProcess:
    """Makes each run in this process, one after the other, with its own progress."""

    device: str | None
    quiet: bool
    pause: float = 0.0

    def start(self, planned: SweepRun) -> RunningMember:
        """Make the run.  A missed bound under `expect:` is a warning in its log."""
        try:
            run(planned.recipe, out=planned.folder, device=self.device, quiet=self.quiet)
        except ExpectationError as missed:
            RunFolder(planned.folder, lambda line: None).log(f"warning: {missed}")
        return _Ended()


@final
@dataclass(frozen=True)
class Processes:
    """Makes each run in a process of its own, which ends with this one."""

    device: str | None
    pause: float = 0.05

    def start(self, planned: SweepRun) -> RunningMember:
        """Start the process; a finished run is checked in this one, which is faster."""
        if is_finished(planned):
            return InProcess(self.device, quiet=True).start(planned)
        # a killed benchmark must not leave runs behind that nothing collects
        own = {**os.environ, PARENT: str(os.getpid())}
        errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        child = subprocess.Popen(
            member_command(planned, self.device),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            text=True,
            env=own,
        )
        return _Child(child, errors)


@final
@dataclass(frozen=True)
class _Child:
    process: subprocess.Popen[str]
    errors: IO[str]

    def ended(self) -> bool:
        return self.process.poll() is not None

    def check(self) -> None:
        with self.errors as errors:
            errors.seek(0)
            text = errors.read()
        raise_failure(self.process.returncode, text)

    def stop(self) -> None:
        self.process.terminate()

    def join(self) -> None:
        self.process.wait()
        self.errors.close()
