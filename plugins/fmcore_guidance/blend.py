"""Interpolation between two classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge, Le
from torch import Tensor

from fmcore import (
    ComponentError,
    Condition,
    Dataset,
    Guidance,
    GuidedCall,
    Predictor,
    Quantity,
    branches,
)

__all__ = ["Blend"]


@final
@dataclass(frozen=True)
class Blend(Guidance):
    """v = (1 - weight) v(x | label) + weight v(x | other), between two classes.

    `label` is the other class, by its number or its name; that of the sample is its own.  A weight
    of 0 is no guidance, 1 the other class.  Of two Gaussians of one covariance, the samples are
    those of the Gaussian with the interpolated mean; of tokens, the posterior is proportional to
    p_label^(1 - weight) p_other^weight.
    """

    quantity: ClassVar[Quantity | None] = None
    neutral: ClassVar[dict[str, Any]] = {"weight": 0.0}

    label: Annotated[int, Ge(0)] | str
    weight: Annotated[float, Ge(0), Le(1)] = 0.5

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"label"})

    def with_classes(self, data: Dataset) -> Blend:
        return replace(self, label=_class(data.class_number(self.label), data.classes))

    def prepare(self, field: Predictor, raw: Condition | None) -> Condition | None:
        if raw is None or "label" not in raw:
            raise ComponentError(
                "guidance 'blend' is between two classes, and the samples have no label: train "
                "with model.classes: auto"
            )
        if isinstance(self.label, str):
            raise ComponentError(
                f"guidance 'blend': label '{self.label}' is a name, which only a recipe's data "
                "give a number: call with_classes(data) first"
            )
        number = _class(self.label, int(getattr(field.model, "classes", 0)))
        other = {**raw, "label": torch.full_like(raw["label"], number)}
        return branches(strong=field.prepare(raw), other=field.prepare(other))

    def guide(self, call: GuidedCall) -> Tensor:
        own, other = call.predict(), call.predict("other")
        return own + self.weight * (other - own)


def _class(number: int, classes: int) -> int:
    """Return `number`; raise ComponentError unless it is one of `classes`, where they are known."""
    if classes and number >= classes:
        raise ComponentError(f"guidance 'blend': label {number} is not a class, 0 .. {classes - 1}")
    return number
