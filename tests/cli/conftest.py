"""The command line called within the test's process, with a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from fmcore.cli import command_line
from fmcore.cli.outcome import exit_code_of
from fmcore.registry import forget


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[None]:
    """Plugins are found anew, in an empty folder, with none of the caller's settings."""
    for name in ("FMCORE_PLUGINS", "FMCORE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    forget()
    yield
    forget()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Calls `fmcore ...` here."""

    def call(*words: str) -> Ended:
        code = exit_code_of(
            lambda: command_line.main(list(words), prog_name="fmcore", standalone_mode=False)
        )
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return call
