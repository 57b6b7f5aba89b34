"""MeanFlow: regress the average velocity through its derivative along the flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import Batch, Net, Path, StratifiedTime, Time, append_dims
from fmcore_objectives.flow_map import FlowMapObjective, Share

__all__ = ["MeanFlow"]


@final
@dataclass(frozen=True)
class MeanFlow(FlowMapObjective):
    """E w |u(xt, t, until) - sg(ut + (until - t) d/dt u(xt, t, until))|^2, d/dt along the path.

    The derivative of (until - t) u = integral of v from t to until gives the target; it is
    a Jacobian-vector product along (ut, 1, 0) and carries no gradient.  Time runs from noise to
    data here, against the paper's, so t <= until replaces r <= t and the sign of the second term
    changes with it.

    `apart` is the share of rows with until > t; the others learn the velocity.  `power` is that of
    the adaptive weight w = 1 / (error + 1e-3)^power: 0 is the plain square, 1 the paper's choice
    for images, which spends less on large errors.  `time` draws both times.
    Source: Geng et al. 2025 (arXiv 2505.13447), eq. 6-11 and algorithm 1.
    """

    loss_names: ClassVar[tuple[str, ...]] = ("mean_flow",)
    times: ClassVar[tuple[str, ...]] = ("t", "until")

    apart: Share = 0.5
    power: Annotated[float, Ge(0)] = 0.0
    epsilon: Annotated[float, Gt(0)] = 1e-3
    time: Time = field(default_factory=StratifiedTime)

    def draw(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Mapping[str, Tensor]:
        first, second = (self.time.sample(n, generator, part) for _ in range(2))
        # independent of the strata: a stratified draw is in random order
        apart = torch.rand(n, generator=generator) < self.apart
        low, high = torch.minimum(first, second), torch.maximum(first, second)
        t = torch.where(apart, low, first)
        return {"t": t, "until": torch.where(apart, high, t)}

    def losses(self, net: Net, path: Path, batch: Batch) -> Mapping[str, Tensor]:
        t, until = batch.draws["t"], batch.draws["until"]
        sample = batch.at(t)
        u, dudt = net.jvp(sample.xt, t, until, dx=sample.ut, dt=torch.ones_like(t))
        # the MeanFlow identity: u = v + (until - t) du/dt
        target = sample.ut + append_dims(until - t, sample.ut).to(sample.ut.dtype) * dudt
        error = batch.mean((u.to(sample.ut.dtype) - target).square())
        if self.power == 0:
            return {"mean_flow": error}
        return {"mean_flow": error / (error.detach() + self.epsilon) ** self.power}
