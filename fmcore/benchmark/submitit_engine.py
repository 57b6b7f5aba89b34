"""The runs of a sweep as jobs of submitit: on Slurm, or in processes of this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, final

from fmcore.benchmark.engines import (
    InProcess,
    RunningMember,
    SweepRun,
    is_finished,
    member_command,
    raise_failure,
)
from fmcore.benchmark.preemptible import PreemptibleCommand
from fmcore.errors import FmcoreError, Interrupted, UserError, did_you_mean

__all__ = ["Submitit"]

MINUTES = 240
"""The default time of a job; submitit's own of 5 minutes is shorter than most runs."""

REQUEUES = 1000
"""A run may need many jobs; submitit's own limit is 3 of them that reach their time."""

SECONDS_TO_END = 10.0
"""The longest wait for a cancelled job of this machine; submitit kills its process after 1 s."""

PARAMETERS = (
    *("cluster", "timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "setup"),
    *("slurm_partition", "slurm_account", "slurm_qos", "slurm_constraint", "slurm_time"),
)
"""Options that are suggested for a misspelt one; submitit has more."""


@final
@dataclass(frozen=True)
class Submitit:
    """Makes each run in a job.  `options` are those of submitit's `AutoExecutor`, and `cluster`,
    which is `slurm` where there is one, else `local`.

    Raises UserError without submitit, and for options that it refuses.
    """

    device: str | None
    options: Mapping[str, Any]
    pause: float = 1.0

    def __post_init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:  # refused before a run is made
            self._executor(Path(folder), "check")

    def start(self, planned: SweepRun) -> RunningMember:
        """Submit the job; a finished run is checked in this process."""
        if is_finished(planned):
            return InProcess(self.device, quiet=True).start(planned)
        logs = planned.folder.with_name(f"{planned.folder.name}.job")
        executor = self._executor(logs, planned.recipe.name)
        return _Job(executor.submit(PreemptibleCommand(member_command(planned, self.device))))

    def _executor(self, logs: Path, name: str) -> Any:
        given = dict(self.options)
        limits = {"slurm_max_num_timeout": REQUEUES, "local_max_num_timeout": REQUEUES}
        try:
            executor = _submitit().AutoExecutor(logs, given.pop("cluster", None), **limits)
            parameters = {"timeout_min": MINUTES, "name": name, **given}
            executor.update_parameters(**parameters)
        except (AssertionError, NameError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            unknown = [option for option in self.options if option not in PARAMETERS]
            hints = "".join(did_you_mean(str(option), PARAMETERS) for option in unknown)
            raise UserError(f"engine 'submitit': {reason}{hints}") from error
        return executor


@final
@dataclass(frozen=True)
class _Job:
    """A submitted job."""

    job: Any

    def ended(self) -> bool:
        return bool(self.job.done())

    def check(self) -> None:
        try:
            code, errors = self.job.result()
        except _submitit().core.utils.UncompletedJobError as error:
            lines = str(error).splitlines()
            raise FmcoreError(
                f"job {self.job.job_id} ended without a result: {lines[-1] if lines else ''}; "
                f"its logs are in {self.job.paths.folder}"
            ) from error
        try:
            raise_failure(code, errors)
        except Interrupted as error:
            # one job was stopped, not the sweep: the other runs continue
            raise FmcoreError(f"job {self.job.job_id} was stopped: {error}") from error

    def stop(self) -> None:
        self.job.cancel(check=False)

    def join(self) -> None:
        """Wait until a job of this machine has ended; a scheduler ends its jobs by itself."""
        # else its last messages would be printed after those of the command, on the user's prompt
        deadline = time.monotonic() + SECONDS_TO_END
        while isinstance(self.job, _submitit().LocalJob) and time.monotonic() < deadline:
            if self.ended():
                return
            time.sleep(0.05)


def _submitit() -> ModuleType:
    try:
        import submitit
    except ImportError as error:
        raise UserError(
            "engine 'submitit' needs the package submitit: pip install 'fmcore-flow[slurm]'"
        ) from error
    return submitit
