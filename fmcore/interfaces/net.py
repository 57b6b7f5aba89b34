"""What an objective sees of a training step: the network and the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, final

import torch
from torch import Tensor

from fmcore.interfaces.condition import learned
from fmcore.interfaces.field import Predictor
from fmcore.interfaces.path import Path, PathSample
from fmcore.interfaces.source import Condition
from fmcore.interfaces.tensors import mean_over_mask

__all__ = ["Batch", "Net"]


@final
@dataclass(frozen=True)
class Batch:
    """The pairs of one micro-batch.

    `x0` and `x1` are `(batch, *shape)`; `z` is the draw of the path's bridge, `(batch, *shape)`, or
    None where the path has none.  `condition` is raw: as the dataset gives it, after dropout.
    `draws` are the numbers that `Objective.draw` asked for, `(batch,)` each; those named in
    `Objective.times` lie in [t_min, t_max] of the path.
    """

    path: Path
    x0: Tensor
    x1: Tensor
    z: Tensor | None = None
    condition: Condition | None = None
    draws: Mapping[str, Tensor] = field(default_factory=dict)

    def at(self, t: Tensor) -> PathSample:
        """The path's point and velocity at `t`, `(batch,)`: same pair and same z at every time."""
        given = () if self.z is None else (self.z,)
        sample = self.path.sample(self.x0, self.x1, t, *given)
        frozen = None if self.condition is None else self.condition.get("frozen")
        if frozen is None:
            return sample
        # frozen elements belong to the condition: they are data at every time
        xt = torch.where(frozen, self.x1.to(sample.xt.dtype), sample.xt)
        return replace(sample, xt=xt, ut=sample.ut.masked_fill(frozen, 0))

    def mean(self, values: Tensor) -> Tensor:
        """The mean of each row of `values`, `(batch, *shape)`, over the elements that exist by the
        condition `mask` and are not `frozen`, `(batch,)`.
        """
        return mean_over_mask(values, learned(self.condition, self.path.space))


class Net(Protocol):
    """The network under training, as an objective may call it.

    Distribution over processes, precision and compilation are behind it; every value is at least
    float32.  The condition of the batch is prepared and bound.
    """

    def __call__(self, x: Tensor, t: Tensor, *, until: Tensor | None = None) -> Tensor:
        """The network's output at `x`, `(batch, *shape)`, and `t`, `(batch,)`.

        `until`, `(batch,)`, is the second time of a flow map; only networks with `span` take it.
        """

    def jvp(
        self,
        x: Tensor,
        t: Tensor,
        until: Tensor | None = None,
        *,
        dx: Tensor,
        dt: Tensor,
        duntil: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The output, with its graph, and its derivative along (dx, dt, duntil), without one.

        `rows`, `(batch,)` bool, are those whose derivative the objective uses, by default all; that
        of the others is 0.
        """

    def without(self, *names: str) -> Net:
        """The same network with these entries of the condition replaced by their null values.

        Raises ComponentError for an entry that the batch does not have.
        """

    def averaged(self) -> Net:
        """The network with the weights of the first moving average, without gradients.

        Raises ComponentError where no average is kept and under FSDP.
        """

    def teacher(self, name: str) -> Predictor:
        """The trained field of the run that the objective's option `name` gives (`RunOption`).

        Its weights are frozen and its values carry no gradient.  A call without a condition has
        that of the batch, which the field prepares itself.  Raises ComponentError where the
        objective has no such option.
        """
