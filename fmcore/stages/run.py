"""A whole run: train, sample, evaluate and illustrate, whichever sections the recipe has."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch

from fmcore.errors import Interrupted, RunError
from fmcore.flow.budget import budget_note
from fmcore.flow.field import Field
from fmcore.flow.reflow import write_pairs
from fmcore.interfaces.html import html_table
from fmcore.recipe.load import load_recipe
from fmcore.recipe.nodes import COMMAND_LINE
from fmcore.recipe.overrides import require_list
from fmcore.recipe.recipe import Recipe
from fmcore.recipe.typed_words import require_whole
from fmcore.registry import registry
from fmcore.report.numbers import value_text
from fmcore.report.page import write_report
from fmcore.runs.distributed import Distributed
from fmcore.runs.files import sha256_of, write_text
from fmcore.runs.folder import RunFolder
from fmcore.runs.samples import Shards
from fmcore.runs.signals import interruptible, raise_if_stopped
from fmcore.stages.components import Components
from fmcore.stages.devices import accelerator_for
from fmcore.stages.dry_run import require_disk, require_memory
from fmcore.stages.evaluate import check_expectations, missed_bounds
from fmcore.stages.evaluate import evaluate as evaluate_stage
from fmcore.stages.identity import identity_of, record_start
from fmcore.stages.illustrate import illustrate_samples, illustrate_training
from fmcore.stages.other_runs import check_runs, refuse_own_run
from fmcore.stages.sample import Sampler, provenance_of, sampling_field, shards_of
from fmcore.stages.sample import sample as sample_stage
from fmcore.stages.sample_file import write_file
from fmcore.stages.train import train as train_stage
from fmcore.stages.weights import shared_field, trained_field
from fmcore.training.checks import check_training

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Run", "evaluate", "open_run", "pairs", "run", "sample", "sample_file"]

RESUME_WITH_OUT = "give the same command with --out {root}"
RESUME_HINT = "give the same command again"
MAX_NAME = 80
"""Letters of the name of a folder of variants."""


@final
@dataclass(frozen=True, repr=False)
class Run:
    """A run: its folder, and what can be read from it.

    Nothing is read before it is asked for.  A run can be given where a function takes its folder.
    """

    folder: RunFolder
    _built: Components | None = None

    def __fspath__(self) -> str:
        return str(self.folder.root)

    def __repr__(self) -> str:
        return f"Run({str(self.folder.root)!r})"

    def _repr_html_(self) -> str:
        results = {name: value_text(result) for name, result in self.results.items()}
        rows = {
            "recipe": self.recipe.name,
            "steps": max(self.folder.checkpoints.steps(), default=0),
        }
        return html_table(repr(self), rows | results)

    @property
    def recipe(self) -> Recipe:
        """The complete recipe of the run."""
        return self.folder.recipe()

    # a property that keeps its value: results and samples can be read without the run's plugins
    @cached_property
    def components(self) -> Components:
        """The components of the recipe.  Raises RecipeError or ComponentError if one is missing."""
        return self._built or Components.of(self.recipe)

    @property
    def results(self) -> dict[str, Any]:
        """The value, error and provenance of each metric; {} before `evaluate`."""
        return self.folder.results()

    def field(self, weights: str = "ema", device: str = "cpu") -> Field:
        """Return the trained velocity field, in evaluation mode."""
        return trained_field(self.components, self.folder, weights, device)[0]

    def nfe(self) -> list[int]:
        """Return the NFE of every sample that is kept."""
        counts = [t["nfe"] for _, t in Shards.on_disk(self.folder.samples).all()]
        return [int(n) for n in torch.cat(counts)]

    def samples(self, n: int | None = None) -> torch.Tensor:
        """Return the first `n` samples, or all that are on disk: uint8 levels of images, else
        float32 points, `(n, *shape)`.

        Raises RunError for more than `sample.keep_on_disk` left on disk.
        """
        shards = Shards.on_disk(self.folder.samples)
        return shards.first(shards.kept()[-1].stop if n is None else n)["x"]

    def check_expectations(self) -> None:
        """Raise ExpectationError if a result is outside the recipe's `expect:` bounds.

        A recipe with options of the command line is another experiment than the one that the bounds
        were written for: there, each missed bound is a warning.
        """
        overridden = self.folder.facts().get("overridden")
        if not overridden:
            check_expectations(self.components, self.results)
            return
        for line in missed_bounds(self.components, self.results):
            self.folder.log(
                f"warning: {line}; expected for the recipe without {', '.join(overridden)}"
            )


@final
@dataclass(frozen=True)
class _Job:
    """A command on a run: what every stage needs."""

    made: Run
    accelerator: Accelerator
    processes: Distributed
    quiet: bool

    @property
    def folder(self) -> RunFolder:
        return self.made.folder

    @property
    def components(self) -> Components:
        return self.made.components

    def sample(self, reuse: Path | None = None) -> Sampler:
        device = self.accelerator.device
        return sample_stage(self.components, self.folder, device, self.processes, self.quiet, reuse)

    def evaluate(self) -> None:
        device = self.accelerator.device
        evaluate_stage(self.components, self.folder, device, self.processes, self.quiet)


def open_run(root: str | os.PathLike[str]) -> Run:
    """Return the run in the folder `root`; nothing is computed, and files are read when needed.

    Raises RunError if the folder holds no run.
    """
    return Run(RunFolder.open(Path(root), _warnings_only))


def run(
    recipe: Recipe | str | Path,
    overrides: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    device: str | None = None,
    quiet: bool = False,
    accept_changes: bool = False,
    check: bool = True,
) -> Run:
    """Run the stages of `recipe`, in `out` or a new folder; resume a folder with the same recipe.

    `accept_changes` resumes also with data, plugins or a guiding run that changed since the start,
    and records that.  Raises the errors of the stages, RunError if `out` holds something else, and,
    if `check`, ExpectationError if a bound under `expect:` was missed.
    """
    with interruptible(), ExitStack() as held:
        if isinstance(recipe, Recipe):
            complete = recipe.override(overrides) if overrides else recipe
        else:
            complete = load_recipe(recipe, overrides)
        complete.check()
        components = Components.of(complete)
        components.check()
        check_runs(components)
        accelerator = accelerator_for(components, device)
        # before the folder is made: a recipe that cannot train must not occupy it
        if components.train is not None:
            check_training(components.train, components.planned_model)
        require_memory(components, accelerator)
        require_disk(components, Path("runs") if out is None else Path(out))
        processes = Distributed()
        emit = _warnings_only if quiet else _to_stderr
        held.enter_context(processes.reporting_lost())

        def claim() -> Path:
            folder = RunFolder.located(complete, None if out is None else Path(out), emit)
            # locked before anything is written: of several starts on one folder one succeeds
            held.enter_context(folder.claimed())
            refuse_own_run(components, folder.root)
            folder.adopt(complete, {"recipe": complete.name, "overridden": _overridden(complete)})
            if folder.parent is not None:
                raise RunError(
                    f"{folder.root}: holds samples of the run {folder.parent}: use fmcore sample "
                    "and fmcore evaluate there, or another --out"
                )
            _record(folder, components, accelerator.device, processes, accept_changes)
            return folder.root

        # the path alone is sent: what prints messages cannot be pickled
        root = processes.on_main(claim)
        folder = RunFolder(root, emit, processes.is_main)
        folder.remember(complete)
        job = _Job(Run(folder, components), accelerator, processes, quiet)
        _run_stages(job)
    if check and processes.is_main:
        job.made.check_expectations()
    return job.made


def sample(
    root: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    *,
    to: str | Path | None = None,
    device: str | None = None,
    quiet: bool = False,
    accept_changes: bool = False,
) -> Run:
    """Draw samples from the run at `root`; `overrides` are of its `sample` section.

    Samples that the run has already are neither replaced nor described otherwise: where `overrides`
    would do that, and with `to`, they go to a folder of their own, `to` or RUN/variants/NAME.  That
    is a run folder too, with the network of the run.
    """
    with interruptible(), ExitStack() as held:
        opened = _opened(root, "sample", overrides, device, quiet)
        held.enter_context(opened.processes.reporting_lost())
        chosen = opened.processes.on_main(lambda: _sample_root(opened, overrides, to))
        require_disk(opened.components, chosen)
        parent = opened.folder
        folder = parent
        if chosen != parent.root:
            folder = RunFolder(chosen, parent.emit, parent.is_main)
        job = _Job(
            Run(folder, opened.components), opened.accelerator, opened.processes, opened.quiet
        )

        def claim() -> None:
            held.enter_context(folder.claimed())
            # the parent is only read, so it is not locked: it may be training meanwhile
            if folder is not parent:
                _adopt_variant(job, parent)
            device = job.accelerator.device
            _record(folder, job.components, device, job.processes, accept_changes)

        job.processes.on_main(claim)
        _log_budget(job.components, folder)
        with _timed(folder, "sample", RESUME_HINT):
            sampler = job.sample(reuse=None if folder is parent else parent.samples)
            if job.processes.is_main:
                illustrate_samples(sampler, folder)
                write_report(folder)
    return job.made


def sample_file(
    root: str | os.PathLike[str],
    file: str | Path,
    overrides: Sequence[str] = (),
    *,
    device: str | None = None,
    quiet: bool = False,
) -> None:
    """Write the samples of the run at `root` for a user's own conditions to `file`, such as the
    sentences of a text to a WAV file.

    `overrides` are of its `sample` section.  Nothing in the run changes.
    """
    with interruptible():
        opened = _opened(root, "sample", overrides, device, quiet)
        components, chosen = opened.components, opened.accelerator.device
        settings = components.sample
        if settings is None:
            raise components.missing("sample")
        field, _ = sampling_field(components, settings, opened.folder, chosen)
        write_file(Sampler(components, settings, field, chosen), components, Path(file))


def pairs(
    root: str | os.PathLike[str],
    file: str | Path,
    overrides: Sequence[str] = (),
    *,
    device: str | None = None,
) -> None:
    """Write the first and last point of each sample of the run at `root`, to train a second flow.

    Train it with data `pairs` and coupling `reflow` (arXiv 2209.03003).
    """
    with interruptible():
        opened = _opened(root, "sample", overrides, device, quiet=False)
        components, chosen = opened.components, opened.accelerator.device
        settings = components.sample
        if settings is None:
            raise components.missing("sample")
        field, _ = sampling_field(components, settings, opened.folder, chosen)
        sampler = Sampler(components, settings, field, chosen)
        write_pairs(
            file,
            field,
            field.path,
            settings.solver,
            shape=components.state_shape,
            count=settings.count,
            condition=sampler.condition(range(settings.count)),
            seed=sampler.seed,
            batch_size=settings.batch_size,
            device=chosen,
        )


def evaluate(
    root: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    *,
    device: str | None = None,
    quiet: bool = False,
    accept_changes: bool = False,
    check: bool = True,
) -> Run:
    """Measure the run at `root` again; `overrides` are of its `evaluate` section.

    Samples that were not kept are drawn again.  Several processes share the work.  Raises
    ExpectationError, if `check`, as `run` does.
    """
    with interruptible(), ExitStack() as held:
        job = _opened(root, "evaluate", overrides, device, quiet)
        folder, processes = job.folder, job.processes
        held.enter_context(processes.reporting_lost())

        def claim() -> None:
            held.enter_context(folder.claimed())
            _record(folder, job.components, job.accelerator.device, processes, accept_changes)

        processes.on_main(claim)
        with _timed(folder, "evaluate", RESUME_HINT):
            job.evaluate()
            # options other than the recipe's may have been measured: `run` measures again
            folder.record({"measured": None})
            if processes.is_main:
                write_report(folder)
    if check and processes.is_main:
        job.made.check_expectations()
    return job.made


def _run_stages(job: _Job) -> None:
    components, folder, processes = job.components, job.folder, job.processes
    _log_budget(components, folder)
    with _timed(folder, "train"):
        train_stage(components, folder, job.accelerator, processes, job.quiet)
    sampler: Sampler | None = None
    if components.sample is not None:
        with _timed(folder, "sample"):
            sampler = job.sample()
    if processes.is_main:
        with _stoppable(folder, "pictures"):
            illustrate_training(folder)
            if sampler is not None:
                illustrate_samples(sampler, folder)
    if components.evaluate is not None:
        measured = _to_be_measured(components, folder)
        if not processes.on_main(lambda: _is_measured(folder, measured)):
            with _timed(folder, "evaluate"):
                job.evaluate()
            folder.record({"measured": measured})
    if processes.is_main:  # the others have nothing left to do
        with _stoppable(folder, "report"):
            write_report(folder)


def _is_measured(folder: RunFolder, measured: dict[str, Any]) -> bool:
    """Return whether results.json is valid and of these samples, weights and data."""
    if folder.facts().get("measured") != measured:
        return False
    try:
        return bool(folder.results())
    except RunError as error:
        folder.log(f"warning: {error}")
        return False


def _log_budget(components: Components, folder: RunFolder) -> None:
    """Log the evaluations per sample where they are not those that the recipe gives."""
    settings = components.sample
    if settings is not None:
        asked = components.recipe.values["sample"]["solver"].get("nfe")
        note = budget_note(settings.solver, settings.path or components.path, asked)
        if note:
            folder.log(note)


def _to_be_measured(components: Components, folder: RunFolder) -> dict[str, Any]:
    samples = Shards.on_disk(folder.samples) if components.sample else None
    return {
        "digest": components.recipe.digest,
        "step": max(folder.checkpoints.steps(), default=0),
        "samples": samples.provenance() if samples else None,
        "identity": identity_of(components),
    }


def _opened(
    root: str | os.PathLike[str],
    section: str,
    overrides: Sequence[str],
    device: str | None,
    quiet: bool,
) -> _Job:
    """Return the run at `root` with `overrides` of one section."""
    require_list(overrides)
    require_whole(overrides)
    folder = RunFolder.open(Path(root), _warnings_only if quiet else _to_stderr)
    full = tuple(o if o.startswith(f"{section}.") else f"{section}.{o}" for o in overrides)
    recipe = folder.recipe()
    components = Components.of(recipe.override(full) if full else recipe)
    data = components.data.recalled(folder.facts().get("data", {}))
    components = replace(components, data=data)
    components.check(measures=section != "sample")  # other samples may be drawn without a truth
    check_runs(components, training=False)
    accelerator = accelerator_for(components, device)
    processes = Distributed()
    folder = RunFolder(folder.root, folder.emit, processes.is_main)
    folder.remember(recipe)
    return _Job(Run(folder, components), accelerator, processes, quiet)


def _sample_root(job: _Job, overrides: Sequence[str], to: str | Path | None) -> Path:
    """Return the folder that samples go to: the run's own if nothing there would be replaced."""
    settings, folder = job.components.sample, job.folder
    if settings is None:
        raise job.components.missing("sample")
    if to is not None and Path(to).resolve() != folder.root.resolve():
        return Path(to)
    # the samples' provenance holds the step, so the checkpoint has to be known; sampling reuses
    # the network
    _, checkpoint = shared_field(job.components, folder, settings.weights, job.accelerator.device)
    provenance = provenance_of(job.components, settings, checkpoint)
    if not overrides or not shards_of(settings, folder).would_replace(provenance):
        return folder.root
    if to is not None:
        raise RunError(f"{folder.root}: has other samples: give another folder with --to")
    return folder.root / "variants" / _name_of(overrides)


def _name_of(overrides: Sequence[str]) -> str:
    """Return a folder's name for `overrides`, readable where they are short and plain."""
    text = ",".join(overrides)
    name = re.sub(r"[^A-Za-z0-9=.,_+-]+", "-", text)[:MAX_NAME].strip(".-")
    # a shortened name gets a hash of all options, so that no two share a folder
    exact = name == text
    return name if exact else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _adopt_variant(job: _Job, parent: RunFolder) -> None:
    """Make the job's folder one of samples drawn with the network of `parent`."""
    folder, components = job.folder, job.components
    network = parent.parent or parent.root
    # relative, so that a run and its variants can be moved together
    above = os.path.relpath(network.resolve(), folder.root.resolve())
    facts = {**parent.facts(), "recipe": components.recipe.name, "checkpoints_of": above}
    # what is of the parent's own files and stages, not of its training
    for own in ("sha256", "seconds", "measured", "history"):
        facts.pop(own, None)
    facts |= {"began": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "command": sys.argv}
    # what the parent was trained with is compared with what is there now; runs that these sampling
    # options name are not the parent's
    identity = dict(facts.get("identity", {}))
    if components.recipe.values["sample"] != parent.recipe().values["sample"]:
        identity = {k: v for k, v in identity.items() if not k.startswith("run.sample.")}
    facts["identity"] = identity
    known = facts.get("overridden", [])
    facts["overridden"] = list(dict.fromkeys([*known, *_overridden(components.recipe)]))
    folder.adopt(components.recipe, facts)
    if folder.parent is None or folder.parent.resolve() != network.resolve():
        raise RunError(f"{folder.root}: is no folder of samples of {network}; give another --to")


def _record(
    folder: RunFolder,
    components: Components,
    device: torch.device,
    processes: Distributed,
    accept_changes: bool,
) -> None:
    record_start(folder, components, device, processes.size, accept_changes)
    for plugin in registry().plugins:
        if plugin.file:
            _copy(Path(plugin.file), folder.root / "plugins")


def _copy(file: Path, to: Path) -> None:
    """Copy a one-file plugin; an accepted change keeps the earlier copy under its hash."""
    source, copy = file.read_text(encoding="utf-8"), to / file.name
    if copy.is_file():
        if copy.read_text(encoding="utf-8") == source:
            return
        copy.rename(to / f"{file.name}.{sha256_of(copy)[:12]}")
    write_text(copy, source)


def _overridden(recipe: Recipe) -> list[str]:
    """Return the options that the command line changed.

    Bounds are not among them, nor values that the recipe requires from the command line.
    """
    keys = [k for k, origin in recipe.origins.items() if origin == str(COMMAND_LINE)]
    keys = [k for k in keys if k.partition(".")[0] != "expect"]
    if not keys or not recipe.values["expect"] or recipe.path is None:
        return keys
    required = load_recipe(recipe.path, partial=True).missing
    return [k for k in keys if not any(k == r or k.startswith(f"{r}.") for r in required)]


@contextmanager
def _timed(folder: RunFolder, stage: str, how: str = RESUME_WITH_OUT) -> Iterator[None]:
    """Add the seconds of a stage to run.json, also of one that was stopped."""
    began = time.monotonic()
    try:
        with _stoppable(folder, stage, how):
            yield
    finally:  # a stage that was stopped spent its time as well
        before = folder.facts().get("seconds", {})
        spent = before.get(stage, 0.0) + time.monotonic() - began
        folder.record({"seconds": {**before, stage: round(spent, 2)}})


@contextmanager
def _stoppable(folder: RunFolder, stage: str, how: str = RESUME_WITH_OUT) -> Iterator[None]:
    """Turn a KeyboardInterrupt into Interrupted, with how to resume."""
    try:
        yield
        raise_if_stopped()
    except KeyboardInterrupt as stopped:
        raise Interrupted(
            f"stopped in {stage}; what is done is saved.  To resume, {how.format(root=folder.root)}"
        ) from stopped


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _warnings_only(line: str) -> None:
    if line.startswith("warning:"):
        _to_stderr(line)
