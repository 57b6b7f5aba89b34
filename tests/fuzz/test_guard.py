"""The guard of the fuzz tests notices what it forbids, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from .guard import guarded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")

HARM = {
    "starts a process": lambda folder: subprocess.run(["true"], check=True),
    "runs a shell": lambda folder: os.system("true"),
    "sets a variable": lambda folder: os.putenv("FMCORE_FUZZ", "1"),
    "writes elsewhere": lambda folder: (folder.parent / "x").write_bytes(b""),
    "writes to a sibling": lambda folder: Path(f"{folder}2").write_bytes(b""),
    "creates a folder": lambda folder: (folder.parent / "y").mkdir(),
    "moves a file out": lambda folder: Path("a").rename(folder.parent / "z"),
}


@pytest.mark.parametrize("harm", HARM)
def test_harm_is_noticed(harm, tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "a").touch()
    with pytest.raises(AssertionError, match=r"os\.|Popen|writes|open"), guarded(folder):
        HARM[harm](folder)


def loop_forever() -> None:
    while True:
        with suppress(Exception):
            sum(range(1000))


def test_an_endless_loop_is_ended(tmp_path):
    with pytest.raises(AssertionError, match="processor time"), guarded(tmp_path, seconds=0.1):
        loop_forever()


def test_memory_is_limited(tmp_path):
    with pytest.raises(MemoryError), guarded(tmp_path, memory=1 << 26):
        np.empty(1 << 24)
    np.empty(1 << 24)


def test_files_may_change_inside_the_folder(tmp_path):
    with guarded(tmp_path):
        Path("b").mkdir()
        Path("b/c").write_bytes(b"1")
        Path("b/c").rename("d")
        Path("d").unlink()
