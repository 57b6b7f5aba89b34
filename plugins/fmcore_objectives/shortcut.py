"""Shortcut models: one large step equals two small ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, final

import torch
from annotated_types import Ge
from torch import Tensor

from fmcore import Batch, Net, Path, Time, UniformTime, append_dims
from fmcore_objectives.flow_map import FlowMapObjective, Share

__all__ = ["Shortcut"]


@final
@dataclass(frozen=True)
class Shortcut(FlowMapObjective):
    """Flow matching at step size 0, and self-consistency of steps of sizes 2^-levels to 1.

    A step of size 2d from t must be the mean of two steps of size d: s(xt, t, t + 2d) regresses
    (s(xt, t, t + d) + s(x', t + d, t + 2d)) / 2 with x' = xt + d s(xt, t, t + d), whose value
    carries no gradient.  `consistent` is the share of rows that learn this; `target` is whose
    weights give the two small steps: the network's own, or the moving average's as in the paper.
    Step sizes are fractions of the path's interval.  `time` draws t; rows of the consistency
    start at t rounded down to a multiple of their step.
    Source: Frans et al. 2024 (arXiv 2410.12557), eq. 4-5 and algorithm 1.
    """

    loss_names: ClassVar[tuple[str, ...]] = ("flow_matching", "consistency")
    times: ClassVar[tuple[str, ...]] = ("t", "until")

    levels: Annotated[int, Ge(1)] = 7
    consistent: Share = 0.25
    target: Literal["network", "average"] = "network"
    time: Time = field(default_factory=UniformTime)

    def draw(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Mapping[str, Tensor]:
        t = self.time.sample(n, generator, part)
        apart = torch.rand(n, generator=generator) < self.consistent
        # the size of the large step, 2^-(levels - 1) to 1, and a start on its grid
        level = torch.randint(0, self.levels, (n,), generator=generator)
        size = 2.0**-level
        start = (t / size).floor() * size
        t = torch.where(apart, start, t)
        return {"t": t, "until": torch.where(apart, start + size, t).clamp_max(1.0)}

    def losses(self, net: Net, path: Path, batch: Batch) -> Mapping[str, Tensor]:
        t, until = batch.draws["t"], batch.draws["until"]
        sample = batch.at(t)
        apart = until > t
        target = torch.where(
            append_dims(apart, sample.ut), self._two_steps(net, sample.xt, t, until), sample.ut
        )
        u = net(sample.xt, t, until=until).to(sample.ut.dtype)
        error = batch.mean((u - target).square())
        none = torch.zeros_like(error)
        return {
            "flow_matching": torch.where(apart, none, error),
            "consistency": torch.where(apart, error, none),
        }

    def _two_steps(self, net: Net, xt: Tensor, t: Tensor, until: Tensor) -> Tensor:
        """The average velocity of two steps of half the size, without a gradient."""
        small = net.averaged() if self.target == "average" else net
        with torch.no_grad():
            middle = (t + until) / 2
            first = small(xt, t, until=middle)
            half = append_dims(middle - t, xt).to(xt.dtype)
            second = small(xt + half * first, middle, until=until)
            return ((first + second) / 2).to(xt.dtype)
