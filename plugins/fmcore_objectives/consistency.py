"""Consistency flow matching, and distillation of a trained flow: few-step sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from fmcore import (
    Batch,
    ComponentError,
    Net,
    Objective,
    Path,
    Quantity,
    RunOption,
    append_dims,
    uniform_times,
)

__all__ = ["Consistency"]


@final
@dataclass(frozen=True)
class Consistency(Objective):
    """E |f(xt, t) - f(xs, s)|^2 + weight |v(xt, t) - v(xs, s)|^2 at two close times t < s.

    f(xt, t) = xt + (end - t) v(xt, t) is the state at the end of t's segment, of `segments` equal
    ones; f is the state itself at the end.  So v(xt, t) becomes the average velocity from t to the
    end of the segment, and one Euler step crosses a segment.  s is t + `dt`, at most the end; `dt`
    is a fraction of the path's interval.  The terms at s carry no gradient; `target` is whose
    weights give them: the moving average's as in the paper, or the network's own.  The second term
    makes trajectories straight; it is left out where s is the end.

    Without `teacher`, xs is the path's point of the same pair at s.  With one, xs is where a
    midpoint step of the teacher's velocity leads from xt: the run is distilled.
    Source: Yang et al. 2024 (arXiv 2407.02398), eq. 6 and 9.
    """

    loss_names: ClassVar[tuple[str, ...]] = ("consistency", "velocity")

    teacher: RunOption | None = None
    segments: Annotated[int, Ge(1)] = 1
    dt: Annotated[float, Gt(0), Le(1)] = 0.05
    weight: Annotated[float, Ge(0)] = 0.0
    target: Literal["average", "network"] = "average"

    @property
    def prediction(self) -> Quantity:
        return "average_velocity"

    def check(self, path: Path) -> None:
        if path.bridge() is not None:
            raise ComponentError(
                f"{type(self).__name__} compares two times of one pair (x0, x1), which a bridge "
                f"such as {type(path).__name__} makes random: use an affine path"
            )

    def draw(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Mapping[str, Tensor]:
        return {"t": uniform_times(n, generator)}

    def losses(self, net: Net, path: Path, batch: Batch) -> Mapping[str, Tensor]:
        t = batch.draws["t"]
        end = self.end_of_segment(path, t)
        s = torch.minimum(t + self.dt * (path.t_max - path.t_min), end)
        xt = batch.at(t).xt
        v = net(xt, t).to(xt.dtype)
        with torch.no_grad():
            xs = batch.at(s).xt if self.teacher is None else _step(net, xt, t, s)
            fixed = net.averaged() if self.target == "average" else net
            vs = fixed(xs, s).to(xt.dtype)
            goal = xs + append_dims(end - s, xs) * vs
        error = batch.mean((xt + append_dims(end - t, xt) * v - goal).square())
        # at the end, the network gives the velocity of the next segment
        apart = self.weight * batch.mean((v - vs).square()) * (s < end)
        return {"consistency": error, "velocity": apart}

    def end_of_segment(self, path: Path, t: Tensor) -> Tensor:
        """Return the time at which the segment of each `t` ends, `(batch,)`."""
        length = (path.t_max - path.t_min) / self.segments
        index = ((t - path.t_min) / length).floor().clamp(0, self.segments - 1)
        # rounding may put t behind the end of its segment
        return torch.maximum(path.t_min + (index + 1) * length, t).clamp_max(path.t_max)

    def read(self, raw: Tensor, xt: Tensor, t: Tensor, path: Path) -> Mapping[Quantity, Tensor]:
        # an Euler step from the start of a segment to its end follows the average velocity
        return {"velocity": raw}


def _step(net: Net, xt: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """Return the state at `s` by one midpoint step of the teacher's velocity."""
    teacher = net.teacher("teacher")
    half = append_dims(s - t, xt).to(xt.dtype) / 2
    middle = xt + half * teacher(xt, t)
    return xt + 2 * half * teacher(middle, (t + s) / 2)
