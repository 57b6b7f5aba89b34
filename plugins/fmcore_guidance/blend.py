"""Interpolation between two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge, Le
from torch import Tensor

from fmcore import ComponentError, Condition, Guidance, GuidedCall, Predictor, Quantity, branches

__all__ = ["Blend"]


@final
@dataclass(frozen=True)
class Blend(Guidance):
    """v = (1 - weight) v(x | label) + weight v(x | other), between two classes.

    `label` is the number of the other class; that of the sample is its own.  A weight of 0 is no
    guidance, 1 the other class.  Of two Gaussians of one covariance, the samples are those of the
    Gaussian with the interpolated mean; of tokens, the posterior is proportional to
    p_label^(1 - weight) p_other^weight.
    """

    quantity: ClassVar[Quantity | None] = None
    neutral: ClassVar[dict[str, Any]] = {"weight": 0.0}

    label: Annotated[int, Ge(0)]
    weight: Annotated[float, Ge(0), Le(1)] = 0.5

    def prepare(self, field: Predictor, raw: Condition | None) -> Condition | None:
        if raw is None or "label" not in raw:
            raise ComponentError(
                "guidance 'blend' is between two classes, and the samples have no label: train "
                "with model.classes: auto"
            )
        classes = int(getattr(field.model, "classes", 0))
        if classes and self.label >= classes:
            raise ComponentError(
                f"guidance 'blend': label {self.label} is not a class of the network, 0 .. "
                f"{classes - 1}"
            )
        other = {**raw, "label": torch.full_like(raw["label"], self.label)}
        return branches(strong=field.prepare(raw), other=field.prepare(other))

    def guide(self, call: GuidedCall) -> Tensor:
        own, other = call.predict(), call.predict("other")
        return own + self.weight * (other - own)
