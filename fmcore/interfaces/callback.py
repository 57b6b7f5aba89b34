"""Interface of training callbacks, and what they see of a training."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, final

from annotated_types import Gt
from torch import Tensor

from fmcore.interfaces.options import Options

__all__ = ["Callback", "TrainingView"]


@final
@dataclass(frozen=True)
class TrainingView:
    """What a callback sees of one training step; everything is read-only.

    `step` is the step taken, counted from 1, of `steps`.  The mappings have the network's own
    names; their tensors are detached, float32 unless the network has another dtype, on the device
    of the training, and whole also where FSDP shards them: then every process must read the same
    ones, in the same order.  `gradients` are those of the whole batch before clipping, and empty
    in `after_step`.  `average` is the first moving average; None without one, and under FSDP.
    """

    step: int
    steps: int
    weights: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor] = field(default_factory=dict)
    average: Mapping[str, Tensor] | None = None
    loss_with: Callable[[Mapping[str, Tensor] | None], Tensor] | None = None

    def loss(self, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Return the loss on this process's first micro-batch of the step, a scalar without
        gradient, of the current weights or of `weights`.

        Dropout is off.  Costs a forward pass.
        """
        if self.loss_with is None:
            raise RuntimeError("this view has no loss")
        return self.loss_with(weights)


@dataclass(frozen=True)
class Callback(Options, ABC):
    """Measures a training every `every` steps, and writes the numbers into metrics.jsonl as
    `NAME/...`, with the callback's name.

    Laws:
    * Its methods give None, or numbers by name with the same names at every call: floats, or
      tensors of one element.  They are averaged over the processes, all of which call it.
    * It keeps no state: equal views give equal numbers.
    * It changes neither weights, gradients nor averages, and draws from no global generator.

    Override one of the methods, or both.
    """

    kind: ClassVar[str] = "callback"

    every: Annotated[int, Gt(0)] = field(default=100, kw_only=True)

    def after_backward(self, view: TrainingView) -> Mapping[str, float | Tensor] | None:
        """Return the numbers of a step whose gradients are complete, before they are clipped."""
        return None

    def after_step(self, view: TrainingView) -> Mapping[str, float | Tensor] | None:
        """Return the numbers of a step after weights and moving averages were updated."""
        return None
