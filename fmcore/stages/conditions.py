"""Checks of a recipe's conditions: the data, the network, training and sampling must agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fmcore.errors import ComponentError, did_you_mean
from fmcore.interfaces.condition import ConditionSpec
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.path import Path
from fmcore.recipe.sections import Evaluate, Guidance, Sample, Train

__all__ = [
    "NOTHING_TO_DROP",
    "check_conditions",
    "dropped_names",
    "own_values",
    "readers_of",
    "source_reads",
]

NOTHING_TO_DROP = (
    "sample.guidance: the network has no classes to leave out: train with model.classes and "
    "train.label_dropout (train.condition_dropout for other conditions), or guide by a weaker run: "
    "sample.guidance.weak=RUN"
)

UNNAMED = frozenset({"label", "mask", "frozen", "frozen_values"})
"""Entries that need no reader: a network may be unconditional, and losses read the mask."""


def check_conditions(
    model: VectorField | None,
    path: Path,
    data: Dataset,
    train: Train | None,
    sample: Sample | None,
    evaluate: Evaluate | None,
) -> None:
    """Raise ComponentError with every reason why these do not agree on conditions.

    `model` may be on the meta device; None where it cannot be built there, and then only its
    training can find out.
    """
    if model is None:
        return
    entries = dict(data.entries)
    reasons = [
        *_labels(model, data, train, evaluate),
        *_read_entries(model, path, entries, train),
        *([] if train is None else _dropout(model, entries, train)),
        *([] if sample is None else _sampled_labels(model, sample)),
        *([] if sample is None else _sampled_entries(model, path, data, train, sample)),
        *([] if sample is None else _guidance(model, train, sample)),
    ]
    if reasons:
        raise ComponentError("\n".join(reasons))


def classes_of(model: VectorField) -> int:
    """The number of classes that the network reads; 0 without labels."""
    return int(getattr(model, "classes", 0))


def readers_of(model: VectorField, path: Path) -> frozenset[str]:
    """The entries that the network or the path's source reads."""
    return model.reads | source_reads(path)


def source_reads(path: Path) -> frozenset[str]:
    """The entries that the path's source reads: it has no null branch."""
    return path.noise().reads | path.prior().reads


def dropped_names(model: VectorField, guidance: Guidance, train: Train | None) -> tuple[str, ...]:
    """The conditions that guidance leaves out in its weak branch: those that training drops.

    A network that was not trained here leaves out its label.
    """
    if guidance.drop is not None:
        return guidance.drop
    names = ("label",) if train is None else tuple(train.dropout)
    found = tuple(name for name in names if name in model.reads)
    # a scale of 1 needs no null branch, and so no dropout
    return found or (("label",) if classes_of(model) else ())


def own_values(sample: Sample) -> dict[str, Any]:
    """The values of `sample.condition` by name; {} for a split or none."""
    if not isinstance(sample.condition, dict):
        return {}
    values = dict(sample.condition)
    # an override of one value turns `condition: test` into a mapping that has `test` as its name
    if values.get("name") in ("train", "test"):
        values.pop("name")
    return values


def _labels(
    model: VectorField, data: Dataset, train: Train | None, evaluate: Evaluate | None
) -> Iterator[str]:
    classes = classes_of(model)
    if not classes:
        if train is not None and "label" in train.dropout and "label" not in model.reads:
            yield (
                "train.label_dropout drops the labels of a network that reads none: "
                "set model.classes: auto, or leave out train.label_dropout"
            )
        return
    # a network trained elsewhere meets labels of the data only where they are measured
    if train is None and (evaluate is None or data.classes <= classes):
        return
    if not data.classes:
        yield (
            f"model.classes is {classes}, and the data have no labels: set model.classes: 0, "
            "or use data with labels"
        )
    elif data.classes != classes:
        yield (
            f"model.classes is {classes}, and the data have {data.classes} classes (labels 0 to "
            f"{data.classes - 1}): set model.classes: {data.classes}, or auto"
        )


def _read_entries(
    model: VectorField, path: Path, entries: Mapping[str, ConditionSpec], train: Train | None
) -> Iterator[str]:
    ignored = frozenset(() if train is None else train.ignore_conditions)
    for name in sorted(ignored - entries.keys()):
        yield _unknown("train.ignore_conditions", name, entries)
    read = readers_of(model, path)
    for name in sorted(read - UNNAMED - (entries.keys() - ignored)):
        reader = type(model).__name__ if name in model.reads else type(path.noise()).__name__
        yield (
            f"{reader} reads the condition '{name}', which the data do not give; conditions of the "
            f"data: {', '.join(entries.keys() - ignored) or 'none'}"
        )
    if train is None:
        return
    for name in sorted(entries.keys() - UNNAMED - ignored - read):
        yield (
            f"the data give the condition '{name}', and nothing reads it: set "
            f"model.conditions: [{name}] (for networks with that option), or "
            f"train.ignore_conditions: [{name}]"
        )


def _dropout(
    model: VectorField, entries: Mapping[str, ConditionSpec], train: Train
) -> Iterator[str]:
    for name in sorted(train.dropout.keys() - {"label"}):
        if name not in entries:
            yield _unknown("train.condition_dropout", name, entries)
        elif not entries[name].droppable:
            yield (
                f"train.condition_dropout.{name}: the data declare '{name}' as not droppable, so "
                "it has no null value"
            )
        elif name not in model.reads:
            yield f"train.condition_dropout.{name}: the network does not read '{name}'"


def _sampled_labels(model: VectorField, sample: Sample) -> Iterator[str]:
    classes = classes_of(model)
    if sample.label is not None and not classes:
        yield (
            f"sample.label is {sample.label}, and the network reads no labels: train with "
            "model.classes: auto, or leave out sample.label"
        )
    elif sample.label is not None and sample.label >= classes:
        yield (
            f"sample.label is {sample.label}, and the network has {classes} classes: give a label "
            f"from 0 to {classes - 1}"
        )


def _sampled_entries(
    model: VectorField, path: Path, data: Dataset, train: Train | None, sample: Sample
) -> Iterator[str]:
    if isinstance(sample.condition, str):
        return
    own = own_values(sample)
    if "label" in own and sample.label is not None:
        yield "sample.label and sample.condition.label are the same: give one"
    try:
        given = data.encode(own)
    except ComponentError as error:
        yield f"sample.condition: {error}"
        return
    entries = data.entries
    for name in sorted(readers_of(model, path) - UNNAMED - given.keys()):
        if name not in entries:
            continue  # refused as a condition that the data lack
        never_null = train is not None and name not in train.dropout
        if never_null or not entries[name].droppable or name in source_reads(path):
            yield (
                f"samples need the condition '{name}': set sample.condition: test (or train) for "
                f"those of the data, or sample.condition.{name} for one of your own"
                + (
                    f" (without it, training needs train.condition_dropout.{name})"
                    if entries[name].droppable and name not in source_reads(path)
                    else ""
                )
            )


def _guidance(model: VectorField, train: Train | None, sample: Sample) -> Iterator[str]:
    guidance = sample.guidance
    if guidance is None or guidance.weak is not None:
        return
    names = dropped_names(model, guidance, train)
    if not names:
        yield NOTHING_TO_DROP
    for name in names:
        if name not in model.reads:
            yield f"sample.guidance.drop: the network does not read '{name}'"
        elif train is not None and name not in train.dropout and guidance.scale != 1:
            option = "label_dropout" if name == "label" else f"condition_dropout.{name}"
            yield (
                f"sample.guidance compares the network with and without '{name}', and training "
                f"never drops it: set train.{option} (0.1 is usual), or guide by a weaker run: "
                "sample.guidance.weak=RUN"
            )


def _unknown(option: str, name: str, entries: Mapping[str, ConditionSpec]) -> str:
    known = f"; conditions of the data: {', '.join(entries) or 'none'}"
    return f"{option}: no condition '{name}'{did_you_mean(name, entries) or known}"
