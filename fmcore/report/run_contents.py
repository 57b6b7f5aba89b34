"""The files of a run folder, each read once for its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final

from safetensors import safe_open

from fmcore.recipe.load import read_values
from fmcore.report.parts import attempt, shard_files
from fmcore.runs.files import json_object
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import Curve

__all__ = ["RunContents", "read_run"]

T = TypeVar("T")


@final
@dataclass(frozen=True)
class RunContents:
    """What a run folder contains; a missing or corrupt file is an empty value.

    `sampling` is how the samples were drawn; `nfe` and `status` hold a number per sample on disk.
    """

    root: Path
    facts: Mapping[str, Any]
    recipe: Mapping[str, Any]
    origins: Mapping[str, Any]
    results: Mapping[str, Any]
    curve: Sequence[Mapping[str, Any]]
    sampling: Mapping[str, Any]
    nfe: Sequence[int]
    status: Sequence[int]
    warnings: Sequence[str]

    @property
    def samples(self) -> Path:
        """The folder of samples and pictures."""
        return self.root / "samples"


def read_run(folder: RunFolder, omitted: list[str]) -> RunContents:
    """Read the files of `folder`; a line for each corrupt one is added to `omitted`."""

    def read(what: str, make: Callable[[], T], default: T) -> T:
        found = attempt(what, make, omitted)
        return default if found is None else found

    nothing: dict[str, Any] = {}
    empty: tuple[list[int], list[int]] = ([], [])
    nfe, status = read("the shards of samples", lambda: _costs(folder.samples), empty)
    return RunContents(
        folder.root,
        facts=read("run.json", folder.facts, nothing),
        recipe=read("recipe.yaml", lambda: read_values(folder.recipe_file), nothing),
        origins=read("origins.json", folder.origins, nothing),
        results=read("results.json", folder.results, nothing),
        curve=read("metrics.jsonl", Curve(folder.curve_file).lines, list[dict[str, Any]]()),
        sampling=read("made.json", lambda: _sampling(folder.samples), nothing),
        nfe=nfe,
        status=status,
        warnings=read("log.txt", lambda: _logged_warnings(folder.root / "log.txt"), list[str]()),
    )


def _costs(samples: Path) -> tuple[list[int], list[int]]:
    nfe: list[int] = []
    status: list[int] = []
    for file in shard_files(samples):
        with safe_open(file, "pt") as shard:
            nfe += shard.get_tensor("nfe").tolist()
            status += shard.get_tensor("status").tolist()
    return nfe, status


def _sampling(samples: Path) -> dict[str, Any]:
    file = samples / "made.json"
    return json_object(file) if file.is_file() else {}


def _logged_warnings(log: Path) -> list[str]:
    if not log.is_file():
        return []
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.partition("warning:")[2].strip() for line in lines if "warning:" in line]
