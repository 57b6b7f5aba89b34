"""Train the network of a recipe, or go on with it, until its last step."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from fmcore.errors import Interrupted, TrainingError
from fmcore.recipe.sections import Train
from fmcore.runs.curve import Curve
from fmcore.runs.folder import RunFolder
from fmcore.runs.progress import Advance, progress
from fmcore.runs.signals import StopRequest, stop_on_signal
from fmcore.runs.team import Team
from fmcore.stages.components import Components
from fmcore.stages.preview import preview
from fmcore.training.batches import Batches
from fmcore.training.schedule import learning_rate
from fmcore.training.training import Training

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
    training = _begin(components, settings, accelerator)
    _resume(training, folder, team)
    if training.step >= settings.steps:
        return
    first = training.step
    look = _previews(components, settings, training, folder)
    with (
        stop_on_signal() as stop,
        progress("train", settings.steps, "steps", first, quiet or not team.leads) as show,
    ):
        _loop(training, folder, team, stop, show, look)


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


def _previews(
    components: Components, settings: Train, training: Training, folder: RunFolder
) -> Callable[[], None]:
    """What draws samples while training, where the recipe asks for it."""
    if settings.sample_every is None:
        return lambda: None
    if components.sample is None:
        raise components.missing("sample")
    return partial(preview, components, components.sample, training, folder)


def _resume(training: Training, folder: RunFolder, team: Team) -> None:
    """Go on from the newest whole checkpoint: the leading process says which that is."""
    newest = folder.checkpoints.latest() if team.leads else None
    step = team.first(lambda: newest.step if newest else None)
    if step is None:
        team.first(lambda: Curve(folder.curve_file).rewind(0))
        return
    checkpoint = newest or folder.checkpoints.load(step)
    training.resume(checkpoint, str(folder.checkpoints.root))
    team.first(lambda: Curve(folder.curve_file).rewind(step))
    if training.step < training.settings.steps:
        folder.log(f"going on from step {training.step}")


def _loop(
    training: Training,
    folder: RunFolder,
    team: Team,
    stop: StopRequest,
    show: Advance,
    look: Callable[[], None],
) -> None:
    settings, curve = training.settings, Curve(folder.curve_file)
    logged = (line.get("seconds") for line in reversed(curve.lines()))
    elapsed = next((seconds for seconds in logged if isinstance(seconds, int | float)), 0.0)
    began = time.monotonic() - elapsed
    while training.step < settings.steps:
        training.advance()
        last = training.step == settings.steps
        stopped = team.any(bool(stop))
        if last or training.step % settings.log_every == 0:
            loss = _log(training, curve, time.monotonic() - began)
            _require_finite(training, folder)
            show(training.step, f"loss {loss:.4f}")
        if last or stopped or _is_due(training.step, settings):
            _save(training, folder, team)
        every = settings.snapshot_every
        if every and (last or training.step % every == 0):
            team.first(lambda: _snapped(training, folder))
        if settings.sample_every and training.step % settings.sample_every == 0:
            team.first(look)
        if stopped and not last:
            raise Interrupted(_farewell(training, folder, stop))


def _log(training: Training, curve: Curve, seconds: float) -> float:
    tally = training.read_tally()
    lr = learning_rate(training.step - 1, training.settings)
    if training.accelerator.is_main_process:
        curve.append({"step": training.step, **tally, "lr": lr, "seconds": round(seconds, 3)})
    return tally["loss"]


def _is_due(step: int, settings: Train) -> bool:
    """Whether a checkpoint is to be saved after `step`."""
    every = (settings.checkpoint_every, settings.keep_every)
    return any(n is not None and step % n == 0 for n in every)


def _save(training: Training, folder: RunFolder, team: Team) -> None:
    _require_finite(training, folder)
    team.first(lambda: _written(training, folder))


def _snapped(training: Training, folder: RunFolder) -> None:
    folder.snapshots.save(training.snapshot(), keep=None)


def _written(training: Training, folder: RunFolder) -> None:
    settings = training.settings
    folder.checkpoints.save(training.checkpoint(), settings.keep, settings.keep_every)


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
        f"{folder.root}: the loss of step {step} is not finite; its batch began with examples "
        f"{rows}; {good}. "
        "Lower train.lr, set train.clip, or use train.precision=fp32"
    )


def _farewell(training: Training, folder: RunFolder, stop: StopRequest) -> str:
    name = stop.signal.name if stop.signal else "a signal"
    return (
        f"stopped by {name} at step {training.step} of {training.settings.steps}; "
        f"everything is saved.  "
        f"To go on, give the same command with --out {folder.root}"
    )
