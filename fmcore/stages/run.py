"""A whole run: train, sample, evaluate and illustrate, whichever sections the recipe has."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch

from fmcore.errors import Interrupted
from fmcore.flow.budget import budget_note
from fmcore.flow.field import Field
from fmcore.flow.reflow import write_pairs
from fmcore.recipe.load import load_recipe
from fmcore.recipe.recipe import Recipe
from fmcore.registry import registry
from fmcore.report.page import write_report
from fmcore.runs.distributed import Team
from fmcore.runs.files import write_text
from fmcore.runs.folder import RunFolder
from fmcore.runs.provenance import environment
from fmcore.runs.samples import Shards
from fmcore.stages.components import Components
from fmcore.stages.devices import accelerator_for
from fmcore.stages.evaluate import check_expectations
from fmcore.stages.evaluate import evaluate as evaluate_stage
from fmcore.stages.illustrate import illustrate_samples, illustrate_training
from fmcore.stages.sample import Sampler, sampling_field
from fmcore.stages.sample import sample as sample_stage
from fmcore.stages.train import train as train_stage
from fmcore.stages.weights import trained_field

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Run", "evaluate", "pairs", "run", "sample"]


@final
@dataclass(frozen=True)
class Run:
    """A run that has been made: its folder, and what can be read from it."""

    folder: RunFolder
    components: Components

    @property
    def results(self) -> dict[str, Any]:
        """Each metric's value, error and provenance."""
        return self.folder.results()

    def field(self, weights: str = "ema", device: str = "cpu") -> Field:
        """The trained velocity field, in evaluation mode."""
        return trained_field(self.components, self.folder, weights, device)[0]

    def nfe(self) -> list[int]:
        """The NFE of every sample that is kept."""
        counts = [t["nfe"] for _, t in Shards.there(self.folder.samples).all()]
        return [int(n) for n in torch.cat(counts)]

    def samples(self, n: int) -> torch.Tensor:
        """The first `n` samples: uint8 levels of images, else float32 points.

        Raises RunError for more than `sample.keep_on_disk` left on disk.
        """
        return Shards.there(self.folder.samples).first(n)["x"]


def run(
    recipe: Recipe | str | Path,
    overrides: tuple[str, ...] = (),
    *,
    out: str | Path | None = None,
    device: str | None = None,
    quiet: bool = False,
) -> Run:
    """Do what `recipe` says, in `out` or a new folder; a folder with the same recipe is gone on
    with.

    Raises the errors of its stages, RunError if `out` holds something else, and ExpectationError
    if a bound under `expect:` was missed.
    """
    if isinstance(recipe, Recipe):
        whole = recipe.override(overrides) if overrides else recipe
    else:
        whole = load_recipe(recipe, overrides)
    components = Components.of(whole)
    components.check()
    say = _warnings_only if quiet else _to_stderr
    accelerator = accelerator_for(components, device)
    team = Team()
    asked = None if out is None else Path(out)
    root = team.first(lambda: RunFolder.begin(components.recipe, asked, say).root)
    made = Run(RunFolder(root, say, team.leads), components)
    with _claimed(made.folder, team):
        _run_stages(made, accelerator, team, quiet)
    return made


def sample(
    root: str | Path,
    overrides: tuple[str, ...] = (),
    *,
    device: str | None = None,
    quiet: bool = False,
) -> Run:
    """Draw samples from the run at `root` again; `overrides` are of its `sample` section."""
    made, team, accelerator = _reopened(root, "sample", overrides, device, quiet)
    _log_budget(made.components, made.folder)
    with _claimed(made.folder, team), _timed(made.folder, "sample", AGAIN):
        sampler = sample_stage(made.components, made.folder, accelerator.device, team, quiet)
        if team.leads:
            illustrate_samples(sampler, made.folder)
            write_report(made.folder)
    return made


def pairs(
    root: str | Path,
    file: str | Path,
    overrides: tuple[str, ...] = (),
    *,
    device: str | None = None,
) -> None:
    """Write where each sample of the run at `root` begins and ends, for a second flow to learn.

    Train on the file with data `pairs` and coupling `reflow` (arXiv 2209.03003).
    """
    made, _, accelerator = _reopened(root, "sample", overrides, device, quiet=False)
    chosen = accelerator.device
    settings = made.components.sample
    if settings is None:
        raise made.components.missing("sample")
    field, _ = sampling_field(made.components, settings, made.folder, chosen)
    sampler = Sampler(made.components, settings, field, chosen)
    write_pairs(
        file,
        field,
        field.path,
        settings.solver,
        shape=made.components.data.shape,
        count=settings.count,
        condition=sampler.condition(range(settings.count)),
        seed=sampler.seed,
        batch_size=settings.batch_size,
        device=chosen,
    )


def evaluate(
    root: str | Path,
    overrides: tuple[str, ...] = (),
    *,
    device: str | None = None,
    quiet: bool = False,
) -> Run:
    """Measure the run at `root` again; `overrides` are of its `evaluate` section.

    Samples that were not kept are drawn again.  Several processes share the work.
    """
    made, team, accelerator = _reopened(root, "evaluate", overrides, device, quiet)
    with _claimed(made.folder, team):
        with _timed(made.folder, "evaluate", AGAIN):
            evaluate_stage(made.components, made.folder, accelerator.device, team, quiet)
        made.folder.record({"measured": None})  # perhaps by other options than the recipe's
        if team.leads:
            write_report(made.folder)
    if team.leads:
        check_expectations(made.components, made.results)
    return made


def _run_stages(made: Run, accelerator: Accelerator, team: Team, quiet: bool) -> None:
    components, folder = made.components, made.folder
    _log_budget(components, folder)
    team.first(lambda: _record_beginning(components, folder, accelerator.device, team))
    with _timed(folder, "train"):
        train_stage(components, folder, accelerator, team, quiet)
    if components.sample is not None:
        with _timed(folder, "sample"):
            sampler: Sampler = sample_stage(components, folder, accelerator.device, team, quiet)
    if team.leads:
        illustrate_training(folder)
        if components.sample is not None:
            illustrate_samples(sampler, folder)
    if components.evaluate is not None and not team.first(lambda: _measured(components, folder)):
        with _timed(folder, "evaluate"):
            evaluate_stage(components, folder, accelerator.device, team, quiet)
        folder.record({"measured": _to_be_measured(components, folder)})
    if not team.leads:
        return  # what is left is the work of one
    write_report(folder)
    check_expectations(components, folder.results())


def _log_budget(components: Components, folder: RunFolder) -> None:
    """Log the evaluations per sample where they are not those that the recipe gives."""
    settings = components.sample
    if settings is not None:
        asked = components.recipe.values["sample"]["solver"].get("nfe")
        note = budget_note(settings.solver, settings.path or components.path, asked)
        if note:
            folder.log(note)


@contextmanager
def _claimed(folder: RunFolder, team: Team) -> Iterator[None]:
    """Hold the folder, in the process that leads."""
    with ExitStack() as held:
        team.first(lambda: held.enter_context(folder.claimed()))
        yield


def _measured(components: Components, folder: RunFolder) -> bool:
    """Whether the results that are there are those of this recipe's samples and weights."""
    return folder.facts().get("measured") == _to_be_measured(components, folder)


def _to_be_measured(components: Components, folder: RunFolder) -> dict[str, Any]:
    samples = Shards.there(folder.samples) if components.sample else None
    return {
        "digest": components.recipe.digest,
        "step": max(folder.checkpoints.steps(), default=0),
        "samples": samples.made() if samples else None,
    }


def _reopened(
    root: str | Path, section: str, overrides: tuple[str, ...], device: str | None, quiet: bool
) -> tuple[Run, Team, Accelerator]:
    folder = RunFolder.open(Path(root), _warnings_only if quiet else _to_stderr)
    full = tuple(o if o.startswith(f"{section}.") else f"{section}.{o}" for o in overrides)
    recipe = folder.recipe()
    components = Components.of(recipe.override(full) if full else recipe)
    components.check()
    accelerator = accelerator_for(components, device)
    team = Team()
    return Run(replace(folder, leads=team.leads), components), team, accelerator


def _record_beginning(
    components: Components, folder: RunFolder, device: torch.device, team: Team
) -> None:
    facts: Mapping[str, Any] = {
        "recipe": components.recipe.name,
        "digest": components.recipe.digest,
        "began": folder.facts().get("began", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"),
        "data": {
            "fingerprint": components.data.fingerprint,
            "length": components.data.length,
            "shape": list(components.data.shape),
            "levels": components.data.levels,
        },
        "processes": team.size,
        **environment(device),
    }
    folder.record(facts)
    for plugin in registry().plugins:
        if plugin.file:
            source = Path(plugin.file).read_text(encoding="utf-8")
            write_text(folder.root / "plugins" / Path(plugin.file).name, source)


HERE = "give the same command with --out {root}"
AGAIN = "give the same command again"


@contextmanager
def _timed(folder: RunFolder, stage: str, how: str = HERE) -> Iterator[None]:
    """Add the seconds of a stage to run.json, also of one that was stopped.

    Raises Interrupted, which says how to go on, for a KeyboardInterrupt.
    """
    began = time.monotonic()
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise Interrupted(
            f"stopped in {stage}; what is done is saved.  To go on, {how.format(root=folder.root)}"
        ) from stopped
    finally:
        before = folder.facts().get("seconds", {})
        spent = before.get(stage, 0.0) + time.monotonic() - began
        folder.record({"seconds": {**before, stage: round(spent, 2)}})


def _to_stderr(line: str) -> None:
    import sys

    print(line, file=sys.stderr, flush=True)


def _warnings_only(line: str) -> None:
    if line.startswith("warning:"):
        _to_stderr(line)
