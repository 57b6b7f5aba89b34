"""Autoguidance: extrapolation away from the field of a weaker run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Ge
from torch import Tensor

from fmcore import ChangedSchedule, Guidance, Guided, GuidedCall, Predictor, Quantity, RunOption

__all__ = ["Autoguidance"]


@final
@dataclass(frozen=True)
class Autoguidance(Guidance):
    """v = v_weak + scale (v_strong - v_weak), with the weak field that of another run.

    `weak` is the folder of a smaller or less trained run on the same data; its network sees the
    same condition.  A scale of 1 is no guidance.  A weak run along another affine path is put on
    the path of the samples.  Source: Karras et al. 2024, arXiv 2406.02507.
    """

    quantity: ClassVar[Quantity | None] = None

    weak: RunOption
    scale: Annotated[float, Ge(0)]

    def guide(self, call: GuidedCall) -> Tensor:
        strong, weak = call.predict(), call.predict("weak")
        return weak + self.scale * (strong - weak)

    def wrap(self, field: Predictor) -> Predictor:
        if self.is_neutral:
            return Guided(field, self)
        device = next(field.model.parameters(), torch.empty(0)).device
        weak = self.weak.open(device)
        # both fields must follow the same path, or their difference means nothing
        same = weak.path == field.path
        return Guided(field, self, {"weak": weak if same else ChangedSchedule(weak, field.path)})
