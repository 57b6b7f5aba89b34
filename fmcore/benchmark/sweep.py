"""Many runs of one recipe, each in its own folder; finished runs are reused, stopped ones resumed.

The runs of a group share their training: the first one trains, the others start from its network,
to be sampled and evaluated in other ways.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fmcore.benchmark.engines import (
    Engine,
    InProcess,
    Processes,
    RunningMember,
    SweepRun,
    read_engine,
)
from fmcore.benchmark.submitit_engine import Submitit
from fmcore.benchmark.sweep_status import SweepStatus, sweep_status
from fmcore.errors import FmcoreError, Interrupted
from fmcore.runs.files import atomic
from fmcore.runs.folder import RunFolder

__all__ = ["SweepResult", "SweepRun", "check_engine", "sweep"]

RESUME = "finished work is saved.  To resume, give the same command"


@final
@dataclass(frozen=True)
class SweepResult:
    """The results of a run, or the message of its failure."""

    run: SweepRun
    results: Mapping[str, Any]
    failure: str = ""


_Making = Generator[RunningMember, None, list[SweepResult]]
"""Yields each run of a group once it is started, is resumed when it has ended, and returns the
results.
"""


def check_engine(engine: str) -> None:
    """Raise UserError for an unknown engine, or one whose package is missing."""
    _engine(engine, None, None, quiet=True)


def sweep(
    groups: Sequence[Sequence[SweepRun]],
    *,
    jobs: int | None = None,
    engine: str = "process",
    device: str | None = None,
    quiet: bool = False,
    emit: Callable[[str], None] = print,
) -> list[list[SweepResult]]:
    """Make every run of `groups`, `jobs` groups at a time.

    `engine` is `process` (this one, or with `jobs` > 1 a process for each run) or `submitit` (a job
    for each run, by default all groups at a time).  A failed run is a result with its message, and
    the others continue.  A missed bound under `expect:` is a warning in the log of the run, not a
    failure.  Raises Interrupted if stopped.
    """
    chosen = _engine(engine, jobs, device, quiet)
    limit = jobs or (len(groups) if isinstance(chosen, Submitit) else 1)
    total, elsewhere = sum(map(len, groups)), not isinstance(chosen, InProcess)
    with sweep_status(total, elsewhere=elsewhere, quiet=quiet, emit=emit) as status:
        making = [_group(group, chosen, status) for group in groups]
        return _make(making, limit, chosen.pause, status)


def _engine(text: str, jobs: int | None, device: str | None, quiet: bool) -> Engine:
    name, options = read_engine(text)
    if name == "submitit":
        return Submitit(device, options)
    return InProcess(device, quiet) if jobs in (None, 1) else Processes(device)


def _make(
    groups: Sequence[_Making], limit: int, pause: float, status: SweepStatus
) -> list[list[SweepResult]]:
    """Return the results of all groups, of which at most `limit` are made at a time."""
    results: dict[int, list[SweepResult]] = {}
    waiting, running = deque(enumerate(groups)), dict[int, tuple[_Making, RunningMember]]()

    def resume(number: int, group: _Making) -> None:
        running.pop(number, None)
        try:
            running[number] = (group, next(group))
        except StopIteration as end:
            results[number] = end.value

    try:
        while waiting or running:
            while waiting and len(running) < limit:
                resume(*waiting.popleft())
            for number, (group, member) in tuple(running.items()):
                if member.ended():
                    resume(number, group)
            if running:
                time.sleep(pause)
    except BaseException as error:
        if running:
            status.stopping()
        for _, member in running.values():
            member.stop()
        for _, member in running.values():
            member.join()
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(f"stopped; {RESUME}") from error
        raise
    return [results[number] for number in range(len(groups))]


def _group(group: Sequence[SweepRun], engine: Engine, status: SweepStatus) -> _Making:
    trained: Path | None = None
    made: list[SweepResult] = []
    for planned in group:
        status.started(planned.title)
        try:
            if trained is not None:
                _copy_network(trained, planned)
            member = engine.start(planned)
            yield member
            member.check()
        except FmcoreError as error:
            # by exit code: the error of another process arrives without its class
            if error.exit_code == Interrupted.exit_code:
                raise Interrupted(f"stopped at {planned.title}; {RESUME}") from error
            made.append(SweepResult(planned, {}, str(error)))
        else:
            trained = trained or planned.folder
            results = RunFolder(planned.folder, lambda line: None).results()
            made.append(SweepResult(planned, results))
        status.ended(planned.title, made[-1].failure)
    return made


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
