"""Experiment trackers: every one of accelerate, by its name.

The main process passes on the lines of metrics.jsonl.  Steps that a resumed training takes again
are not reported twice to TensorBoard, which discards the old ones, and to Weights & Biases, which
gets the new ones only; the other trackers get them again.

A recipe alone must not send data off the machine: every tracker logs into the run's folder, unless
the user's environment has its variable for another place.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from fmcore.errors import ComponentError
from fmcore.runs.files import writable
from fmcore.runs.folder import RunFolder

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

__all__ = ["Trackers", "require_trackers", "trackers"]

FOLDER = "tracking"

PACKAGES = {"comet_ml": "comet-ml"}
"""The distribution of a tracker's package, where its name is not the tracker's."""


def require_trackers(names: Sequence[str]) -> None:
    """Raise ComponentError for trackers whose package is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ComponentError(
                f"train.trackers: the package of '{name}' is not installed; "
                f"install it (pip install {PACKAGES.get(name, name)}) or leave '{name}' out"
            )
    if names:
        _require_known(names)


def _require_known(names: Sequence[str]) -> None:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise ComponentError(
                f"train.trackers: this version of accelerate has no tracker '{name}'; "
                f"upgrade it (pip install --upgrade accelerate) or leave '{name}' out"
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
    for variable, value in _environment(name, place).items():
        os.environ.setdefault(variable, value)
    title, options = _arguments(name, folder, place, step)
    tracker: GeneralTracker = LOGGER_TYPE_TO_CLASS[name](title, **options)
    return tracker


def _environment(name: str, place: Path) -> dict[str, str]:
    """Return the variables that keep a tracker on this machine, where it has no argument for it."""
    return {
        "clearml": {"CLEARML_OFFLINE_MODE": "1", "CLEARML_CACHE_DIR": str(place)},
        "comet_ml": {"COMET_OFFLINE_DIRECTORY": str(place)},
        "mlflow": {"MLFLOW_TRACKING_URI": place.resolve().as_uri()},
        "trackio": {"TRACKIO_DIR": str(place)},
    }.get(name, {})


def _arguments(name: str, folder: RunFolder, place: Path, step: int) -> tuple[str, dict[str, Any]]:
    """Return the name and the options that accelerate's class of a tracker is built with."""
    recipe, run = folder.recipe(), folder.root.name
    if name == "tensorboard":
        # readers discard later steps that a killed process had logged
        return name, {"logging_dir": str(place)} | ({"purge_step": step + 1} if step else {})
    if name == "wandb":
        mode = os.environ.get("WANDB_MODE", "offline")
        own = {"id": _identity(folder), "config": recipe.values, "resume": "allow", "mode": mode}
        return recipe.name, {"name": run, "dir": str(place), **own}
    options: dict[str, dict[str, Any]] = {
        "aim": {"logging_dir": str(place), "experiment": recipe.name},
        "clearml": {"task_name": run},
        # comet's own variable; without it, it would ask its server for an account
        "comet_ml": {"online": bool(os.environ.get("COMET_START_ONLINE"))},
        "dvclive": {"dir": str(place / name), "resume": step > 0, "save_dvc_exp": False},
        "mlflow": {"run_name": run},
        "swanlab": {
            "experiment_name": run,
            "logdir": str(place / name),
            "mode": os.environ.get("SWANLAB_MODE", "offline"),
        },
        "trackio": {"name": run, "resume": "allow"},
    }
    # aim's class takes the name of the run, the others that of the project
    return (run if name == "aim" else recipe.name), options[name]


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
