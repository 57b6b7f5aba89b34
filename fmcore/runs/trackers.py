"""Other places that hear of a training: TensorBoard, Weights & Biases, by accelerate's trackers.

They are told what metrics.jsonl holds, in the leading process.  What was told of steps that are
taken again is not told twice: TensorBoard drops it, Weights & Biases is told what is new.
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
    """Raise ComponentError for trackers whose package is not there."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ComponentError(
                f"train.trackers: the package of '{name}' is not installed; "
                f"install it (pip install {name}) or leave '{name}' out"
            )


@contextmanager
def trackers(names: Sequence[str], folder: RunFolder, step: int) -> Iterator[Trackers]:
    """Trackers of a run that goes on after `step`; none but in the leading process."""
    told = Trackers(folder, [_made(n, folder, step) for n in names] if folder.leads else [])
    try:
        for tracker in told.all:
            tracker.start()
        yield told
    finally:
        for tracker in told.all:
            tracker.finish()


@final
class Trackers:
    """The trackers of a run, which may be none."""

    def __init__(self, folder: RunFolder, them: Sequence[GeneralTracker]) -> None:
        self.folder = folder
        self.all = them

    def tell(self, line: Mapping[str, Any]) -> None:
        """Tell them a line of metrics.jsonl; what is no finite number is left out."""
        step = line["step"]
        numbers = {k: float(v) for k, v in line.items() if k != "step" and _finite(v)}
        with writable(self.folder.root / FOLDER):
            for tracker in self.all:
                if step >= _next_step(tracker):
                    tracker.log(numbers, step=step)


def _made(name: str, folder: RunFolder, step: int) -> GeneralTracker:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    place = folder.root / FOLDER
    with writable(place):
        place.mkdir(exist_ok=True)
    made: GeneralTracker
    if name == "tensorboard":
        # a reader drops what a killed process told of later steps
        purge = {"purge_step": step + 1} if step else {}
        made = LOGGER_TYPE_TO_CLASS[name](name, logging_dir=str(place), **purge)
    else:
        recipe = folder.recipe()
        made = LOGGER_TYPE_TO_CLASS[name](
            recipe.name,
            name=folder.root.name,
            id=_identity(folder),
            dir=str(place),
            config=recipe.values,
            resume="allow",
            # nothing leaves the machine because a recipe says so: the user's environment has to
            mode=os.environ.get("WANDB_MODE", "offline"),
        )
    return made


def _identity(folder: RunFolder) -> str:
    """The same for a run that goes on, another for any other."""
    facts = folder.facts()
    told = f"{facts.get('digest')} {facts.get('began')} {folder.root.name}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _next_step(tracker: GeneralTracker) -> int:
    """The first step that Weights & Biases has not heard of yet; it refuses those before."""
    return int(getattr(tracker.tracker, "step", 0)) if tracker.name == "wandb" else 0


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
