"""MeanFlow: regress the average velocity through its derivative along the flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from fmcore import Batch, Net, Path, append_dims
from fmcore_objectives.two_times import TwoTimes

__all__ = ["MeanFlow"]


@final
@dataclass(frozen=True)
class MeanFlow(TwoTimes):
    """E w |u(xt, t, until) - sg(ut + (until - t) d/dt u(xt, t, until))|^2, d/dt along the path.

    The derivative of (until - t) u = integral of v from t to until gives the target; it is
    a Jacobian-vector product along (ut, 1, 0) and carries no gradient.  Time runs from noise to
    data here, against the paper's, so t <= until replaces r <= t and the sign of the second term
    changes with it.
    Source: Geng et al. 2025 (arXiv 2505.13447), eq. 6-11 and algorithm 1.
    """

    loss_names: ClassVar[tuple[str, ...]] = ("mean_flow",)

    def losses(self, net: Net, path: Path, batch: Batch) -> Mapping[str, Tensor]:
        t, until = batch.draws["t"], batch.draws["until"]
        sample = batch.at(t)
        v = self.velocity(net, batch, sample.xt, sample.ut, t)
        u, dudt = net.jvp(sample.xt, t, until, dx=v, dt=torch.ones_like(t), rows=until > t)
        # the MeanFlow identity: u = v + (until - t) du/dt
        target = v + append_dims(until - t, v).to(v.dtype) * dudt
        error = batch.mean((u.to(v.dtype) - target).square())
        return {"mean_flow": self.weighted(error)}
