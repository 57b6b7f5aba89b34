"""A command that a job of submitit runs: requeued when the job is pre-empted, it resumes.

The module is imported in every job, so it imports nothing that takes long.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from fmcore.errors import Interrupted
from fmcore.runs.signals import PARENT

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission

__all__ = ["PreemptibleCommand"]

PREEMPTED = signal.SIGUSR2
"""The signal of submitit ahead of a time limit or a pre-emption."""

SECONDS_TO_REQUEUE = 120.0
"""Slurm may send SIGTERM to all processes of a job some time before PREEMPTED or SIGKILL."""


@final
class PreemptibleCommand:
    """Runs a command that saves on SIGTERM and resumes when it is started again.

    Calling it returns the exit code of the command and what it wrote to stderr.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self._child: subprocess.Popen[str] | None = None

    def __call__(self) -> tuple[int, str]:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            self._child = child = self._start(errors.fileno())
            try:
                code = child.wait()
            except BaseException:
                self._stop()
                raise
            if code == Interrupted.exit_code:
                # without the requeue that may follow, the job would end as a failure
                time.sleep(SECONDS_TO_REQUEUE)
            errors.seek(0)
            return code, errors.read()

    def checkpoint(self) -> DelayedSubmission:
        """Stop the command, wait until it has saved, and return the call that resumes it.

        Called by submitit in the handler of PREEMPTED, before it requeues the job.
        """
        from submitit.core.utils import DelayedSubmission

        self._stop()
        return DelayedSubmission(PreemptibleCommand(self.command))

    def _start(self, errors: int) -> subprocess.Popen[str]:
        own = {**os.environ, PARENT: str(os.getpid())}
        # A new process inherits the mask: the signal may be sent to all processes of the job, and
        # would kill the command before it has saved.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {PREEMPTED})
        try:
            return subprocess.Popen(
                self.command, stdout=subprocess.DEVNULL, stderr=errors, text=True, env=own
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _stop(self) -> None:
        """Send SIGTERM to the command and wait until it has ended."""
        child = self._child
        if child is None or child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child.pid, signal.SIGTERM)
            # Popen.wait holds a lock that this handler, inside that call, would wait for.
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
