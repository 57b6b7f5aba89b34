"""Many runs of one recipe, each in a folder of its own: made, gone on with, or taken as they are.

The members of a group share their training: the first one trains, and the others begin with its
network, to be sampled and measured in other ways.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fmcore.errors import ExpectationError, FmcoreError, Interrupted
from fmcore.recipe.recipe import Recipe
from fmcore.registry import registry
from fmcore.runs.files import atomic, write_text
from fmcore.runs.folder import RunFolder
from fmcore.stages.run import run

__all__ = ["SweepResult", "SweepRun", "sweep"]


@final
@dataclass(frozen=True)
class SweepRun:
    """A run of a sweep: what it is called, what it is to do, and where."""

    title: str
    recipe: Recipe
    folder: Path


@final
@dataclass(frozen=True)
class SweepResult:
    """A member with its results, or why there are none."""

    member: SweepRun
    results: Mapping[str, Any]
    failure: str = ""


def sweep(
    groups: Sequence[Sequence[SweepRun]],
    *,
    jobs: int = 1,
    device: str | None = None,
    quiet: bool = False,
    say: Callable[[str], None] = print,
) -> list[list[SweepResult]]:
    """Make every run of `groups`, `jobs` groups at once, each run then in a process of its own.

    A run that fails is told, and the others go on.  A bound under `expect:` is the recipe's own
    affair: missing it is no failure here.  Raises Interrupted if one was asked to stop.
    """

    def made(group: Sequence[SweepRun]) -> list[SweepResult]:
        return list(_together(group, jobs > 1, device, quiet, say))

    if jobs == 1:
        return [made(group) for group in groups]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(made, groups))


def _together(
    group: Sequence[SweepRun],
    apart: bool,
    device: str | None,
    quiet: bool,
    say: Callable[[str], None],
) -> Iterator[SweepResult]:
    trained: Path | None = None
    for member in group:
        say(member.title)
        try:
            if trained is not None:
                _hand_on(trained, member)
            make = _in_another_process if apart else _in_process
            make(member, device, quiet)
        except FmcoreError as error:
            if error.exit_code == Interrupted.exit_code:  # asked to stop: no failure of this run
                raise Interrupted(
                    f"stopped at {member.title}; what is done is saved.  "
                    "To go on, give the same command"
                ) from error
            yield SweepResult(member, {}, str(error))
        else:
            trained = trained or member.folder
            yield SweepResult(member, RunFolder(member.folder, lambda line: None).results())


def _in_process(member: SweepRun, device: str | None, quiet: bool) -> None:
    try:
        run(member.recipe, out=member.folder, device=device, quiet=quiet)
    except ExpectationError as missed:
        RunFolder(member.folder, lambda line: None).log(f"warning: {missed}")


def _in_another_process(member: SweepRun, device: str | None, quiet: bool) -> None:
    file = member.folder.with_name(f"{member.folder.name}.recipe") / f"{member.recipe.name}.yaml"
    write_text(file, member.recipe.to_yaml())
    command = [sys.executable, "-m", "fmcore", "run", str(file), "--out", str(member.folder), "-q"]
    command += ["--device", device] if device else []
    command += [word for p in registry().plugins if p.file for word in ("--plugin", p.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode in (0, ExpectationError.exit_code):
        return
    said = done.stderr.strip() or f"exit code {done.returncode}"
    if done.returncode == Interrupted.exit_code:
        raise Interrupted(said.splitlines()[-1])
    raise FmcoreError(said.rpartition("error: ")[2])


def _hand_on(trained: Path, member: SweepRun) -> None:
    """Let `member`'s run begin with the network of the run in `trained`, unless it has its own."""
    folder = RunFolder.begin(member.recipe, member.folder, lambda line: None)
    if folder.checkpoints.steps():
        return
    for part in ("snapshots", "checkpoints"):  # a checkpoint's tensors, then the JSON that counts
        for file in sorted((trained / part).glob("step-*"), key=lambda f: f.suffix == ".json"):
            _copied(file, member.folder / part / file.name)
    if (trained / "metrics.jsonl").exists():
        _copied(trained / "metrics.jsonl", folder.curve_file)
    folder.record({"trained_in": str(trained)})


def _copied(source: Path, target: Path) -> None:
    atomic(target, lambda part: _fill(part, source))


def _fill(part: Path, source: Path) -> None:
    shutil.copyfile(source, part)
