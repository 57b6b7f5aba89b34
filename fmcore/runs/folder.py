"""The folder of a run and its files.

recipe.yaml        the complete recipe, every default written out
origins.json       where each value of it was written
run.json           versions, hardware, data, timings, checksums, and what changed since the start
log.txt            messages, with times
metrics.jsonl      a line for every few steps of training
checkpoints/       see fmcore.runs.checkpoint
snapshots/         power averages, where train.snapshot_every asks for them
evaluations/       results measured during training, where train.evaluate_every asks for them
tracking/          files of train.trackers
samples/           shards of samples, and pictures
variants/          samples drawn with other options, each a run folder without checkpoints
partial_metrics/   states of an unfinished evaluation; removed once its results are written
results.json       each metric's value, error and provenance
report.html        all of it as one page
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, final

from fmcore.errors import RecipeError, RunError
from fmcore.recipe.diff import diff
from fmcore.recipe.load import load_recipe
from fmcore.recipe.recipe import Recipe
from fmcore.registry import registry
from fmcore.runs.checkpoint import CheckpointFolder
from fmcore.runs.files import (
    json_object,
    locked,
    opened_for_adding,
    remove_parts,
    writable,
    write_json,
    write_text,
)
from fmcore.runs.metrics_log import Curve

__all__ = ["RunFolder"]

LOCK = ".lock"
NOT_A_RUN = (LOCK, "log.txt")
"""Files that a start may leave before it writes the recipe."""


@final
@dataclass(frozen=True)
class RunFolder:
    """A run on disk.  `emit` is called with each message, in one line.

    Of several processes only the main one logs and records; the others only read.
    """

    root: Path
    emit: Callable[[str], None] = print
    is_main: bool = True
    _read: dict[Path, tuple[Any, Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def recipe_file(self) -> Path:
        """The complete recipe."""
        return self.root / "recipe.yaml"

    @property
    def samples(self) -> Path:
        """The folder of samples and pictures."""
        return self.root / "samples"

    @property
    def partial_metrics(self) -> Path:
        """The folder of the states of an unfinished evaluation."""
        return self.root / "partial_metrics"

    @property
    def results_file(self) -> Path:
        """The results, as JSON."""
        return self.root / "results.json"

    @property
    def curve_file(self) -> Path:
        """The training curve, one JSON object a line."""
        return self.root / "metrics.jsonl"

    @property
    def curve(self) -> Curve:
        """The training curve; corrupt lines are logged."""
        return Curve(self.curve_file, warn=self.log)

    @property
    def parent(self) -> Path | None:
        """The run whose network drew these samples, for a folder made by `fmcore sample --to`."""
        named = self.facts().get("checkpoints_of")
        return None if named is None else self.root / str(named)

    @property
    def checkpoints(self) -> CheckpointFolder:
        """The checkpoints of this run, or of the run that its samples are of."""
        return CheckpointFolder((self.parent or self.root) / "checkpoints", warn=self.log)

    @property
    def snapshots(self) -> CheckpointFolder:
        """The power averages kept for later, every few steps."""
        return CheckpointFolder((self.parent or self.root) / "snapshots", warn=self.log)

    def log(self, line: str) -> None:
        """Pass `line` to `emit`, and append it to log.txt with the time."""
        if not self.is_main:
            return
        self.emit(line)
        text = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z  {line}\n"
        with writable(self.root / "log.txt"), opened_for_adding(self.root / "log.txt") as stream:
            stream.write(text.encode("utf-8", "backslashreplace"))

    def record(self, facts: Mapping[str, Any]) -> None:
        """Add `facts` to run.json."""
        file = self.root / "run.json"
        if self.is_main and facts:
            write_json(file, {**self.facts(), **facts})
            self._read.pop(file, None)

    def facts(self) -> dict[str, Any]:
        """Return the content of run.json, {} if there is none.

        Raises RunError if it is not what fmcore writes.
        """
        return dict(self._cached(self.root / "run.json", _facts_in))

    def results(self) -> dict[str, Any]:
        """Return the content of results.json, {} if there is none.

        Raises RunError if it is corrupt or not what fmcore writes.
        """
        return dict(self._cached(self.results_file, self._results_in))

    def save_results(self, results: Mapping[str, Any]) -> None:
        """Write results.json, and its checksum to run.json."""
        text = json.dumps(results, indent=2, allow_nan=False) + "\n"
        # The checksum first, next to the one of the file that is there: a crash between the two
        # writes leaves a file that one of both matches.
        self._record_checksum(self.results_file, text.encode())
        write_text(self.results_file, text)
        self._read.pop(self.results_file, None)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the lock of the folder.  Raises RunError if another process holds it."""
        busy = (
            f"{self.root}: another process is working in this run folder; "
            "wait for it or choose another folder"
        )
        with locked(self.root / LOCK, busy):
            remove_parts(self.root, skip=LOCK)  # a killed process left them
            yield

    @classmethod
    def begin(
        cls, recipe: Recipe, out: Path | None = None, emit: Callable[[str], None] = print
    ) -> RunFolder:
        """Return a folder for `recipe`: a new one, or the run at `out` to resume.

        Raises RunError as `adopt` does.
        """
        folder = cls.located(recipe, out, emit)
        with folder.claimed():
            folder.adopt(recipe)
        return folder

    @classmethod
    def located(
        cls, recipe: Recipe, out: Path | None = None, emit: Callable[[str], None] = print
    ) -> RunFolder:
        """Return the folder at `out`, or a new one under runs/; it is created, nothing is in it.

        Raises RunError if `out` holds files that are not a run's.
        """
        if out is None:
            return cls(_new_root(recipe.name), emit)
        folder = cls(out, emit)
        folder._require_own()  # before a lock file is written into a folder of other files
        with writable(out):
            out.mkdir(parents=True, exist_ok=True)
        return folder

    def adopt(self, recipe: Recipe, facts: Mapping[str, Any] | None = None) -> None:
        """Write `recipe` to this claimed folder, or check that it is the folder's own.

        A recipe of a run that has neither checkpoints nor samples is replaced.  `facts` go into a
        new run.json.  Raises RunError, naming every difference, for a run of another recipe.
        """
        self._require_own()
        if self.recipe_file.exists():
            changes = diff(self.recipe(), recipe)
            # its checksum is recorded last: without it, the start was killed, and is done again
            if not changes and self.recipe_file.name in self.facts().get("sha256", {}):
                return
            if changes and self._holds_work():
                raise self._of_another_recipe(changes)
            if changes:
                self.log("nothing was trained or sampled here yet: the recipe is replaced")
                for name in ("run.json", "metrics.jsonl"):
                    (self.root / name).unlink(missing_ok=True)
        # The recipe before its checksum: until that is recorded, the file is not checked.
        text = recipe.to_yaml()
        write_text(self.recipe_file, text)
        write_json(self.root / "origins.json", recipe.origins)
        self.record(facts or {})
        self._record_checksum(self.recipe_file, text.encode())
        self.remember(recipe)

    @classmethod
    def open(cls, root: Path, emit: Callable[[str], None] = print) -> RunFolder:
        """Return the run at `root`.  Raises RunError if there is none."""
        if not (root / "recipe.yaml").is_file():
            near = sorted(str(p.parent) for p in root.glob("*/recipe.yaml"))
            hint = f"; did you mean {near[-1]}?" if near else ""
            raise RunError(f"{root}: not a run folder: it has no recipe.yaml{hint}")
        return cls(root, emit)

    def remember(self, recipe: Recipe) -> None:
        """Return `recipe` from now on without reading the folder's file, which holds the same."""
        self._read[self.recipe_file] = (_signature(self.recipe_file), recipe)

    def recipe(self) -> Recipe:
        """Return the recipe of this run.  Raises RunError if its file changed since the start."""
        recipe: Recipe = self._cached(self.recipe_file, self._recipe_in)
        return recipe

    def origins(self) -> dict[str, Any]:
        """Return where each value of the recipe was written, by dotted key; {} if not recorded."""
        return dict(self._cached(self.root / "origins.json", _read_json))

    def _cached(self, file: Path, read: Callable[[Path], Any]) -> Any:
        """Return what `read` makes of `file`, read again only after the file was replaced."""
        signature = _signature(file)
        if file not in self._read or self._read[file][0] != signature:
            self._read[file] = (signature, read(file))
        return self._read[file][1]

    def _recipe_in(self, file: Path) -> Recipe:
        self._require_unchanged(file, "restore it, or start another run")
        try:
            return load_recipe(file, name=self.facts().get("recipe", self.root.name))
        except RecipeError as error:
            raise RecipeError([*error.faults, *self._missing_plugins()]) from None

    def _missing_plugins(self) -> Iterator[str]:
        """Yield how to load each one-file plugin of this run that is not loaded."""
        loaded = {plugin.name for plugin in registry().plugins}
        for file in sorted((self.root / "plugins").glob("*.py")):
            if file.stem not in loaded:
                yield f"the run used the plugin '{file.stem}': add --plugin {file}"

    def _results_in(self, file: Path) -> dict[str, Any]:
        self._require_unchanged(file, "measure again with fmcore evaluate")
        found = _read_json(file)
        for name, result in found.items():
            if not _is_result(result):
                raise RunError(
                    f"{file}: '{name[:60]}' is no result: a value, its error and its "
                    "provenance; measure again with fmcore evaluate"
                )
        return found

    def _record_checksum(self, file: Path, content: bytes) -> None:
        """Add the checksum of `content` to the one recorded last of `file`."""
        known = self.facts().get("sha256", {})
        accepted = [*known.get(file.name, [])[-1:], hashlib.sha256(content).hexdigest()]
        self.record({"sha256": {**known, file.name: accepted}})

    def _require_unchanged(self, file: Path, remedy: str) -> None:
        accepted = self.facts().get("sha256", {}).get(file.name)
        if accepted is None or not file.is_file():
            return
        if hashlib.sha256(file.read_bytes()).hexdigest() not in accepted:
            raise RunError(
                f"{file}: corrupt or edited: its checksum is not the one in run.json; {remedy}"
            )

    def _require_own(self) -> None:
        """Raise RunError if the folder holds files and no recipe."""
        if self.recipe_file.exists() or not self.root.exists():
            return
        with writable(self.root):
            names = [p.name for p in self.root.iterdir()]
        others = [n for n in names if n not in NOT_A_RUN and not n.endswith(".part")]
        if others:
            raise RunError(
                f"{self.root}: holds files but no recipe.yaml, so it is not a run; "
                "choose another folder"
            )

    def _holds_work(self) -> bool:
        """Return whether anything was trained, sampled or measured here, valid or not."""
        patterns = ("checkpoints/step-*", "samples/shard-*", "results.json", "variants/*")
        return any(next(self.root.glob(pattern), None) for pattern in patterns)

    def _of_another_recipe(self, changes: Sequence[tuple[str, Any, Any]]) -> RunError:
        lines = [f"  {key}: {there!r} there, {here!r} asked for" for key, there, here in changes]
        return RunError(
            f"{self.root}: holds a run of another recipe:\n" + "\n".join(lines) + "\n"
            "give the same recipe to resume it, or choose another folder"
        )


def _new_root(name: str) -> Path:
    """Create a folder named after the time; two runs of one second get two folders."""
    base = Path("runs") / name / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    with writable(base):
        for number in count(1):
            root = base if number == 1 else base.with_name(f"{base.name}-{number}")
            try:
                root.mkdir(parents=True)
            except FileExistsError:
                continue
            return root
    raise AssertionError("unreachable")


def _signature(file: Path) -> tuple[int, ...] | None:
    """Return what changes when a file is replaced or edited; None if it is missing."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _facts_in(file: Path) -> dict[str, Any]:
    found = _read_json(file)
    seconds = found.get("seconds", {})
    if not isinstance(seconds, dict) or not all(map(is_number, seconds.values())):
        raise RunError(f"{file}: 'seconds' should hold a number for each stage")
    if not isinstance(found.get("recipe", ""), str):
        raise RunError(f"{file}: 'recipe' should be a name")
    sums = found.get("sha256", {})
    if not isinstance(sums, dict) or not all(isinstance(known, list) for known in sums.values()):
        raise RunError(f"{file}: 'sha256' should hold a list of checksums for each file")
    return found


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return json_object(path)
    except ValueError as error:
        raise RunError(f"{path}: not readable as JSON: {error}") from error


def is_number(value: Any) -> bool:
    """Return whether `value` is a number, or the text of one that JSON cannot hold."""
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
