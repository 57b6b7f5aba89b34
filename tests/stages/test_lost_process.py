"""A process that dies or hangs ends the others in bounded time, with one line."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fmcore import FmcoreError
from fmcore.runs.distributed import process_timeout

SCRIPT = Path(__file__).parent / "lonely.py"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


@pytest.mark.parametrize("harm", ["dies", "hangs"])
def test_the_other_process_ends_with_one_line(tiny, tmp_path, harm):
    port = free_port()
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(tiny), str(tmp_path / "run"), harm],
            env={
                **os.environ,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": "2",
                "MASTER_ADDR": "localhost",
                "MASTER_PORT": str(port),
                "OMP_NUM_THREADS": "1",
                "FMCORE_PROCESS_TIMEOUT": "6",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        _, errors = started[0].communicate(timeout=90)
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert started[0].returncode == 1
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, errors
    assert "another of the 2 processes ended or did not answer" in lines[0]
    assert "Traceback" not in errors


def test_the_wait_is_a_number_of_seconds(monkeypatch):
    monkeypatch.setenv("FMCORE_PROCESS_TIMEOUT", "90")
    assert process_timeout().total_seconds() == 90
    for odd in ("0", "-1", "soon", "inf", "nan"):
        monkeypatch.setenv("FMCORE_PROCESS_TIMEOUT", odd)
        with pytest.raises(FmcoreError, match=f"a number of seconds, not '{odd}'"):
            process_timeout()
