"""Train the network of a recipe, or go on with it, until its last step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

from fmcore.errors import Interrupted, TrainingError
from fmcore.recipe.sections import Train
from fmcore.runs.checkpoint import Checkpoint, CheckpointFolder
from fmcore.runs.distributed import Team
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import MEASURED, Curve
from fmcore.runs.progress import Advance, progress
from fmcore.runs.signals import StopRequest, stop_on_signal
from fmcore.runs.trackers import Trackers, trackers
from fmcore.stages.components import Components
from fmcore.stages.illustrate import preview
from fmcore.stages.validate import Watch, best_step
from fmcore.stages.weights import current_field
from fmcore.training.batches import Batches
from fmcore.training.lr_schedule import learning_rate
from fmcore.training.trainer import Training

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["train"]


def train(
    components: Components,
    folder: RunFolder,
    accelerator: Accelerator,
    team: Team,
    quiet: bool = False,
) -> None:
    """Train to the last step, saving checkpoints; a run that was stopped goes on where it was.

    All processes of `team` stop at the same step.  Raises Interrupted after saving if a signal asks
    to stop, and TrainingError if a loss is not finite.
    """
    settings = components.train
    if settings is None:
        return
    if settings.sample_every is not None and components.sample is None:
        raise components.missing("sample")
    training = _begin(components, settings, accelerator)
    _resume(training, folder, team)
    if training.step >= settings.steps and not _owed(components, training, folder, team):
        return
    with (
        stop_on_signal() as stop,
        trackers(settings.trackers, folder, training.step) as told,
        progress("train", settings.steps, "steps", training.step, quiet or not team.leads) as show,
    ):
        course = _Course(components, training, folder, team, stop, told, show)
        course.catch_up()
        course.finish()


def _begin(components: Components, settings: Train, accelerator: Accelerator) -> Training:
    batches = Batches(
        components.data,
        components.path,
        components.coupling,
        components.objective,
        settings.batch_size,
        components.seed,
        settings.label_dropout,
    )
    return Training(components.model(), batches, settings, accelerator)


def _resume(training: Training, folder: RunFolder, team: Team) -> None:
    """Go on from the newest whole checkpoint: the leading process says which that is."""
    newest = folder.checkpoints.latest() if team.leads else None
    step = team.first(lambda: newest.step if newest else None)
    team.first(lambda: _rewind(training.settings, folder, step or 0))
    if step is None:
        return
    checkpoint = newest or folder.checkpoints.load(step)
    training.resume(checkpoint, str(folder.checkpoints.root))
    if training.step < training.settings.steps:
        folder.log(f"going on from step {training.step}")


def _rewind(settings: Train, folder: RunFolder, step: int) -> None:
    """Forget what was logged after `step`, and what was the best then."""
    curve, saved = Curve(folder.curve_file), folder.checkpoints
    curve.rewind(step)
    if settings.best is not None:
        best = best_step(curve.lines(), settings.best)
        if saved.best != best:
            saved.mark_best(best if best in saved.steps() else None)


def _owed(components: Components, training: Training, folder: RunFolder, team: Team) -> bool:
    """Whether the step reached should have been measured, and was not for a stop."""
    every, step = training.settings.evaluate_every, training.step
    if components.watched is None or every is None or step == 0:
        return False
    if step % every and step < training.settings.steps:
        return False
    return not team.first(lambda: _is_measured(folder, step))


def _is_measured(folder: RunFolder, step: int) -> bool:
    lines = Curve(folder.curve_file).lines()
    return any(line["step"] == step and any(map(_names_measure, line)) for line in lines)


def _names_measure(key: str) -> bool:
    return key.startswith(MEASURED)


@final
@dataclass
class _Course:
    """The way to the last step, with all that happens on it."""

    components: Components
    training: Training
    folder: RunFolder
    team: Team
    stop: StopRequest
    told: Trackers
    show: Advance

    def __post_init__(self) -> None:
        self.settings = self.training.settings
        self.curve = Curve(self.folder.curve_file)
        logged = (line.get("seconds") for line in reversed(self.curve.lines()))
        elapsed = next((seconds for seconds in logged if isinstance(seconds, int | float)), 0.0)
        self.began = time.monotonic() - elapsed
        self.watch: Watch | None = None
        if watched := self.components.watched:
            self.watch = Watch(self.components, watched, self.folder, self.team, self.stop)

    def catch_up(self) -> None:
        """Measure what a stop left unmeasured: the step is saved already."""
        if _owed(self.components, self.training, self.folder, self.team):
            self._measure()

    def finish(self) -> None:
        """Take the steps that are left."""
        settings, training = self.settings, self.training
        while training.step < settings.steps:
            training.advance()
            last = training.step == settings.steps
            if last or training.step % settings.log_every == 0:
                self._log()
            stopped = self.team.any(bool(self.stop))
            best = False
            if not stopped and self._due(settings.evaluate_every, last):
                best = self._measure()
                stopped = self.team.any(bool(self.stop))
            if last or stopped or best or self._to_be_saved():
                self._save()
            if self._due(settings.snapshot_every, last):
                made = training.snapshot()
                self.team.first(lambda made=made: _write(self.folder.snapshots, made, None))  # type: ignore[misc]
            if self._due(settings.sample_every):
                self._preview()
            if stopped:
                raise Interrupted(_farewell(training, self.folder, self.stop))

    def _to_be_saved(self) -> bool:
        return self._due(self.settings.checkpoint_every) or self._due(self.settings.keep_every)

    def _due(self, every: int | None, last: bool = False) -> bool:
        return every is not None and (last or self.training.step % every == 0)

    def _log(self) -> None:
        step, tally = self.training.step, self.training.read_tally()
        lr = learning_rate(step - 1, self.settings)
        self._tell({"step": step, **tally, "lr": lr})
        _require_finite(self.training, self.folder)
        self.show(step, f"loss {tally['loss']:.4f}")

    def _measure(self) -> bool:
        """Measure the network as it is; whether it is the best so far, which is then marked.

        To be followed by a save if so: the mark comes first, so that what is saved is measured.
        """
        if self.watch is None:
            return False
        step = self.training.step
        field = current_field(self.components, self.training)
        results = self.watch.measure(field, step)
        if results is None:
            return False
        self._tell({"step": step, **{f"{MEASURED}{k}": v for k, v in results.items()}})
        best = self.team.first(self._mark_best)
        told = ", ".join(f"{name} {float(value):.5g}" for name, value in results.items())
        how = f"evaluations/step-{step:09d}.json says how they were made"
        self.folder.log(f"step {step}: {told}{'; the best so far' if best else ''}; {how}")
        return best

    def _mark_best(self) -> bool:
        best, step = self.settings.best, self.training.step
        if best is None or best_step(self.curve.lines(), best) != step:
            return False
        value = self.curve.lines()[-1][f"{MEASURED}{best.metric}"]
        self.folder.checkpoints.mark_best(step, {**asdict(best), "value": value})
        return True

    def _save(self) -> None:
        _require_finite(self.training, self.folder)
        made = self.training.checkpoint()
        keep, every = self.settings.keep_last, self.settings.keep_every
        self.team.first(lambda: _write(self.folder.checkpoints, made, keep, every))

    def _preview(self) -> None:
        field = current_field(self.components, self.training)
        sample, step = self.components.sample, self.training.step
        if sample is not None:
            self.team.first(lambda: preview(self.components, sample, field, step, self.folder))

    def _tell(self, line: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl, and tell it to the trackers."""
        if not self.team.leads:
            return
        timed = {**line, "seconds": round(time.monotonic() - self.began, 3)}
        self.curve.append(timed)
        self.told.tell(timed)


def _write(
    folder: CheckpointFolder, made: Checkpoint, keep: int | None, every: int | None = None
) -> None:
    folder.save(made, keep, every)


def _require_finite(training: Training, folder: RunFolder) -> None:
    step = training.first_bad_step()
    if step is None:
        return
    saved = folder.checkpoints.steps()
    good = (
        f"the last good checkpoint is of step {saved[-1]}"
        if saved
        else "there is no checkpoint yet"
    )
    rows = training.batches.indices(step, range(min(8, training.settings.batch_size)))
    raise TrainingError(
        f"{folder.root}: the loss or the gradient of step {step} is not finite; its batch began "
        f"with examples {rows}; {good}. "
        "Lower train.lr, set train.grad_clip, or use train.precision=fp32"
    )


def _farewell(training: Training, folder: RunFolder, stop: StopRequest) -> str:
    name = stop.signal.name if stop.signal else "a signal"
    return (
        f"stopped by {name} at step {training.step} of {training.settings.steps}; "
        f"everything is saved.  "
        f"To go on, give the same command with --out {folder.root}"
    )
