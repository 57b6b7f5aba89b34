"""Many runs of one recipe, each in its own folder; finished runs are reused, stopped ones resumed.

The runs of a group share their training: the first one trains, the others start from its network,
to be sampled and evaluated in other ways.
"""

from __future__ import annotations

import os
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
from fmcore.runs.signals import PARENT
from fmcore.stages.run import run

__all__ = ["SweepResult", "SweepRun", "sweep"]


@final
@dataclass(frozen=True)
class SweepRun:
    """A run to be made: its title, recipe and folder."""

    title: str
    recipe: Recipe
    folder: Path


@final
@dataclass(frozen=True)
class SweepResult:
    """The results of a run, or the message of its failure."""

    run: SweepRun
    results: Mapping[str, Any]
    failure: str = ""


def sweep(
    groups: Sequence[Sequence[SweepRun]],
    *,
    jobs: int = 1,
    device: str | None = None,
    quiet: bool = False,
    emit: Callable[[str], None] = print,
) -> list[list[SweepResult]]:
    """Make every run of `groups`; with `jobs` > 1 that many groups in parallel, a process per run.

    A failed run is a result with its message, and the others continue.  A missed bound under
    `expect:` is a warning in the log of the run, not a failure.  Raises Interrupted if stopped.
    """

    children: set[subprocess.Popen[str]] = set()

    def make(group: Sequence[SweepRun]) -> list[SweepResult]:
        return list(_run_group(group, children if jobs > 1 else None, device, quiet, emit))

    if jobs == 1:
        return [make(group) for group in groups]
    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(make, groups))
        except BaseException:
            # the pool waits for its threads, and these for their runs: they save and end
            for child in tuple(children):
                child.terminate()
            raise


def _run_group(
    group: Sequence[SweepRun],
    children: set[subprocess.Popen[str]] | None,
    device: str | None,
    quiet: bool,
    emit: Callable[[str], None],
) -> Iterator[SweepResult]:
    trained: Path | None = None
    for planned in group:
        emit(planned.title)
        try:
            if trained is not None:
                _copy_network(trained, planned)
            if children is None:
                _run_here(planned, device, quiet)
            else:
                _run_in_process(planned, device, children)
        except FmcoreError as error:
            # by exit code: the error of another process arrives without its class
            if error.exit_code == Interrupted.exit_code:
                raise Interrupted(
                    f"stopped at {planned.title}; finished work is saved.  "
                    "To resume, give the same command"
                ) from error
            yield SweepResult(planned, {}, str(error))
        else:
            trained = trained or planned.folder
            yield SweepResult(planned, RunFolder(planned.folder, lambda line: None).results())


def _run_here(planned: SweepRun, device: str | None, quiet: bool) -> None:
    try:
        run(planned.recipe, out=planned.folder, device=device, quiet=quiet)
    except ExpectationError as missed:
        RunFolder(planned.folder, lambda line: None).log(f"warning: {missed}")


def _run_in_process(
    planned: SweepRun, device: str | None, children: set[subprocess.Popen[str]]
) -> None:
    # outside the run folder, which must hold nothing before its recipe.yaml
    place = planned.folder.with_name(f"{planned.folder.name}.recipe")
    file = place / f"{planned.recipe.name}.yaml"
    write_text(file, planned.recipe.to_yaml())
    command = [sys.executable, "-m", "fmcore", "run", str(file), "--out", str(planned.folder), "-q"]
    command += ["--device", device] if device else []
    command += [word for p in registry().plugins if p.file for word in ("--plugin", p.file)]
    # a killed benchmark must not leave runs behind that nothing collects
    own = {**os.environ, PARENT: str(os.getpid())}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=own
    ) as child:
        children.add(child)
        _, errors = child.communicate()
        children.discard(child)
    if child.returncode in (0, ExpectationError.exit_code):
        return
    message = errors.strip() or f"exit code {child.returncode}"
    if child.returncode == Interrupted.exit_code:
        raise Interrupted(message.splitlines()[-1])
    raise FmcoreError(message.rpartition("error: ")[2])


def _copy_network(trained: Path, planned: SweepRun) -> None:
    """Copy the network of the run in `trained` to `planned`, unless that has one."""
    folder = RunFolder.begin(planned.recipe, planned.folder, lambda line: None)
    if folder.checkpoints.steps():
        return
    for part in ("snapshots", "checkpoints"):
        # the JSON last: a checkpoint exists once its JSON does
        for file in sorted((trained / part).glob("step-*"), key=lambda f: f.suffix == ".json"):
            _copy(file, planned.folder / part / file.name)
    if (trained / "metrics.jsonl").exists():
        _copy(trained / "metrics.jsonl", folder.curve_file)
    folder.record({"trained_in": str(trained)})


def _copy(source: Path, target: Path) -> None:
    def write(part: Path) -> None:
        shutil.copyfile(source, part)

    atomic(target, write)
