"""What MeanFlow and improved MeanFlow share: the draw of two times, guidance, and the weight."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from fmcore import Batch, ComponentError, Net, StratifiedTime, Time, append_dims
from fmcore_objectives.flow_map import FlowMapObjective, Share

__all__ = ["TwoTimes"]


@dataclass(frozen=True)
class TwoTimes(FlowMapObjective, ABC):
    """An objective of average velocities that differentiates the network along the flow.

    `apart` is the share of rows with until > t; the others learn the velocity.  `time` draws both
    times.  `power` is that of the adaptive weight w = 1 / (error + epsilon)^power: 0 is the plain
    square, 1 the papers' choice for images, which spends less on large errors.

    `guidance` above 1 trains the guided flow, so that a sample still costs one evaluation:
    ut is replaced by w ut + kappa u(xt, t | c) + (1 - w - kappa) u(xt, t), with the share
    kappa = `mix` and w = `guidance` (1 - mix), so that the flow is guided by `guidance`.  Rows
    whose condition `drop` was dropped keep ut.  Source: Geng et al. 2025 (arXiv 2505.13447),
    section 4.2 and appendix B.1.
    """

    times: ClassVar[tuple[str, ...]] = ("t", "until")

    apart: Share = 0.5
    power: Annotated[float, Ge(0)] = 0.0
    epsilon: Annotated[float, Gt(0)] = 1e-3
    time: Time = field(default_factory=StratifiedTime)
    guidance: Annotated[float, Ge(1)] = 1.0
    mix: Annotated[float, Ge(0), Lt(1)] = 0.0
    drop: str = "label"

    @property
    def reads(self) -> frozenset[str]:
        """The condition that guidance drops."""
        return frozenset({self.drop} if self.guidance > 1 else ())

    @final
    def draw(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Mapping[str, Tensor]:
        first, second = (self.time.sample(n, generator, part) for _ in range(2))
        # independent of the strata: a stratified draw is in random order
        apart = torch.rand(n, generator=generator) < self.apart
        low, high = torch.minimum(first, second), torch.maximum(first, second)
        t = torch.where(apart, low, first)
        return {"t": t, "until": torch.where(apart, high, t)}

    @final
    def velocity(self, net: Net, batch: Batch, xt: Tensor, ut: Tensor, t: Tensor) -> Tensor:
        """The velocity to learn at (xt, t): ut, or that of the guided flow; without gradient.

        Raises ComponentError for a batch without the condition that guidance drops.
        """
        if self.guidance == 1:
            return ut
        condition = batch.condition or {}
        if self.drop not in condition:
            raise ComponentError(
                f"{type(self).__name__}: guidance compares the network with and without the "
                f"condition '{self.drop}', which the data do not give"
            )
        weight = self.guidance * (1 - self.mix)
        with torch.no_grad():
            null = net.without(self.drop)(xt, t, until=t)
            own = net(xt, t, until=t) if self.mix else null
        guided = weight * ut + self.mix * own + (1 - weight - self.mix) * null
        given = append_dims(_is_given(condition, self.drop), xt)
        return torch.where(given, guided.to(ut.dtype), ut)

    @final
    def weighted(self, error: Tensor) -> Tensor:
        """The error of each row, `(batch,)`, times its weight, which carries no gradient."""
        if self.power == 0:
            return error
        return error / (error.detach() + self.epsilon) ** self.power


def _is_given(condition: Mapping[str, Tensor], name: str) -> Tensor:
    """The rows, `(batch,)` bool, whose condition `name` was not dropped."""
    value = condition[name]
    if not value.is_floating_point():
        return (value >= 0).flatten(1).all(1) if value.ndim > 1 else value >= 0
    present = condition.get(f"present/{name}")
    return torch.ones(len(value), dtype=torch.bool) if present is None else present
