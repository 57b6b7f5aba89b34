"""Adaptive projected guidance: classifier-free guidance that does not oversaturate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import Condition, Guidance, GuidedCall, Path, Predictor, Quantity
from fmcore_guidance.geometry import dot, require_affine
from fmcore_guidance.null_branch import with_null_branch

__all__ = ["APG"]


@final
@dataclass(frozen=True)
class APG(Guidance):
    """D = D_strong + (scale - 1) (orthogonal + eta parallel), for the data prediction D.

    The difference D_strong - D_weak, shortened to the norm `norm_threshold` (by default not), is
    split into its part parallel to D_strong, which saturates images, and the orthogonal rest; `eta`
    1 without a threshold is `cfg`.  The paper also averages the difference over steps (momentum): a
    guidance here has no state, so there is none.  `scale` and `drop` are those of `cfg`.
    Source: Sadat et al. 2024, arXiv 2410.02416, section 4.
    """

    quantity: ClassVar[Quantity | None] = "data"

    scale: Annotated[float, Ge(0)]
    drop: tuple[str, ...] | None = None
    eta: Annotated[float, Ge(0)] = 0.0
    norm_threshold: Annotated[float, Gt(0)] | None = None

    def check(self, path: Path) -> None:
        require_affine("apg", path)

    def prepare(self, field: Predictor, raw: Condition | None) -> Condition | None:
        return with_null_branch(self.drop, field, raw)

    def guide(self, call: GuidedCall) -> Tensor:
        strong, weak = call.predict(), call.predict("weak")
        difference = strong - weak
        tiny = torch.finfo(difference.dtype).tiny  # a difference or a prediction of 0
        if self.norm_threshold is not None:
            norm = dot(difference, difference).sqrt().clamp(min=tiny)
            difference = difference * (self.norm_threshold / norm).clamp(max=1)
        parallel = dot(difference, strong) / dot(strong, strong).clamp(min=tiny) * strong
        orthogonal = difference - parallel
        return strong + (self.scale - 1) * (orthogonal + self.eta * parallel)
