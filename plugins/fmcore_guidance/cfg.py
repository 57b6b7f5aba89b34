"""Classifier-free guidance: extrapolation away from the field without its conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

from annotated_types import Ge
from torch import Tensor

from fmcore import Condition, Guidance, GuidedCall, Predictor, Quantity
from fmcore_guidance.null_branch import with_null_branch

__all__ = ["CFG"]


@final
@dataclass(frozen=True)
class CFG(Guidance):
    """v = v_weak + scale (v_strong - v_weak), with the weak field that without the conditions
    `drop`.

    A scale of 1 is no guidance, 0 the weak field; it is 1 + w for the w of the paper.  By default
    the conditions are dropped that training drops (`train.condition_dropout`).  Every quantity is
    the same affine function of the velocity, so guidance of data, noise, score or velocity gives
    the same flow.  Of tokens it is linear in the logits: the posterior is proportional to
    p_strong^scale p_weak^(1 - scale).  Source: Ho and Salimans 2022, arXiv 2207.12598, eq. 6; the
    interval is that of Kynkäänniemi et al. 2024, arXiv 2404.07724.
    """

    quantity: ClassVar[Quantity | None] = None

    scale: Annotated[float, Ge(0)]
    drop: tuple[str, ...] | None = None

    def prepare(self, field: Predictor, raw: Condition | None) -> Condition | None:
        return with_null_branch(self.drop, field, raw)

    def guide(self, call: GuidedCall) -> Tensor:
        strong, weak = call.predict(), call.predict("weak")
        return weak + self.scale * (strong - weak)
