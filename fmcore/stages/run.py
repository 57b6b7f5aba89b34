"""A whole run: train, sample, evaluate and illustrate, whichever sections the recipe has."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch

from fmcore.errors import Interrupted, RunError
from fmcore.flow.budget import budget_note
from fmcore.flow.reflow import write_pairs
from fmcore.recipe.load import load_recipe, overridden_options
from fmcore.recipe.overrides import require_list
from fmcore.recipe.recipe import Recipe
from fmcore.recipe.typed_words import require_whole
from fmcore.registry import registry
from fmcore.report.page import write_report
from fmcore.runs.distributed import Distributed
from fmcore.runs.emit import to_stderr, warnings_to_stderr
from fmcore.runs.files import sha256_of, write_text
from fmcore.runs.folder import RunFolder
from fmcore.runs.samples import Shards
from fmcore.runs.signals import interruptible, raise_if_stopped
from fmcore.stages.components import Components
from fmcore.stages.devices import accelerator_for
from fmcore.stages.dry_run import require_disk, require_memory
from fmcore.stages.evaluate import evaluate as evaluate_stage
from fmcore.stages.identity import identity_of, record_start
from fmcore.stages.illustrate import illustrate_samples, illustrate_training
from fmcore.stages.opened_run import Run
from fmcore.stages.other_runs import check_runs, refuse_own_run
from fmcore.stages.sample import sample as sample_stage
from fmcore.stages.sample_file import write_file
from fmcore.stages.sampler import Sampler
from fmcore.stages.sampling_field import sampling_field
from fmcore.stages.train import train as train_stage
from fmcore.stages.variants import adopt_variant, sample_root
from fmcore.training.checks import check_training

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["evaluate", "pairs", "run", "sample", "sample_file"]

RESUME_WITH_OUT = "give the same command with --out {root}"
RESUME_HINT = "give the same command again"


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
        emit = warnings_to_stderr if quiet else to_stderr
        held.enter_context(processes.reporting_lost())

        def claim() -> Path:
            folder = RunFolder.located(complete, None if out is None else Path(out), emit)
            # locked before anything is written: of several starts on one folder one succeeds
            held.enter_context(folder.claimed())
            refuse_own_run(components, folder.root)
            folder.adopt(
                complete, {"recipe": complete.name, "overridden": overridden_options(complete)}
            )
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
        chosen = opened.processes.on_main(
            lambda: sample_root(
                opened.folder, opened.components, overrides, to, opened.accelerator.device
            )
        )
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
                adopt_variant(folder, job.components, parent)
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
    folder = RunFolder.open(Path(root), warnings_to_stderr if quiet else to_stderr)
    full = tuple(o if o.startswith(f"{section}.") else f"{section}.{o}" for o in overrides)
    recipe = folder.recipe()
    components = Components.of(recipe.override(full) if full else recipe)
    components.check(measures=section != "sample")  # other samples may be drawn without a truth
    check_runs(components, training=False)
    accelerator = accelerator_for(components, device)
    processes = Distributed()
    folder = RunFolder(folder.root, folder.emit, processes.is_main)
    folder.remember(recipe)
    return _Job(Run(folder, components), accelerator, processes, quiet)


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
