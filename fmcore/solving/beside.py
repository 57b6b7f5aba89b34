"""What an accepted step leaves beside the state: footprints for a replay, the divergence's share,
and the states at asked-for times that it passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from fmcore.solving.dense import dense_weights
from fmcore.solving.evaluation import to_device
from fmcore.solving.lanes import Lanes

if TYPE_CHECKING:
    from fmcore.solving.stepping import Stepper

__all__ = ["Step", "leave", "leaves"]


class Step(NamedTuple):
    """Where a step began, its length with the sign of time, what of the way is left after it, each
    `(lanes,)` or shared; and which lanes took it.
    """

    t: Tensor
    length: Tensor
    left: Tensor
    taken: Tensor


def leaves(stepper: Stepper, lanes: Lanes) -> bool:
    """Whether there is anything to leave."""
    return (
        stepper.footprints is not None or lanes.logdet is not None or lanes.trajectory is not None
    )


def leave(
    stepper: Stepper,
    lanes: Lanes,
    k: Sequence[Tensor],
    divergences: Sequence[Tensor | None],
    step: Step,
) -> None:
    """Note the step with its stages `k` and their `divergences`; `lanes.x` is still its start."""
    if stepper.footprints is not None:
        stepper.footprints.add(step.t, step.length, step.taken)
    if lanes.logdet is not None:
        lanes.logdet = _integrated(stepper, lanes.logdet, divergences, step)
        if lanes.k_div is not None and divergences[-1] is not None:
            lanes.k_div = torch.where(step.taken.unsqueeze(1), divergences[-1], lanes.k_div)
    if lanes.trajectory is not None and stepper.asked is not None:
        passed, between = _passed(stepper, stepper.asked, lanes, k, step)
        lanes.trajectory = torch.where(passed, between, lanes.trajectory)


def _integrated(
    stepper: Stepper, logdet: Tensor, divergences: Sequence[Tensor | None], step: Step
) -> Tensor:
    """The integral of the divergence after the step, by the solution's own weights."""
    pairs = zip(stepper.tableau.b, divergences, strict=True)
    total = sum(float(b) * div for b, div in pairs if b != 0 and div is not None)
    length = step.length.to(stepper.dtype).unsqueeze(1)
    return torch.where(step.taken.unsqueeze(1), logdet + length * total, logdet)


def _passed(
    stepper: Stepper, asked: Tensor, lanes: Lanes, k: Sequence[Tensor], step: Step
) -> tuple[Tensor, Tensor]:
    """Which of the `asked` times the step passes, and states there, `(lanes, times, *shape)`."""
    t, length, left = (v.unsqueeze(1) for v in (step.t, step.length, step.left))
    gone = (asked - t) * stepper.sign  # (lanes or 1, times)
    still = (asked - stepper.end) * stepper.sign + left
    passed = (gone > 0) & (still <= 0) & step.taken.unsqueeze(1)
    theta = ((asked - t) / length).to(stepper.dtype).unsqueeze(2)
    weights = to_device(dense_weights(stepper.tableau), stepper.dtype, stepper.device)
    powers = theta ** torch.arange(1, weights.shape[1] + 1, device=stepper.device)
    b = (powers @ weights.T).expand(lanes.width, -1, -1)  # (lanes, times, stages)
    moved = b @ torch.stack([v.flatten(1) for v in k], 1)
    moved = length.to(stepper.dtype).unsqueeze(2) * moved
    between = lanes.x.unsqueeze(1) + moved.view(lanes.width, -1, *lanes.x.shape[1:])
    return passed.view(lanes.width, -1, *stepper.column[1:]), between
