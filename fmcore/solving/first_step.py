"""How long the first step is: from two velocities, the second inside the interval.

Source: Hairer, Norsett, Wanner I, II.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fmcore.solving.lanes import Lanes

if TYPE_CHECKING:
    from fmcore.solving.stepping import Stepper

__all__ = ["first_step"]


def first_step(stepper: Stepper, lanes: Lanes, healthy: Tensor | None) -> Tensor:
    """The length of each lane's first step, or of the one that they share.

    A shared one heeds only `healthy` lanes; without them it trusts all, and is NaN if one is
    broken.
    """
    span = abs(stepper.t1 - stepper.t0)
    if stepper.solver.first_step is not None:
        return torch.full_like(lanes.h, min(stepper.solver.first_step, span))
    scale = lanes.x.abs().mul_(stepper.solver.rtol).add_(stepper.solver.atol)
    size, speed = _norm(stepper, lanes.x / scale, healthy), _norm(stepper, lanes.k / scale, healthy)
    still = (size < 1e-5) | (speed < 1e-5)
    probe = torch.where(still, 1e-6, 0.01 * size / speed).clamp_max_(span)
    h = stepper.sign * probe
    t = (stepper.t0 + h).to(stepper.dtype).clamp_(stepper.low, stepper.high).expand(lanes.width)
    ahead = torch.addcmul(lanes.x, h.to(stepper.dtype).view(stepper.column), lanes.k)
    velocity, _ = stepper.velocity(ahead, t, lanes, False)
    bend = _norm(stepper, (velocity - lanes.k) / scale, healthy) / probe
    steepest = torch.maximum(speed, bend)
    longer = (0.01 / steepest).pow_(1 / (stepper.k_order + 1))
    flat = torch.maximum(torch.full_like(probe, 1e-6), 1e-3 * probe)
    first = torch.where(steepest <= 1e-15, flat, longer)
    first = torch.minimum(100 * probe, first).clamp_max_(span).to(stepper.time_dtype)
    return first if healthy is None else first.nan_to_num_(nan=1e-6)


def _norm(stepper: Stepper, x: Tensor, healthy: Tensor | None) -> Tensor:
    if healthy is None and stepper.solver.coupling == "batch_rms":
        whole: Tensor = torch.linalg.vector_norm(x)
        return whole.mul_(x.numel() ** -0.5).view(1)
    flat = x.flatten(1)
    norms: Tensor = torch.linalg.vector_norm(flat, dim=1).mul_(flat.shape[1] ** -0.5)
    if healthy is None:
        return norms.amax(0, keepdim=True)
    return stepper.coupled(norms, healthy & norms.isfinite())
