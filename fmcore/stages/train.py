"""Train the network of a recipe to its last step, from the start or from a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from fmcore.errors import Interrupted, TrainingError
from fmcore.flow.field import Field
from fmcore.interfaces.model import VectorField
from fmcore.recipe.sections import Train
from fmcore.runs.checkpoint import Checkpoint, CheckpointFolder, load_into
from fmcore.runs.distributed import Distributed
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import MEASURED
from fmcore.runs.progress import Advance, progress
from fmcore.runs.signals import StopRequest, stop_on_signal
from fmcore.runs.trackers import Trackers, trackers
from fmcore.stages.components import Components
from fmcore.stages.illustrate import attempt, preview
from fmcore.stages.other_runs import initial_weights, teachers
from fmcore.stages.validate import BestSoFar, Validator
from fmcore.stages.weights import current_field
from fmcore.training.lr_schedule import learning_rate
from fmcore.training.trainer import Trainer

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["train"]


def train(
    components: Components,
    folder: RunFolder,
    accelerator: Accelerator,
    processes: Distributed,
    quiet: bool = False,
) -> None:
    """Train to the last step, saving checkpoints; resume from the newest valid one.

    All `processes` stop at the same step.  Raises Interrupted after saving if a signal asks to
    stop, and TrainingError if a loss is not finite.
    """
    settings = components.train
    if settings is None:
        return
    with stop_on_signal() as stop:
        trainer = Trainer(
            _initial(components, settings, folder),
            components.batches(settings),
            settings,
            accelerator,
            teachers(components, accelerator.device),
        )
        _resume(trainer, folder, processes)
        pending = _validation_pending(components, trainer, folder, processes)
        if trainer.step >= settings.steps and not pending:
            return
        hidden = quiet or not processes.is_main
        with (
            trackers(settings.trackers, folder, trainer.step) as opened,
            progress("train", settings.steps, "steps", trainer.step, hidden) as show,
        ):
            loop = _TrainingLoop(components, trainer, folder, processes, stop, opened, show)
            if pending:
                loop.validate()
            loop.run()


def _initial(components: Components, settings: Train, folder: RunFolder) -> VectorField:
    """Return the network at step 0: the seed's weights, or those of the run `train.init`."""
    model = components.model()
    # a checkpoint replaces them anyway
    if settings.init is not None and not folder.checkpoints.steps():
        weights = initial_weights(components, settings.init, model.state_dict())
        load_into(model, weights, f"train.init: {settings.init.run}")
    return model


def _resume(trainer: Trainer, folder: RunFolder, processes: Distributed) -> None:
    """Restore the newest valid checkpoint; the main process decides which that is."""
    # validity is checked by one process: all must resume from the same step
    newest = folder.checkpoints.latest() if processes.is_main else None
    step = processes.on_main(lambda: newest.step if newest else None)
    processes.on_main(lambda: _rewind(trainer.settings, folder, step or 0))
    if step is None:
        return
    # the others read the checkpoint that the main one found valid
    checkpoint = newest or folder.checkpoints.load(step)
    trainer.resume(checkpoint, str(folder.checkpoints.root))
    if trainer.step < trainer.settings.steps:
        folder.log(f"resuming from step {trainer.step}")


def _rewind(settings: Train, folder: RunFolder, step: int) -> None:
    """Remove what was logged after `step`, and a mark of the best checkpoint set since."""
    curve, saved = folder.curve, folder.checkpoints
    curve.rewind(step)
    if settings.best is not None:
        best = BestSoFar(settings.best, curve.lines()).step
        if saved.best != best:
            saved.mark_best(best if best in saved.steps() else None)


def _validation_pending(
    components: Components, trainer: Trainer, folder: RunFolder, processes: Distributed
) -> bool:
    """Return whether a stop prevented the validation of the step reached."""
    every, step = trainer.settings.evaluate_every, trainer.step
    if components.validation is None or every is None or step == 0:
        return False
    if step % every and step < trainer.settings.steps:
        return False
    return not processes.on_main(lambda: _is_measured(folder, step))


def _is_measured(folder: RunFolder, step: int) -> bool:
    return any(
        line["step"] == step and any(key.startswith(MEASURED) for key in line)
        for line in folder.curve.lines()
    )


@final
@dataclass
class _TrainingLoop:
    """The steps that are left, with logging, validation, checkpoints and previews."""

    components: Components
    trainer: Trainer
    folder: RunFolder
    processes: Distributed
    stop: StopRequest
    trackers: Trackers
    show: Advance

    def __post_init__(self) -> None:
        self.settings = self.trainer.settings
        self.curve = self.folder.curve
        lines = self.curve.lines()
        logged = (line.get("seconds") for line in reversed(lines))
        elapsed = next((seconds for seconds in logged if isinstance(seconds, int | float)), 0.0)
        self.began = time.monotonic() - elapsed  # the curve's clock continues where it stopped
        # the curve is read here, once: at each evaluation it would take longer and longer
        best = self.settings.best
        self.best = None if best is None else BestSoFar(best, lines)
        self.validator: Validator | None = None
        if settings := self.components.validation:
            self.validator = Validator(
                self.components, settings, self.folder, self.processes, self.stop
            )

    def run(self) -> None:
        """Take the steps that are left."""
        settings, trainer = self.settings, self.trainer
        while trainer.step < settings.steps:
            trainer.train_step()
            self.show(trainer.step)
            last = trainer.step == settings.steps
            if last or trainer.step % settings.log_every == 0:
                self._log()
            elif trainer.numbers:
                self._write_line({"step": trainer.step, **trainer.numbers})
            # every step: it costs microseconds, and processes must agree on the step to stop at
            stopped = self._stopped()
            best = False
            if not stopped and self._due(settings.evaluate_every, last):
                best = self.validate()
                stopped = self._stopped()  # a validation may take minutes
            # a stop saves at once: steps since the last checkpoint would be repeated
            if last or stopped or best or self._checkpoint_due():
                self._save()
            if self._due(settings.snapshot_every, last):
                self._save_snapshot()
            if self._due(settings.sample_every):
                self._preview()
            if stopped:
                raise self._interrupted()
        if self._stopped():  # a signal during the last save
            raise self._interrupted()

    def validate(self) -> bool:
        """Measure the current network; return whether it is the best so far, which is then marked.

        The caller must save it then: the mark comes first, so that the previous best stays until
        the new one is saved.
        """
        if self.validator is None:
            return False
        step = self.trainer.step
        results = self.validator.measure(self._field(), step)
        if results is None:
            return False
        line = {"step": step, **{f"{MEASURED}{k}": v for k, v in results.items()}}
        self._write_line(line)
        best = self.processes.on_main(lambda: self._mark_best(line))
        values = ", ".join(f"{name} {float(value):.5g}" for name, value in results.items())
        how = f"provenance in evaluations/step-{step:09d}.json"
        self.folder.log(f"step {step}: {values}{'; the best so far' if best else ''}; {how}")
        return best

    def _stopped(self) -> bool:
        return self.processes.any(bool(self.stop))

    def _interrupted(self) -> Interrupted:
        return Interrupted(_interrupt_message(self.trainer, self.folder, self.stop))

    def _due(self, every: int | None, last: bool = False) -> bool:
        return every is not None and (last or self.trainer.step % every == 0)

    def _checkpoint_due(self) -> bool:
        return self._due(self.settings.checkpoint_every) or self._due(self.settings.keep_every)

    def _log(self) -> None:
        step, stats = self.trainer.step, self.trainer.read_stats()
        # the rate that the last step used; `step` counts from 1 here
        lr = learning_rate(step - 1, self.settings)
        self._write_line({"step": step, **stats, "lr": lr, **self.trainer.numbers})
        _require_finite(self.trainer, self.folder)
        self.show(step, f"loss {stats['loss']:.4f}")

    def _mark_best(self, line: Mapping[str, Any]) -> bool:
        if self.best is None or not self.best.add(line):
            return False
        facts = {**asdict(self.best.best), "value": self.best.value}
        self.folder.checkpoints.mark_best(self.trainer.step, facts)
        return True

    def _save(self) -> None:
        # before saving: a checkpoint with weights that are not finite could not be resumed
        _require_finite(self.trainer, self.folder)
        made = self.trainer.checkpoint()
        keep, every = self.settings.keep_last, self.settings.keep_every
        self.processes.on_main(lambda: _write(self.folder.checkpoints, made, keep, every))

    def _save_snapshot(self) -> None:
        made = self.trainer.snapshot()
        self.processes.on_main(lambda: _write(self.folder.snapshots, made, None))

    def _preview(self) -> None:
        field, sample, step = self._field(), self.components.sample, self.trainer.step
        if sample is None:
            return

        def draw() -> None:
            # after a signal no preview is worth waiting for: the next step ends the loop
            with suppress(KeyboardInterrupt), self.stop.at_once():
                attempt(
                    "the preview",
                    lambda: preview(self.components, sample, field, step, self.folder),
                    self.folder,
                )

        self.processes.on_main(draw)

    def _field(self) -> Field:
        return current_field(self.components, self.trainer, self._evaluation_model)

    @cached_property
    def _evaluation_model(self) -> VectorField:
        # one instance for all validations and previews; each copies the current weights into it
        return self.components.model(self.trainer.accelerator.device)

    def _write_line(self, line: Mapping[str, Any]) -> None:
        """Append a line to metrics.jsonl, and pass it to the trackers."""
        if not self.processes.is_main:
            return
        timed = {**line, "seconds": round(time.monotonic() - self.began, 3)}
        self.curve.append(timed)
        self.trackers.log(timed)


def _write(
    folder: CheckpointFolder, made: Checkpoint, keep: int | None, every: int | None = None
) -> None:
    folder.save(made, keep, every)


def _require_finite(trainer: Trainer, folder: RunFolder) -> None:
    step = trainer.first_bad_step()
    if step is None:
        return
    saved = folder.checkpoints.steps()
    good = (
        f"the last good checkpoint is of step {saved[-1]}"
        if saved
        else "there is no checkpoint yet"
    )
    rows = trainer.batches.indices(step, range(min(8, trainer.settings.batch_size)))
    raise TrainingError(
        f"{folder.root}: the loss or the gradient of step {step} is not finite; its batch starts "
        f"with examples {rows}; {good}. "
        "Lower train.lr, set train.grad_clip, or use train.precision=fp32"
    )


def _interrupt_message(trainer: Trainer, folder: RunFolder, stop: StopRequest) -> str:
    name = stop.signal.name if stop.signal else "a signal"
    return (
        f"stopped by {name} at step {trainer.step} of {trainer.settings.steps}; "
        f"everything is saved.  To resume, give the same command with --out {folder.root}"
    )
