"""Checks of a recipe's conditions: the data, the network, training and sampling must agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path as FilePath
from typing import Any, Protocol

from torch import Tensor

from fmcore.errors import ComponentError, did_you_mean
from fmcore.interfaces.condition import ConditionReader, ConditionSpec
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.guidance import Guidance
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.path import Path
from fmcore.recipe.sections import Evaluate, Sample, Train

__all__ = [
    "NOTHING_TO_DROP",
    "Reader",
    "check_conditions",
    "dropped_names",
    "encode_values",
    "files_given",
    "own_values",
    "readers_of",
    "sampling_readers",
    "source_reads",
]

NOTHING_TO_DROP = (
    "sample.guidance: the network has no classes to leave out: train with model.classes and "
    "train.label_dropout (train.condition_dropout for other conditions), or guide by a weaker run: "
    "sample.guidance=[{name: autoguidance, scale: 2, weak: RUN}]"
)

UNNAMED = frozenset({"label", "mask", "frozen", "frozen_values"})
"""Entries that need no reader: a network may be unconditional, and losses read the mask."""


class Reader(Protocol):
    """A component that may read conditions: an objective, a metric, the network of another run."""

    @property
    def reads(self) -> frozenset[str]:
        """The entries that it uses."""


def check_conditions(
    model: VectorField | None,
    path: Path,
    data: Dataset,
    train: Train | None,
    sample: Sample | None,
    evaluate: Evaluate | None,
    readers: Iterable[Reader] = (),
    read_elsewhere: frozenset[str] = frozenset(),
) -> None:
    """Raise ComponentError with every reason why these do not agree on conditions.

    `readers` are the other components that may read conditions, `read_elsewhere` the entries that
    networks of other runs read, whose own checks refuse what is missing.  `model` may be on the
    meta device; None where it cannot be built there, and then only its training can find out.
    """
    if model is None:
        return
    entries = dict(data.entries)
    reasons = [
        *_labels(model, data, train, evaluate),
        *_read_entries(model, path, entries, train, sample, tuple(readers), read_elsewhere),
        *([] if train is None else _dropout(model, entries, train)),
        *([] if sample is None else _sampled_labels(model, data, sample)),
        *([] if sample is None else _sampled_entries(model, path, data, train, sample)),
        *([] if sample is None else _guidance(model, path, data, train, sample)),
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


def sampling_readers(sample: Sample) -> list[ConditionReader]:
    """The guidance and the solver of the samples, which may read conditions of their own."""
    return [*(sample.guidance or ()), sample.solver]


def encode_values(data: Dataset, sample: Sample) -> dict[str, Tensor]:
    """The entries of the values in `sample.condition`, `(1, *shape)` each.

    Those that the data do not have are encoded by the guidance or the solver that declares them.
    Raises ComponentError for names and values that do not fit.
    """
    left = own_values(sample)
    found: dict[str, Tensor] = {}
    for reader in sampling_readers(sample):
        own = reader.entries(data.shape).keys() - data.entries.keys()
        given = {name: value for name, value in left.items() if name in own}
        if given:
            found |= reader.encode(given, data.shape)
    return found | data.encode({k: v for k, v in left.items() if k not in found})


def files_given(data: Dataset, sample: Sample) -> dict[str, Any]:
    """Return the record of the files in `sample.condition`: absolute, with a hash of their content;
    {} if there is none.
    """
    values = own_values(sample)
    known = {n for reader in sampling_readers(sample) for n in reader.entries(data.shape)}
    files = {k: v for k, v in values.items() if k in known and isinstance(v, str)}
    if not files:
        return {}
    content = encode_values(data, sample)
    return {
        "condition": {
            **values,
            **{k: str(FilePath(v).expanduser().resolve()) for k, v in files.items()},
        },
        "files": {k: sha256(content[k].numpy().tobytes()).hexdigest()[:12] for k in files},
    }


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
    model: VectorField,
    path: Path,
    entries: Mapping[str, ConditionSpec],
    train: Train | None,
    sample: Sample | None,
    readers: Sequence[Reader],
    read_elsewhere: frozenset[str],
) -> Iterator[str]:
    ignored = frozenset(() if train is None else train.ignore_conditions)
    for name in sorted(ignored - entries.keys()):
        yield _unknown("train.ignore_conditions", name, entries)
    by_component = [
        (model, model.reads),
        (path.noise(), source_reads(path)),
        *((reader, reader.reads) for reader in readers),
    ]
    missing: dict[str, str] = {}
    for reader, names in by_component:
        for name in names - UNNAMED - (entries.keys() - ignored):
            missing.setdefault(name, type(reader).__name__)
    for name, who in sorted(missing.items()):
        yield (
            f"{who} reads the condition '{name}', which "
            + (
                f"train.ignore_conditions leaves out: remove '{name}' from it"
                if name in ignored & entries.keys()
                else "the data do not give; conditions of the data: "
                + (", ".join(entries.keys() - ignored) or "none")
            )
        )
    if train is None:
        return
    read = read_elsewhere.union(*(names for _, names in by_component))
    for guide in () if sample is None else sampling_readers(sample):
        read |= guide.reads
    kept = {name for name, spec in entries.items() if spec.record}
    for name in sorted(entries.keys() - UNNAMED - ignored - read - kept):
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


def _sampled_labels(model: VectorField, data: Dataset, sample: Sample) -> Iterator[str]:
    classes = classes_of(model)
    if sample.label is None:
        return
    if not classes:
        yield (
            f"sample.label is {sample.label}, and the network reads no labels: train with "
            "model.classes: auto, or leave out sample.label"
        )
        return
    try:
        label = data.class_number(sample.label)
    except ComponentError as error:
        yield f"sample.label: {error}"
        return
    if label >= classes:
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
        given = encode_values(data, sample)
    except ComponentError as error:
        yield f"sample.condition: {error}"
        return
    entries = data.entries
    for reader in sampling_readers(sample):
        for name in sorted(reader.reads - given.keys() - readers_of(model, path)):
            who = type(reader).__name__
            if name in entries or name in reader.entries(data.shape):
                yield (
                    f"{who} reads the condition '{name}': set sample.condition.{name}, or "
                    "sample.condition: test to make it of the data"
                )
            else:
                yield f"{who} reads the condition '{name}', which the data do not give"
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


def _guidance(
    model: VectorField, path: Path, data: Dataset, train: Train | None, sample: Sample
) -> Iterator[str]:
    for i, guidance in enumerate(sample.guidance or ()):
        key = f"sample.guidance.{i}"
        try:
            guidance.check(sample.path or path)
            guidance.with_classes(data)
        except ComponentError as error:
            yield f"{key}: {error}"
        names = dropped_names(model, guidance, train)
        if guidance.drop is None and not names:
            yield NOTHING_TO_DROP
        for name in names:
            if name not in model.reads:
                yield f"{key}.drop: the network does not read '{name}'"
            elif train is not None and name not in train.dropout and not guidance.is_neutral:
                option = "label_dropout" if name == "label" else f"condition_dropout.{name}"
                yield (
                    f"{key} compares the network with and without '{name}', and training never "
                    f"drops it: set train.{option} (0.1 is usual), or guide by a weaker run: "
                    "sample.guidance=[{name: autoguidance, scale: 2, weak: RUN}]"
                )


def _unknown(option: str, name: str, entries: Mapping[str, ConditionSpec]) -> str:
    known = f"; conditions of the data: {', '.join(entries) or 'none'}"
    return f"{option}: no condition '{name}'{did_you_mean(name, entries) or known}"
