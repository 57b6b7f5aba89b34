"""The folder of a run, and what belongs where in it.

recipe.yaml        the complete recipe, every default written out
origins.json       where each value of it was written
run.json           versions, hardware, seeds, timings
log.txt            what happened, with times
metrics.jsonl      a line for every few steps of training
checkpoints/       see fmcore.runs.checkpoint
snapshots/         power averages, where train.snapshot_every asks for them
evaluations/       what was measured while training, where train.evaluate_every asks for it
tracking/          what train.trackers wrote
samples/           shards of samples, and pictures
tally/             what an evaluation has measured so far; gone once its results are written
results.json       each metric's value, error and provenance
report.html        all of it as one page
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from fmcore.errors import RunError
from fmcore.recipe.diff import diff
from fmcore.recipe.load import load_recipe
from fmcore.recipe.recipe import Recipe
from fmcore.runs.checkpoint import CheckpointFolder
from fmcore.runs.files import json_object, opened_for_adding, writable, write_json, write_text

__all__ = ["RunFolder"]


@final
@dataclass(frozen=True)
class RunFolder:
    """A run on disk.  `say` hears, in one line each, what a person watching should know.

    Of several processes one `leads`; the others read the folder, and neither say nor record.
    """

    root: Path
    say: Callable[[str], None] = print
    leads: bool = True

    @property
    def recipe_file(self) -> Path:
        """The complete recipe."""
        return self.root / "recipe.yaml"

    @property
    def samples(self) -> Path:
        """The folder of samples and pictures."""
        return self.root / "samples"

    @property
    def tally(self) -> Path:
        """The folder of what an evaluation has measured so far."""
        return self.root / "tally"

    @property
    def results_file(self) -> Path:
        """The results, as JSON."""
        return self.root / "results.json"

    @property
    def curve_file(self) -> Path:
        """The training curve, one JSON object a line."""
        return self.root / "metrics.jsonl"

    @property
    def checkpoints(self) -> CheckpointFolder:
        """The checkpoints of this run."""
        return CheckpointFolder(self.root / "checkpoints", warn=self.log)

    @property
    def snapshots(self) -> CheckpointFolder:
        """The power averages kept for later, every few steps."""
        return CheckpointFolder(self.root / "snapshots", warn=self.log)

    def log(self, line: str) -> None:
        """Say `line`, and keep it in log.txt with the time."""
        if not self.leads:
            return
        self.say(line)
        text = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z  {line}\n"
        with writable(self.root / "log.txt"), opened_for_adding(self.root / "log.txt") as stream:
            stream.write(text.encode("utf-8", "backslashreplace"))

    def record(self, facts: Mapping[str, Any]) -> None:
        """Add `facts` to run.json."""
        if self.leads:
            write_json(self.root / "run.json", {**self.facts(), **facts})

    def facts(self) -> dict[str, Any]:
        """What run.json holds so far.  Raises RunError unless what fmcore itself reads is sound."""
        file = self.root / "run.json"
        found = _read_json(file)
        seconds = found.get("seconds", {})
        if not isinstance(seconds, dict) or not all(map(is_number, seconds.values())):
            raise RunError(f"{file}: 'seconds' should hold a number for each stage")
        if not isinstance(found.get("recipe", ""), str):
            raise RunError(f"{file}: 'recipe' should be a name")
        return found

    def results(self) -> dict[str, Any]:
        """What results.json holds so far.  Raises RunError for what is no result."""
        found = _read_json(self.results_file)
        for name, result in found.items():
            if not _is_result(result):
                raise RunError(
                    f"{self.results_file}: '{name[:60]}' is no result: a value, its error and its "
                    "provenance; measure again with fmcore evaluate"
                )
        return found

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder: a second process that would write to it is told so.  Raises RunError."""
        with ExitStack() as held:
            with writable(self.root / ".lock"):
                handle = held.enter_context(opened_for_adding(self.root / ".lock"))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunError(
                    f"{self.root}: another process is working in this run folder; "
                    "wait for it or choose another folder with --out"
                ) from error
            yield

    @classmethod
    def begin(
        cls, recipe: Recipe, out: Path | None = None, say: Callable[[str], None] = print
    ) -> RunFolder:
        """A new folder for `recipe`, or the one at `out` to go on with.

        Raises RunError if `out` holds a run of another recipe (naming every difference) or
        something that is not a run.
        """
        root = out or Path("runs") / recipe.name / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
        folder = cls(root, say)
        with writable(root):
            root.mkdir(parents=True, exist_ok=True)
            strangers = [p for p in root.iterdir() if p.name not in (".lock", "log.txt")]
        if folder.recipe_file.exists():
            folder._require_same(recipe)
        elif strangers:
            raise RunError(
                f"{root}: holds files but no recipe.yaml, so it is not a run; choose another --out"
            )
        else:
            write_text(folder.recipe_file, recipe.to_yaml())
            write_json(root / "origins.json", recipe.origins)
        return folder

    @classmethod
    def open(cls, root: Path, say: Callable[[str], None] = print) -> RunFolder:
        """The run at `root`.  Raises RunError if there is none."""
        if not (root / "recipe.yaml").is_file():
            near = sorted(str(p.parent) for p in root.glob("*/recipe.yaml"))
            hint = f"; did you mean {near[-1]}?" if near else ""
            raise RunError(f"{root}: not a run folder: it has no recipe.yaml{hint}")
        return cls(root, say)

    def recipe(self) -> Recipe:
        """The recipe of this run."""
        return load_recipe(self.recipe_file, name=self.facts().get("recipe", self.root.name))

    def origins(self) -> dict[str, Any]:
        """Where each value of the recipe was written, by dotted key; empty where not recorded."""
        return _read_json(self.root / "origins.json")

    def _require_same(self, recipe: Recipe) -> None:
        changes = diff(self.recipe(), recipe)
        if changes:
            lines = [
                f"  {key}: {there!r} there, {here!r} asked for" for key, there, here in changes
            ]
            raise RunError(
                f"{self.root}: holds a run of another recipe:\n" + "\n".join(lines) + "\n"
                "give the same recipe to go on with it, or another --out to start anew"
            )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return json_object(path)
    except ValueError as error:
        raise RunError(f"{path}: not readable as JSON: {error}") from error


def is_number(value: Any) -> bool:
    """Whether `value` is a number that JSON can hold, or the word for one that it cannot."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, bool)


def _is_result(result: Any) -> bool:
    if not isinstance(result, dict) or not isinstance(result.get("provenance"), dict):
        return False
    error = result.get("error", False)
    return is_number(result.get("value")) and (error is None or is_number(error))
