"""Other runs that a run needs: teachers, weak fields, codecs, initial weights.

A component names one by an option of type RunOption.  The runs are checked before anything is
computed, and opened when they are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fmcore.errors import FmcoreError, RunError
from fmcore.flow.field import Field
from fmcore.interfaces.condition import ConditionSpec
from fmcore.interfaces.field import Predictor
from fmcore.interfaces.run_option import RunOption
from fmcore.recipe.create import create
from fmcore.recipe.parts import run_options
from fmcore.runs.folder import RunFolder
from fmcore.stages.components import FIELD_SECTIONS, Components
from fmcore.stages.conditions import classes_of
from fmcore.stages.weights import trained_field
from fmcore.training.ema import BEST, width_of

__all__ = [
    "check_runs",
    "initial_weights",
    "open_run_option",
    "refuse_own_run",
    "teachers",
    "weights_used",
]

TRAINING_SECTIONS = ("objective", "coupling", "train")
"""Sections whose runs are needed to train, not to sample or to measure."""

MAX_NAMED = 4
"""Names of weights in a message."""

MAX_OPEN = 4
"""Networks of other runs kept in memory, for the stages and validations of one command."""


def open_run_option(option: RunOption, device: torch.device | str) -> Predictor:
    """Return the field of another run on `device`, its weights frozen (see `RunOption.open`)."""
    folder = _folder(option)
    # a new field each time: its counters are those of one user
    components, field = _opened(folder.root, _state(folder), option.weights, str(device))
    own = Field(field.model, field.path, field.objective, coupling=field.coupling)
    if option.guidance == 1:
        return own
    drop = _dropped(components, own, folder)
    return create("guidance", "cfg", scale=option.guidance, drop=drop).wrap(own)


@lru_cache(maxsize=MAX_OPEN)
def _opened(
    root: Path, state: tuple[Any, ...], weights: str, device: str
) -> tuple[Components, Field]:
    # `state` is only part of the key: after more training it is another network
    folder = RunFolder.open(root, _silent)
    components = Components.of(folder.recipe())
    field, _ = trained_field(components, folder, weights, device)
    return components, field


def _dropped(components: Components, field: Field, folder: RunFolder) -> tuple[str, ...]:
    train = components.train
    dropped = ("label",) if train is None else tuple(train.dropout)
    names = tuple(name for name in dropped if name in field.model.reads)
    if not names:
        raise RunError(
            f"{folder.root}: guidance compares the network with and without a condition, and its "
            "training dropped none: set guidance to 1, or train it with train.label_dropout"
        )
    return names


def teachers(components: Components, device: torch.device | str) -> dict[str, Predictor]:
    """Return the opened runs of the objective's options, by the option's name."""
    prefix = "objective."
    return {
        key.removeprefix(prefix): option.open(device)
        for key, option in run_options(components.recipe).items()
        if key.startswith(prefix)
    }


def initial_weights(
    components: Components, option: RunOption, own: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the weights of the run `option` for the network of `components`, whose weights are
    `own`.

    Those of the second time of a flow map stay as they are, where the other network has none.
    """
    weights = option.open().model.state_dict()
    other = Components.of(_folder(option).recipe())
    kept = own if _adds_second_time(components, other) else {}
    return {**kept, **weights}


def weights_used(components: Components) -> dict[str, str]:
    """Return the weights of each run that the recipe names, by dotted key: step and checksum.

    A run that only training needs, and whose folder is gone, is left out.
    """
    found = {}
    for key, option in run_options(components.recipe).items():
        if _section(key) in TRAINING_SECTIONS and not option.run.exists():
            continue
        found[key] = _weights(option)
    return found


def check_runs(components: Components, training: bool = True) -> None:
    """Raise RunError, one line a reason, for other runs that cannot be used.

    With `training=False`, those that only training needs are not checked.
    """
    reasons = [
        f"{key}: {reason}"
        for key, option in run_options(components.recipe).items()
        if training or _section(key) not in TRAINING_SECTIONS
        for reason in _refusals(components, key, option)
    ]
    if reasons:
        raise RunError("\n".join(reasons))


def refuse_own_run(components: Components, root: Path) -> None:
    """Raise RunError if the run in the folder `root` needs itself, directly or through another."""
    for key, option in run_options(components.recipe).items():
        if _section(key) == "sample":
            continue  # a run may guide its own samples by other weights
        for chain in _chains(option, ()):
            if root.resolve() in chain:
                raise RunError(f"{key}: {_cycle((root.resolve(), *chain))}")


def _refusals(components: Components, key: str, option: RunOption) -> Iterator[str]:
    try:
        for chain in _chains(option, ()):
            if len(set(chain)) < len(chain):
                yield _cycle(chain)
                return
        _weights(option)
        other = Components.of(_folder(option).recipe())
        if other.train is not None:
            width_of(option.weights, other.train)
        if _section(key) in FIELD_SECTIONS:
            yield from _differences(components, other, option.run)
        if key == "train.init":
            yield from _other_tensors(components, other, option.run)
    except FmcoreError as error:
        yield str(error).removeprefix("sample.weights: ")


def _chains(option: RunOption, above: tuple[Path, ...]) -> Iterator[tuple[Path, ...]]:
    """Yield each chain of runs that need the next one; a chain ends where a run comes again."""
    root = option.run.resolve()
    chain = (*above, root)
    found = {} if root in above else run_options(_folder(option).recipe())
    needed = [
        inner
        for key, inner in found.items()
        # its samples are not used; what trained it is not needed any more
        if _section(key) != "sample"
        and (_section(key) not in TRAINING_SECTIONS or inner.run.exists())
    ]
    if not needed:
        yield chain
    for inner in needed:
        yield from _chains(inner, chain)


def _cycle(chain: tuple[Path, ...]) -> str:
    first = next(i for i, root in enumerate(chain) if root in chain[i + 1 :])
    last = chain.index(chain[first], first + 1)
    names = " needs ".join(str(root) for root in chain[first : last + 1])
    return f"a run cannot need itself: {names}; name another run"


def _differences(own: Components, other: Components, root: Path) -> Iterator[str]:
    """Yield what keeps the other run's field from being used at this run's states."""
    if tuple(other.data.shape) != tuple(own.data.shape):
        yield (
            f"{root} has data of shape {tuple(other.data.shape)}, and this run of shape "
            f"{tuple(own.data.shape)}: name a run with data of the same shape"
        )
    if other.path != own.path:
        yield f"{root} follows the path {other.path}, and this run {own.path}: use the same path"
    model = other.planned_model
    classes = 0 if model is None else classes_of(model)
    if classes and classes != own.data.classes:
        yield f"{root} reads {classes} classes, and the data of this run have {own.data.classes}"
    for name in sorted(frozenset() if model is None else model.reads):
        if name not in own.entries:
            known = ", ".join(own.entries) or "none"
            yield f"{root} reads the condition '{name}'; conditions of this run: {known}"
        elif name in other.entries and _form(other.entries[name]) != _form(own.entries[name]):
            yield (
                f"{root} reads the condition '{name}' as {_form(other.entries[name])}, and in this "
                f"run it is {_form(own.entries[name])}"
            )


def _other_tensors(own: Components, other: Components, root: Path) -> Iterator[str]:
    """Yield the names of the weights that the other run's network has not, or in another shape."""
    mine, theirs = own.planned_model, other.planned_model
    if mine is None or theirs is None:  # compared when they are loaded
        return
    shapes, found = ({k: v.shape for k, v in m.state_dict().items()} for m in (mine, theirs))
    wrong = [name for name in {**shapes, **found} if shapes.get(name) != found.get(name)]
    if _adds_second_time(own, other):
        wrong = [name for name in wrong if name in found]
    if wrong:
        more = f" and {len(wrong) - MAX_NAMED} more" if len(wrong) > MAX_NAMED else ""
        yield (
            f"{root} has another network: the weights {', '.join(wrong[:MAX_NAMED])}{more} do not "
            "fit; use the section model of its recipe.yaml"
        )


def _adds_second_time(own: Components, other: Components) -> bool:
    """Return whether only this run's objective gives the network, of one section `model`, a second
    time: weights that the other network lacks are then those of that time.
    """
    spans = own.objective.spans and not other.objective.spans
    return spans and own.recipe.values["model"] == other.recipe.values["model"]


def _form(spec: ConditionSpec) -> str:
    return f"{spec.dtype} of shape {tuple(spec.shape)}"


def _folder(option: RunOption) -> RunFolder:
    if not option.run.exists():
        raise RunError(f"{option.run}: no such folder; name the folder of a trained run")
    return RunFolder.open(option.run, _silent)


def _weights(option: RunOption) -> str:
    """Return step and checksum of the checkpoint that the option's weights are from.

    Raises RunError if the run is not trained.
    """
    folder = _folder(option)
    saved = folder.checkpoints
    steps = saved.steps()
    step = saved.best if option.weights == BEST else max(steps, default=None)
    if step is not None and step in steps:
        return f"step {step}, sha256 {saved.sha256(step)}"
    if folder.recipe().values["train"] is None:  # a pretrained network, whose recipe names it
        return f"recipe {folder.recipe().digest}"
    what = "no checkpoint is marked as best" if option.weights == BEST else "not trained yet"
    raise RunError(f"{folder.root}: {what}: train it first, with fmcore run")


def _state(folder: RunFolder) -> tuple[Any, ...]:
    saved = folder.checkpoints
    return (*saved.steps(), saved.best)


def _section(key: str) -> str:
    return key.partition(".")[0]


def _silent(line: str) -> None:
    """Log nothing: messages of another run belong to its own log."""
