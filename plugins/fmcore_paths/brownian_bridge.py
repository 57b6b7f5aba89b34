"""The Brownian bridge between noise and data: Schrödinger bridge flow matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore_paths.bridge import BridgePath, Weights

__all__ = ["BrownianBridge"]


@final
@dataclass(frozen=True)
class BrownianBridge(BridgePath):
    """xt = (1 - t) x0 + t x1 + sigma sqrt(t (1 - t)) z.

    With coupling `minibatch_ot` its marginals are those of a Schrödinger bridge of diffusion
    `sigma`, and the learned velocity is that of its probability flow.
    Source: Tong et al. 2023 (arXiv 2307.03672), section 3.3; Shi et al. 2023 (arXiv 2303.16852).
    """

    sigma: Annotated[float, Gt(0)] = 1.0

    def weights(self, t: Tensor) -> Weights:
        one = torch.ones_like(t)
        spread = (t * (1 - t)).sqrt()
        return Weights(
            a=1 - t,
            b=t,
            g=self.sigma * spread,
            d_a=-one,
            d_b=one,
            d_g=self.sigma * (1 - 2 * t) / (2 * spread),
        )
