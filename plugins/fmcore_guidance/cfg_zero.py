"""CFG-Zero*: classifier-free guidance of flow matching with an optimal scale and a zero start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge, Le
from torch import Tensor

from fmcore import Condition, Guidance, GuidedCall, Predictor, append_dims
from fmcore_guidance.geometry import dot
from fmcore_guidance.null_branch import with_null_branch

__all__ = ["CFGZero"]


@final
@dataclass(frozen=True)
class CFGZero(Guidance):
    """v = s v_weak + scale (v_strong - s v_weak), and 0 for t < `zero_until`.

    s = <v_strong, v_weak> / |v_weak|^2 is, for each sample, the multiple of the weak velocity that
    is nearest to the strong one.  The paper zeroes the first steps of a solver; a guidance knows
    the time and not the step, so here `zero_until` is a time in [0, 1].  `scale` and `drop` are
    those of `cfg`; with scale 1 and zero_until 0 this is no guidance.
    Source: Fan et al. 2025, arXiv 2503.18886, eq. 8 and algorithm 1.
    """

    neutral: ClassVar[dict[str, Any]] = {"scale": 1.0, "zero_until": 0.0}

    scale: Annotated[float, Ge(0)]
    drop: tuple[str, ...] | None = None
    zero_until: Annotated[float, Ge(0), Le(1)] = 0.04

    def prepare(self, field: Predictor, raw: Condition | None) -> Condition | None:
        return with_null_branch(self.drop, field, raw)

    def guide(self, call: GuidedCall) -> Tensor:
        strong, weak = call.predict(), call.predict("weak")
        # a weak velocity of 0 has no multiple but 0
        s = dot(strong, weak) / dot(weak, weak).clamp(min=torch.finfo(weak.dtype).tiny)
        guided = s * weak + self.scale * (strong - s * weak)
        return torch.where(append_dims(call.t < self.zero_until, guided), 0.0, guided)
