"""Interface of optimizers: how torch optimizers are built for a network's parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from torch import nn
from torch.optim import Optimizer

from fmcore.interfaces.options import Options

__all__ = ["OptimizerFactory"]


class OptimizerFactory(Options, ABC):
    """Builds the torch optimizers of a training.

    Laws:
    * Every parameter is in exactly one group of exactly one optimizer.
    * The `lr` of a group is relative to `train.lr`, and the largest is 1.  Before each step the
      trainer sets it to `train.lr` times this number times the factor of `train.lr_schedule`.  A
      step with lr 0 changes no weight.
    * The state of a parameter consists of tensors and numbers, that of a group of numbers, text
      and tuples of them: checkpoints hold nothing else.  A resumed training has the same bits.

    `fsdp` is whether the update is right where each process holds only a shard of a weight: it is
    for updates of single elements.
    """

    kind: ClassVar[str] = "optimizer"
    fsdp: ClassVar[bool] = True

    @abstractmethod
    def build(self, named_parameters: Iterable[tuple[str, nn.Parameter]]) -> Sequence[Optimizer]:
        """Return the optimizers of these parameters, given by the network's own names in order of
        registration.
        """
