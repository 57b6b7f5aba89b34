"""Checks of a recipe's conditions: the data, the network, training and sampling must agree."""

from __future__ import annotations

from collections.abc import Iterator

from fmcore.errors import ComponentError
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.model import VectorField
from fmcore.recipe.sections import Evaluate, Sample, Train

__all__ = ["NO_CLASSES", "check_conditions"]

NO_CLASSES = (
    "sample.guidance: the network has no classes to leave out: train with model.classes and "
    "train.label_dropout, or guide by a weaker run: sample.guidance.weak=RUN"
)


def check_conditions(
    model: VectorField | None,
    data: Dataset,
    train: Train | None,
    sample: Sample | None,
    evaluate: Evaluate | None,
) -> None:
    """Raise ComponentError with every reason why these do not agree on labels.

    `model` may be on the meta device; None where it cannot be built there, and then only its
    training can find out.
    """
    if model is None:
        return
    reasons = [
        *_labels(model, data, train, evaluate),
        *([] if sample is None else _sampled_labels(model, train, sample)),
    ]
    if reasons:
        raise ComponentError("\n".join(reasons))


def classes_of(model: VectorField) -> int:
    """The number of classes that the network reads; 0 without labels."""
    return int(getattr(model, "classes", 0))


def _labels(
    model: VectorField, data: Dataset, train: Train | None, evaluate: Evaluate | None
) -> Iterator[str]:
    classes = classes_of(model)
    if not classes:
        if train is not None and train.label_dropout > 0 and "label" not in model.reads:
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


def _sampled_labels(model: VectorField, train: Train | None, sample: Sample) -> Iterator[str]:
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
    guidance = sample.guidance
    if guidance is None or guidance.weak is not None:
        return
    if not classes:
        yield NO_CLASSES
    elif train is not None and train.label_dropout == 0 and guidance.scale != 1:
        yield (
            "sample.guidance compares the network with and without its label, and it is trained "
            "with labels only: set train.label_dropout (0.1 is usual), or guide by a weaker run: "
            "sample.guidance.weak=RUN"
        )
