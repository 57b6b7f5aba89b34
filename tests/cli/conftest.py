"""Call the command line in the test's process, with a new registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from fmcore.cli import command_line
from fmcore.cli.outcome import exit_code_of
from fmcore.registry import forget


@dataclass(frozen=True)
class Ended:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[None]:
    """Find plugins again, in an empty folder, without the settings of the caller."""
    for name in ("FMCORE_PLUGINS", "FMCORE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    forget()
    yield
    forget()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Call `fmcore ...` in this process."""

    def call(*words: str) -> Ended:
        code = exit_code_of(
            lambda: command_line.main(list(words), prog_name="fmcore", standalone_mode=False)
        )
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return call
