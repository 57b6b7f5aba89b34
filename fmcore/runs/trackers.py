"""Experiment trackers: TensorBoard and Weights & Biases, through accelerate.

The main process passes on the lines of metrics.jsonl.  Steps that a resumed training takes again
are not reported twice: TensorBoard discards the old ones, Weights & Biases gets the new ones only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from fmcore.errors import ComponentError
from fmcore.runs.files import writable
from fmcore.runs.folder import RunFolder

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

__all__ = ["Trackers", "require_trackers", "trackers"]

FOLDER = "tracking"


def require_trackers(names: Sequence[str]) -> None:
    """Raise ComponentError for trackers whose package is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ComponentError(
                f"train.trackers: the package of '{name}' is not installed; "
                f"install it (pip install {name}) or leave '{name}' out"
            )


@contextmanager
def trackers(names: Sequence[str], folder: RunFolder, step: int) -> Iterator[Trackers]:
    """Open the trackers of a run that continues after `step`; none outside the main process."""
    opened = Trackers(folder, [_tracker(n, folder, step) for n in names] if folder.is_main else [])
    try:
        for tracker in opened.all:
            tracker.start()
        yield opened
    finally:
        for tracker in opened.all:
            tracker.finish()


@final
class Trackers:
    """The open trackers of a run; there may be none."""

    def __init__(self, folder: RunFolder, opened: Sequence[GeneralTracker]) -> None:
        self.folder = folder
        self.all = opened

    def log(self, line: Mapping[str, Any]) -> None:
        """Pass on the finite numbers of a line of metrics.jsonl."""
        step = line["step"]
        numbers = {k: float(v) for k, v in line.items() if k != "step" and _finite(v)}
        with writable(self.folder.root / FOLDER):
            for tracker in self.all:
                if step >= _next_step(tracker):
                    tracker.log(numbers, step=step)


def _tracker(name: str, folder: RunFolder, step: int) -> GeneralTracker:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    place = folder.root / FOLDER
    with writable(place):
        place.mkdir(exist_ok=True)
    tracker: GeneralTracker
    if name == "tensorboard":
        # readers discard later steps that a killed process had logged
        purge = {"purge_step": step + 1} if step else {}
        tracker = LOGGER_TYPE_TO_CLASS[name](name, logging_dir=str(place), **purge)
    else:
        recipe = folder.recipe()
        tracker = LOGGER_TYPE_TO_CLASS[name](
            recipe.name,
            name=folder.root.name,
            id=_identity(folder),
            dir=str(place),
            config=recipe.values,
            resume="allow",
            # a recipe alone must not send data off the machine: the user's environment decides
            mode=os.environ.get("WANDB_MODE", "offline"),
        )
    return tracker


def _identity(folder: RunFolder) -> str:
    """Return an id that a resumed run keeps, and no other run has."""
    facts = folder.facts()
    text = f"{facts.get('digest')} {facts.get('began')} {folder.root.name}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _next_step(tracker: GeneralTracker) -> int:
    """Return the first step that Weights & Biases accepts; it refuses earlier ones."""
    return int(getattr(tracker.tracker, "step", 0)) if tracker.name == "wandb" else 0


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
